"""The plots of the stories.

A plot is a name, the slots it draws once (so that a lost ball stays a ball), and its sentences, one
rule of grammar.py a line, as long as the rule is. A line that starts with "?" is left out half of
the time. The hero is already introduced when a plot begins; {pal} is a friend and {elder} a grown-up
of the family.
"""

PLOTS = [
    (
        "lost",
        {
            "toy": "ball|kite|doll|teddy bear|drum|toy boat|toy train|wooden horse|whistle|puzzle box",
            "color": "red|blue|green|yellow|orange|purple|white",
            "spot": "under the bed|behind the old tree|in the tall grass|under a bush|behind the door|on top of the wall|in the flower bed|under the bench",
        },
        """
        {name} had a {color} {toy}, and {he} loved it [very much|more than anything else].
        {he} [played with it every day|took it everywhere|kept it next to {his} bed].
        But one [morning|day|afternoon], the {toy} was gone!
        {name} looked [in the kitchen|in the garden|in every room|under the table], but it was not there.
        ?{he} looked [behind the chairs|in the big box|near the gate], but there was only [dust|an old shoe|a pile of leaves].
        {name} was [sad|very sad|worried] and began to cry.
        [Just then|Soon|After a while], {his} friend {pal} came [by|along|to visit].
        "[Why are you sad|What is wrong|Why are you crying], {name}?" asked {pal}.
        "I lost my {color} {toy}," said {name}. "I [can not|can't] find it anywhere."
        "Don't worry," said {pal}. "[We will look for it together|I will help you find it|Let's look together]."
        The two friends looked [everywhere|high and low|all around].
        At last, {pal} [saw something {color}|pointed at something {color}] {spot}.
        "[Look|Look there|Come here], {name}! Is that your {toy}?" {phe} shouted.
        It was! {name} [jumped for joy|laughed and clapped|was so happy] and hugged {pal}.
        "Thank you, {pal}," {he} said. "You are a [good|true|great|wonderful] friend."
        ?Then they played with the {toy} until [the sun went down|it was time for dinner|the stars came out].
        """,
    ),
    (
        "share",
        {
            "food": "an apple pie|a loaf of bread|a big cake|a basket of berries|a bowl of soup|a bag of nuts|a jar of honey|a plate of cookies",
            "where": "by the river|under a tall tree|on a bench in the park|at the edge of the forest|on the hill",
        },
        """
        One [sunny|warm|cool|bright] [morning|day|afternoon], {name} had {food} for [lunch|a picnic].
        {he} sat down {where} and was ready to eat.
        [Just then|At that moment], {he} heard a [small|soft|sad] voice.
        It was {pal}, {adv_pkind} who lived nearby.
        "I am so hungry," said {pal}. "I have not eaten [all day|since yesterday|anything today]."
        {name} looked at the food. [There was not very much of it|It smelled so good|{he} was hungry too].
        ?For a moment, {he} wanted to keep it all for {self}.
        But then {he} saw {pal}'s sad eyes and [smiled|felt sorry|knew what to do].
        "[Please sit down|Come and sit with me|Come here], {pal}," said {name}. "We can share it."
        {pal} was [very happy|so happy|surprised and happy]. They ate together and [talked|laughed|told funny stories] for a long time.
        The next [day|week], {name} was walking home when it began to rain [hard|very hard].
        {he} was wet and cold, and {he} was far from home.
        "Come in, come in!" called a voice. It was {pal}!
        {pal} gave {him} [a warm blanket|a cup of hot tea|a place by the fire] and a [bowl of hot soup|big slice of bread].
        "You shared with me," said {pal}, "and now I can share with you."
        {name} learned that [kindness always comes back|a kind heart is never alone|sharing makes everyone happy].
        """,
    ),
    (
        "storm",
        {
            "game": "hide and seek|catch|tag|with a ball|with their kites",
            "shelter": "a small cave|an old barn|a hollow tree|a little wooden hut|a big empty shed",
        },
        """
        One day, {name} and {his} friend {pal} were playing {game} in the [field|meadow|forest].
        The sun was [shining|warm|bright] and the sky was blue.
        [Suddenly|All at once|Then], dark clouds covered the sun, and the wind began to [blow|howl].
        "[I think a storm is coming|It is going to rain|Look at those clouds]!" said {pal}. "We must [find a dry place|hide somewhere|run]!"
        [Big drops of rain|Cold drops of rain] began to fall, and thunder [rolled over the hills|shook the ground].
        {pal} was [afraid|scared] and held {name}'s hand.
        "Don't be afraid," said {name}. "[Follow me|Come with me|I know a safe place]."
        They ran as fast as they could, and soon they found {shelter}.
        Inside it was [dark|quiet|dry and warm], and they sat close together.
        ?To pass the time, {name} [told a story about a brave king|sang a funny song|counted the drops of rain].
        ?{pal} began to laugh, and {phe} forgot to be afraid.
        After [an hour|a while|some time], the rain stopped and the sun came out again.
        "Look up!" said {name}. Over the [hills|trees|fields] there was a beautiful rainbow.
        It was red, orange, yellow, green, blue and purple.
        "It is the [prettiest|most beautiful] thing I have ever seen," said {pal}.
        The two friends walked home and jumped in every puddle on the way.
        """,
    ),
    (
        "baking",
        {
            "cake": "chocolate cake|apple pie|lemon cake|carrot cake|honey cake|berry pie",
            "missing": "sugar|butter|flour|milk",
        },
        """
        It was a special day, because {his} {elder} had a birthday.
        "I will make a {cake}!" said {name}. "It will be a [big|wonderful|nice] surprise."
        {he} went to the kitchen and took out a [big|large] bowl and a [wooden|long] spoon.
        ?{he} put on [a white apron|a tall white hat] and washed {his} hands.
        {he} [opened the cupboard|looked on the shelf], but there was no {missing} left!
        "Oh no," said {name}. "I can not make a cake without {missing}."
        {he} thought for a moment, and then {he} had an idea.
        {he} ran to {his} friend {pal} and [knocked on the door|rang the bell].
        "Hello, {pal}! May I have some {missing}, please?" {he} asked.
        "Of course," said {pal}. "[I have a lot of it|Here you are|Take as much as you need]. [Can|May] I help you?"
        Together they mixed everything in the bowl and put the cake in the oven.
        Soon the whole house smelled [sweet|wonderful|of {cake}].
        ?There was flour on the table, flour on the floor and flour on {pal}'s nose!
        When {his} {elder} came home, {name} and {pal} shouted, "Happy birthday!"
        {his} {elder} [was so surprised|smiled a big smile|could not stop smiling] and gave them both a hug.
        They all ate the {cake} together, and it was [delicious|the best cake in the world|very tasty].
        """,
    ),
    (
        "skill",
        {
            "skill": "swim|ride a bicycle|climb a tree|skate on the ice|whistle|juggle|play the flute|stand on one leg",
        },
        """
        {name} wanted to learn how to {skill}, but it was [hard|very hard|not easy].
        All {his} friends could {skill}, and {name} felt [sad|left out|small].
        "I will never learn it," {he} said [with a sigh|sadly|to {self}].
        {his} {elder} heard {him} and sat down next to {him}.
        "When I was [young|little|your age], I could not do it either," said {his} {elder}. "I [tried again and again|practised every day], and I did not give up."
        So the next [day|morning], {name} went out to try.
        The first time, {he} [fell down|failed|made a mistake]. The second time, {he} [fell down|failed|made a mistake] again.
        ?{his} knees hurt, and {he} wanted to [go home|stop].
        "You can do it, {name}!" called {pal}. "[Try again|One more time|Don't give up]!"
        {name} took a deep breath and tried [one more time|once more].
        Every day {he} practised a little, and every day it was a little [easier|better].
        Then, one [bright|sunny|fine] morning, {he} did it! {he} could {skill}!
        "I did it! I did it!" {he} [shouted|cried] and [jumped up and down|danced around].
        {his} {elder} was very proud of {him}.
        "[You worked hard|You never gave up], and now you can do it," said {his} {elder}.
        From that day on, {name} was not afraid to try new things.
        """,
    ),
    (
        "bird",
        {
            "creature": "bird|butterfly|owl|duckling|swan",
            "found": "in the grass|under a bush|beside the road|near the pond|at the foot of a tree",
        },
        """
        One [cold|windy|rainy|quiet] morning, {name} went for a walk.
        {he} heard a [tiny|soft|weak] sound {found}.
        It was a little {creature} with a hurt wing. It could not fly.
        "Oh, you poor [thing|little {creature}]," said {name}. "[I will take care of you|I will help you|Don't be afraid]."
        {he} [picked it up|lifted it] very carefully and carried it home.
        {his} {elder} found a [small box|little basket] and filled it with [soft cloth|dry grass|warm wool].
        Every day, {name} gave the {creature} [fresh water|water] and something to eat.
        ?At night, {he} sang a [soft|quiet] song until the {creature} fell asleep.
        After [one week|two weeks|many days], the wing was [better|strong again].
        "It is time to let it go," said {his} {elder} [softly|kindly].
        {name} was sad, but {he} knew that [it was right|the {creature} wanted to be free|the {creature} belonged in the sky].
        {he} opened the window, and the {creature} flew up into the [blue|wide|bright] sky.
        ?It turned around once, as if it wanted to say thank you.
        The next spring, {name} heard a sound at the window.
        The {creature} was back! It came to visit [every day|every morning] that summer.
        {name} smiled, because {he} had a new friend.
        """,
    ),
    (
        "night",
        {
            "noise": "a strange sound|a loud noise|a scratching sound|a soft knock|a deep moan",
            "cause": "a small grey cat|an old owl|a branch of the apple tree|a tiny mouse with a nut|the wind in the chimney",
        },
        """
        One night, {name} was in bed, but {he} could not sleep.
        It was [very dark|dark and quiet], and the [moon was behind the clouds|stars were far away].
        [Suddenly|Then] {he} heard {noise}. [Tap, tap, tap|Bump, bump, bump]!
        {name} pulled the blanket over {his} head. "[Who is there|What is that]?" {he} whispered.
        Nobody answered. There it was again! [Tap, tap, tap|Bump, bump, bump]!
        ?{name}'s heart was beating fast.
        "I must be brave," {he} told {self}. "[I will go and look|I want to know what it is]."
        {he} took a [small lamp|candle|little light] and walked slowly to the [window|door].
        [With a shaking hand|Very slowly|Carefully], {he} opened it and looked out.
        {name} [began to laugh|laughed out loud]. It was only {cause}!
        "So it was you!" said {name}. "[I was afraid of nothing at all|You gave me a big fright]."
        {he} went back to bed and [closed {his} eyes|felt warm and safe].
        In the morning, {he} told {pal} the whole story.
        "You were very brave," said {pal}. "I [would hide under my bed|always hide under my pillow]!"
        {name} smiled. {he} was not afraid of the dark [any more|now].
        """,
    ),
    (
        "seed",
        {
            "plant": "sunflower|pumpkin|rose|carrot|apple tree|strawberry plant|cabbage|bean",
            "pot": "in the garden|behind the house|next to the fence|near the gate",
        },
        """
        In spring, {name} found a [tiny|small|strange] seed [on the path|in an old box|in {his} pocket].
        "What will it be?" {he} asked {his} {elder}.
        "Plant it and [wait|see]," said {his} {elder}. "A seed needs water, sun and time."
        {name} dug a small hole {pot} and put the seed inside.
        Every morning, {he} gave it water. But nothing happened.
        ?"[Maybe it is asleep|Maybe it does not like me|Maybe it needs a song]," thought {name}.
        "Be patient," said {his} {elder}. "Good things take time."
        {pal} came to look too. "I see only [dirt|brown earth]," {phe} said and laughed.
        Then, after [two weeks|ten days|many days], a tiny green leaf came out of the ground!
        {name} [danced|jumped|ran] around it. "It is growing!" {he} shouted.
        The plant grew [taller and taller|bigger and bigger|day by day] in the warm sun.
        By the end of summer, it was a [beautiful|big|wonderful] {plant}.
        Everyone in the [village|street] came to see it.
        "How did you do it?" asked {pal}.
        "I gave it water every day," said {name}, "and I did not give up."
        {name} was very proud, and {he} gave {pal} a seed of {phis} own.
        """,
    ),
    (
        "build",
        {
            "thing": "tree house|sand castle|wooden boat|raft|snowman|stone bridge|kite",
            "bad": "strong wind|big wave|heavy rain|careless goat",
        },
        """
        One [day|fine day|fine morning], {name} and {pal} decided to build a {thing}.
        "It will be the [biggest|best|most beautiful] {thing} in the world," said {name}.
        They worked [all morning|for hours|very hard]. {name} [carried the heavy things|made a plan], and {pal} [put everything together|held everything in place].
        ?"[Careful|Slowly]," said {pal}. "[A little to the left|A little higher|Not so fast]."
        At last, the {thing} was [almost done|almost ready].
        But then a {bad} came and [broke it|knocked it down|ruined everything].
        {name} was [angry|very upset|close to tears]. "All our work is gone!" {he} said.
        {pal} was sad too, but {phe} [put an arm around {him}|smiled at {him}|patted {his} back].
        "We can build it again," said {pal}. "And this time we will make it [stronger|better]."
        {name} thought about it and [nodded|dried {his} tears].
        So they started again. They used [longer ropes|bigger stones|better wood|more string] and [worked more carefully|took their time].
        ?{his} {elder} brought them [cold lemonade|bread and cheese|a basket of fruit].
        When the sun went down, the new {thing} was ready.
        It was even better than the first one!
        "We make a good team," said {name}, and {pal} [agreed|laughed|shook {his} hand].
        """,
    ),
    (
        "market",
        {
            "place": "market|farm|beach|zoo|fair|harbour",
            "treat": "a sweet orange|an ice cream|a hot bun|a red balloon|a bag of cherries",
        },
        """
        One [Saturday|Sunday|Friday], {name} went to the {place} with {his} {elder}.
        {he} had never been there before, and {he} was very [excited|happy].
        There were so many things to see! There were [people in bright clothes|children with balloons|women with big hats|men with long beards] everywhere.
        ?{name} saw [a man with a green parrot|a tall lady with a tiny dog|a boy who could stand on his hands].
        {his} {elder} bought {him} {treat}, and it made {him} smile.
        "Stay close to me," said {his} {elder}. "[It is easy to get lost here|There are many people here]."
        But {name} saw [a funny puppet show|a brown pony|a colourful bird] and stopped to look.
        When {he} turned around, {his} {elder} was gone!
        {name} felt [cold and small|very afraid], and tears came to {his} eyes.
        Then {he} remembered what {his} {elder} always said: "If you are lost, stay where you are and ask for help."
        So {name} went to [an old woman|a friendly farmer|a kind policeman] and said, "Please help me. I am lost."
        "Don't worry, little one," was the answer. "We will wait here together."
        [Soon|A few minutes later], {his} {elder} came running. "{name}! There you are!"
        They hugged each other for a long time.
        "You did the right thing," said {his} {elder}. "I am proud of you."
        On the way home, {name} held {his} {elder}'s hand [very tightly|all the way].
        """,
    ),
    (
        "broken",
        {
            "item": "vase|cup|lamp|window|plate|mirror|clock",
        },
        """
        One [rainy|windy|grey] day, {name} was playing with a ball inside the house.
        "Do not play with the ball inside," {his} {elder} always said. But {name} did not listen.
        {he} threw the ball [very high|too hard|across the room], and CRASH! The {item} was broken.
        {name} looked at the pieces on the floor. [{His} face turned red|{He} felt terrible|{His} heart sank].
        "[What should I do|What will happen now]?" {he} thought.
        {he} [hid the pieces under the carpet|put the pieces in a box|pushed the pieces behind the sofa] and went to {his} room.
        But {name} could not play, and {he} could not eat {his} dinner.
        {his} secret felt like a [heavy stone|big stone] in {his} stomach.
        ?"You are so quiet today," said {his} {elder}. "Are you sick?"
        At last, {name} could not keep the secret any longer.
        "I broke the {item}," {he} said with [a small voice|tears in {his} eyes]. "I am very sorry."
        {his} {elder} was quiet for a moment and then [took {his} hand|sat down beside {him}].
        "Thank you for telling me the truth," said {his} {elder}. "That was [brave|not easy]. [A {item} is only a thing|We can buy a new one], but I must be able to trust you."
        Together they cleaned the floor and [glued the pieces|threw the pieces away].
        That night, {name} slept well, because {he} had told the truth.
        """,
    ),
    (
        "newfriend",
        {
            "thing": "a jump rope|a big book of animals|a box of paints|a red wagon|a football|a paper plane",
        },
        """
        {name} was new in the [village|town|street|forest], and {he} did not know anyone.
        Every day, {he} watched the others play, but {he} was too shy to [ask|say hello|speak].
        "I wish I had a friend," {he} said to {his} {elder}.
        "Sometimes you have to [say hello first|take the first step]," said {his} {elder} [with a smile|kindly].
        The next [day|morning], {name} took {thing} and went outside.
        ?{he} [walked slowly|stopped three times|almost turned around] on the way.
        Under a [big|tall|green] tree sat {adv_pkind} all alone.
        {name} took a deep breath. "Hello," {he} said. "My name is {name}. [Do you want to play|Would you like to play] with me?"
        The {pkind} looked up and smiled. "[Yes, please|I would love to|Oh yes]! My name is {pal}," {phe} said.
        "I was too shy to ask you," said {pal}. "[I am so glad you came|Thank you for coming]."
        {name} laughed. "I was shy too!"
        They played with {thing_the} all [day|afternoon], and they [laughed|talked] a lot.
        ?{pal} showed {him} [a secret path|the best place to swim|a nest with four eggs|a cave behind the waterfall].
        When it was time to go home, {pal} asked, "Will you come back tomorrow?"
        "[Yes, I will|Of course|I promise]," said {name}.
        From that day on, they were [best friends|the best of friends].
        """,
    ),
    (
        "gift",
        {
            "gift": "a warm scarf|a necklace of shells|a painted stone|a wooden spoon|a small picture|a basket of flowers|a paper star",
        },
        """
        It was {pal}'s birthday, and {name} wanted to give {phim} a present.
        {he} looked in {his} money box, but there was only [one small coin|a button|a spider] inside.
        "I can not buy anything," {he} thought. "[What can I do|What shall I do]?"
        {his} {elder} said, "The best presents [are made with love|come from the heart|do not cost any money]."
        {name} sat down and [thought hard|thought for a long time]. Then {he} had an idea.
        {he} worked all [morning|day|evening] and made {gift}.
        ?{he} [worked slowly and carefully|hummed a little song|made two mistakes and started again], until it was just right.
        {he} put it in a [small|blue|little] box and tied it with a [red|green|yellow] ribbon.
        At the party, there were many big presents on the table.
        {name} felt [shy|nervous]. {His} box was the smallest of all.
        {pal} opened all the presents. At last, {phe} opened the little box.
        "Did you make this yourself?" asked {pal} with big eyes.
        {name} nodded. "[I made it just for you|It took me all day]," {he} said.
        {pal} gave {him} a big hug. "It is the best present of all," {phe} said.
        {name} was so happy that {he} [danced all the way home|could not stop smiling].
        """,
    ),
    (
        "race",
        {
            "prize": "a golden cup|a big cake|a shiny medal|a basket of apples",
            "course": "around the lake|over the hill|through the forest|to the old mill",
        },
        """
        Once a year, there was a big race {course}, and the prize was {prize}.
        {name} wanted to win. {he} [ran every day|got up early every morning] to get ready.
        ?"You are very fast," said {his} {elder}. "But remember, [winning is not everything|it is only a game]."
        On the day of the race, [everyone came to watch|the sun was hot|the whole village was there].
        "Ready, steady, go!" [called|shouted] the old [farmer|teacher|goose], and they were off.
        {name} ran [like the wind|as fast as {he} could] and was soon in front.
        But then {he} heard a cry behind {him}. {pal} had fallen over a [stone|root]!
        {name} looked at the finish line. It was so close! Then {he} looked at {pal}.
        {he} turned around and ran back. "Are you hurt?" {he} asked.
        "My [foot|leg|knee] hurts," said {pal}. "[Go on|Run, {name}]! You can still win!"
        "I [will not leave you|don't want to win without you]," said {name}. "Come, hold my arm."
        Slowly, step by step, they walked to the finish line together.
        They were the last ones, but everyone [clapped and cheered|cheered for them].
        "The prize for the fastest runner goes to another," said the old judge. "But [a kind heart|a good friend] is worth more than any prize."
        And {name} and {pal} [shared a big bowl of ice cream|were given a crown of flowers|were friends for life].
        """,
    ),
    (
        "map",
        {
            "treasure": "old coins|shiny stones|colourful shells|silver spoons|story books|glass marbles",
            "chest": "box|chest|jar|bag",
        },
        """
        One day, {name} found an old map [in a dusty book|under the stairs|in a bottle by the sea|behind a loose stone].
        There was a big red cross on it. "It is a treasure map!" {he} [cried|whispered|said].
        {he} ran to {pal} and showed {phim} the map.
        "[What an adventure|How exciting]!" said {pal}. "Let's go!"
        First, they walked [over the old bridge|along the river|past the windmill].
        Then they [climbed the steep hill|crossed the quiet field|crawled through a dark tunnel].
        ?On the way, they met [an old turtle|a friendly goose|a sleepy cow] who showed them the right path.
        ?"[Are we there yet|My feet are tired]," said {pal}. "Just a little more," said {name}.
        At last, they came to [three tall trees|a big round rock|an old well]. It was just like the picture on the map.
        They began to dig. They dug and dug until they hit something hard.
        It was a {chest}! {name} opened it [slowly|with both hands], and inside there were {treasure}.
        "We are rich!" laughed {pal}.
        There was also a letter. It said: "The real treasure is the friend who [came with you|helped you find this]."
        {name} and {pal} looked at each other and smiled.
        They shared the {treasure} and [gave some to everyone they knew|kept the map forever|put the letter on the wall].
        """,
    ),
    (
        "star",
        {
            "wish": "a little brother|a puppy|a snowy day|a new friend|a boat with white sails",
        },
        """
        One [clear|warm|quiet] evening, {name} sat at the window and looked at the sky.
        [Suddenly|All at once], a bright star [fell from the sky|flew across the sky].
        "Make a wish!" said {his} {elder}. "[But do not tell anyone|Close your eyes and think of it]."
        {name} closed {his} eyes and made a wish.
        The next morning, {he} [ran outside|looked everywhere|jumped out of bed], but nothing was different.
        ?{he} waited all day, but nothing happened.
        "My wish did not come true," {he} said [sadly|with a sigh].
        "Some wishes [need a little time|need a little help]," said {his} {elder}.
        So {name} went to [the pond|the park|the garden] to [think|look at the water].
        There {he} met {pal}, {adv_pkind} with a broken [basket|cart|umbrella].
        "[Can you help me|Could you help me], please?" asked {pal}. {name} helped {phim} at once.
        They worked together until [everything was fixed|it was as good as new], and they talked about many things.
        "I made a wish last night," said {pal}. "I wished for a friend."
        {name} [laughed|could not believe it]. "So did I!" {he} said.
        That night, the two friends looked up at the stars and [said thank you|waved at the sky].
        """,
    ),
    (
        "snow",
        {
            "vehicle": "sled|wooden board|big tray",
        },
        """
        One winter morning, {name} looked out and saw that everything was white.
        "It is snowing!" {he} [shouted|cried] and put on {his} [warm coat|thick gloves|woolly hat].
        Outside, the snow was [deep|soft|as soft as a pillow], and the air was cold and clean.
        {pal} was already there with a {vehicle}. "Come on!" {phe} called.
        They climbed to the top of the hill and [sat down|held on tight].
        Down they went, [faster and faster|over bumps and around trees], and the cold wind bit their [noses|cheeks].
        ?At the bottom, they fell into the snow and laughed [until they could not breathe|for a long time].
        Then they heard a [weak|soft|small] cry. A [rabbit|little deer|small dog] was stuck in the deep snow.
        "[Poor thing|Oh dear]!" said {name}. "We must help."
        {name} and {pal} dug the snow away with their hands. It was hard work, and their fingers were [cold|like ice].
        At last, the animal was free. It [shook the snow from its fur|looked at them with grateful eyes] and ran into the forest.
        "We did a good thing," said {pal}.
        When they came home, {his} {elder} made [hot chocolate|warm milk with honey] for them.
        They sat by the fire and told [the whole story|everything that had happened].
        Outside, the snow was still falling, and {name} [felt warm inside|soon fell asleep].
        """,
    ),
    (
        "song",
        {
            "instrument": "flute|drum|guitar|violin|trumpet|horn",
        },
        """
        {name} loved music, but {he} had no {instrument}.
        Every [evening|Sunday], an old [man|musician] played the {instrument} in the [square|park], and {name} listened.
        One day, the old man was not there. {name} [waited and waited|asked everyone], but he did not come.
        "[He is ill|He is sick in bed]," said {pal}. "He lives in the [little|old] house by the [mill|bridge|church]."
        {name} [picked some flowers|made some soup|took some fresh bread] and went to visit him, and {pal} came along.
        The old man was [lying in bed|sitting by the window], and he looked sad and [tired|pale].
        "I can not play any more," he said. "My hands are too [weak|old]."
        "Then please teach me," said {name}. "I will play for you."
        The old man smiled for the first time. So {name} came back every day and learned.
        ?At first, it sounded like [a sick goose|an angry cat|a rusty door], and {pal} covered {phis} ears!
        But little by little, the music became [sweet|beautiful|better].
        When summer came, {name} played in the [square|park] in front of everyone.
        The old man sat in the first row, and there were tears of joy in his eyes.
        "Now the {instrument} is yours," he said. "Music [must never stop|lives as long as we share it]."
        {name} thanked him and played [one more song|until the moon came up].
        """,
    ),
]

OPENINGS = """
Once upon a time, there was {intro} named {name}.
Once upon a time, there was {intro} named {name}.
Once upon a time, there was {intro} named {name}.
Once upon a time, {intro} named {name} lived [in a small village|near a big forest|by the sea|at the foot of a hill|in a quiet valley].
Once upon a time, {intro} named {name} lived with {his} {elder} [in a small village|near a big forest|by the sea|in a little house].
[Long ago|A long time ago|Many years ago], there was {intro} named {name}.
There once was {intro} named {name}.
{name} was {intro}.
"""

ENDINGS = """
And they all lived happily ever after.
The end.
It was a day that {name} would never forget.
What a wonderful day it was!
{name} went to bed with a smile that night.
"""

BRIDGES = """
The next [day|morning|week] brought a new adventure.
But that was not the end of {name}'s adventures.
[A few days|Some weeks|One month] later, something new happened.
"""
