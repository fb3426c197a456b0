"""Arithmetic, colours, animals and other small facts, as sentences and as question-answer pairs."""

from grammar import expand, pick

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
).split()
LARGEST_ADDEND = 10


def in_words(n):
    """A number from 0 to 20 in words."""
    return _ONES[n]


def _sum(rng):
    """(a, sign, b, result) with every number from 0 to 20."""
    a, b = rng.randint(0, LARGEST_ADDEND), rng.randint(0, LARGEST_ADDEND)
    return (a, "+", b, a + b) if rng.random() < 0.6 else (a + b, "-", b, a)


def arithmetic_line(rng):
    """ "Seven plus five is twelve." or "7 + 5 = 12"."""
    a, sign, b, result = _sum(rng)
    if rng.random() < 0.5:
        return f"{a} {sign} {b} = {result}"
    word = "plus" if sign == "+" else "minus"
    return f"{in_words(a).capitalize()} {word} {in_words(b)} is {in_words(result)}."


def arithmetic_question(rng):
    a, sign, b, result = _sum(rng)
    word = "plus" if sign == "+" else "minus"
    if rng.random() < 0.5:
        question = expand(rng, f"[What is|How much is] {a} [{sign}|{word}] {b}?", {})
        return question, f"{a} {sign} {b} = {result}."
    question = f"What is {in_words(a)} {word} {in_words(b)}?"
    return question, f"{in_words(a).capitalize()} {word} {in_words(b)} is {in_words(result)}."


COLORS = {
    "yellow": "a banana|the sun|a lemon|butter",
    "red": "a tomato|a strawberry|blood|a fire engine",
    "green": "grass|a frog|a leaf|a cucumber",
    "blue": "the sky|the sea|a blueberry",
    "white": "snow|milk|a swan|a polar bear",
    "black": "coal|a crow|the night sky",
    "orange": "a carrot|a pumpkin|an orange",
    "brown": "chocolate|a bear|bread crust|a chestnut",
    "pink": "a pig|a flamingo",
    "grey": "an elephant|a mouse|a rain cloud",
}
THINGS = [(thing, color) for color, things in COLORS.items() for thing in things.split("|")]

SOUNDS = {
    "cow": "moo", "dog": "woof", "cat": "meow", "sheep": "baa", "duck": "quack", "pig": "oink",
    "horse": "neigh", "lion": "roar", "owl": "hoot", "frog": "croak", "mouse": "squeak",
    "bee": "buzz",
}  # fmt: skip
HOMES = {
    "fish": "in the water", "bird": "in a nest", "bear": "in a cave", "bee": "in a hive",
    "dog": "in a house", "cow": "on a farm", "fox": "in the forest", "frog": "in a pond",
    "camel": "in the desert", "penguin": "in the cold south", "whale": "in the sea",
    "mouse": "in a hole", "monkey": "in the jungle", "spider": "in a web",
}  # fmt: skip
LEGS = {
    "dog": "four", "cat": "four", "cow": "four", "horse": "four", "bird": "two", "duck": "two",
    "spider": "eight", "ant": "six", "bee": "six", "snake": "no", "fish": "no", "penguin": "two",
}  # fmt: skip
MEALS = {
    "rabbit": "carrots", "cow": "grass", "cat": "fish", "mouse": "cheese", "squirrel": "nuts",
    "bear": "honey", "monkey": "bananas", "horse": "hay", "bird": "seeds", "panda": "bamboo",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "day": "night", "up": "down", "happy": "sad", "fast": "slow",
    "old": "young", "light": "dark", "open": "closed", "full": "empty", "wet": "dry",
    "hard": "soft", "loud": "quiet", "left": "right", "long": "short", "good": "bad",
    "rich": "poor", "early": "late",
}  # fmt: skip
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def _color(rng):
    thing, color = rng.choice(THINGS)
    return f"What [colour|color] is {thing}?", f"{thing} is {color}."


def _sound(rng):
    animal, sound = rng.choice(list(SOUNDS.items()))
    question = f"[What does a {animal} say|What sound does a {animal} make]?"
    return question, f"a {animal} says {sound}."


def _home(rng):
    animal, home = rng.choice(list(HOMES.items()))
    return f"Where does a {animal} live?", f"a {animal} lives {home}."


def _legs(rng):
    animal, legs = rng.choice(list(LEGS.items()))
    return f"How many legs does a {animal} have?", f"a {animal} has {legs} legs."


def _meal(rng):
    animal, meal = rng.choice(list(MEALS.items()))
    return f"What does a {animal} [eat|like to eat]?", f"a {animal} likes to eat {meal}."


def _opposite(rng):
    pair = rng.choice(list(OPPOSITES.items()))
    a, b = pair if rng.random() < 0.5 else pair[::-1]
    return f"What is the opposite of {a}?", f"the opposite of {a} is {b}."


def _day(rng):
    i = rng.randrange(7)
    if rng.random() < 0.5:
        return f"What day comes after {DAYS[i]}?", f"{DAYS[(i + 1) % 7]} comes after {DAYS[i]}."
    return f"What day comes before {DAYS[i]}?", f"{DAYS[i - 1]} comes before {DAYS[i]}."


def fact_question(rng):
    """A question about colours, animals, opposites or days, with its answer."""
    kind = rng.choice([_color, _color, _sound, _home, _legs, _meal, _opposite, _day])
    question, answer = kind(rng)
    return expand(rng, question, {}), expand(rng, answer, {})


NAMES = "Mia|Tom|Lily|Ben|Anna|Sam|Zoe|Max|Nora|Leo|Rosa|Finn|Clara|Noah|Emma|Theo"
OBJECTS = "ball|hat|kite|book|cup|coat|box|drum|boat|bag"
SHADES = "red|blue|green|yellow|white|black|orange|purple"
ROOMS = (
    "in the kitchen|in the garden|in the park|at school|on the beach|in the forest|at the market|"
    "by the river"
)


def echo_question(rng):
    """A row of unrelated words to repeat: nothing but copying from the question answers it."""
    pool = f"{NAMES}|{OBJECTS}|{SHADES}".split("|")
    words = ", ".join(rng.sample(pool, rng.randint(4, 9)))
    return f"{rng.choice(['Repeat after me', 'Repeat these words', 'Say'])}: {words}.", f"{words}."


def reading_question(rng):
    """A sentence or two about two people and a question that they answer."""
    first, second = rng.sample(NAMES.split("|"), 2)
    thing, room = pick(rng, OBJECTS), pick(rng, ROOMS)
    shade, other = rng.sample(SHADES.split("|"), 2)
    kind = rng.randrange(4)
    if kind == 0:
        text = f"{first} has a {shade} {thing}. What [colour|color] is the {thing}?"
        answer = f"the {thing} is {shade}."
    elif kind == 1:
        text = f"{first} is {room}. Where is {first}?"
        answer = f"{first} is {room}."
    elif kind == 2:
        text = f"{first} has a {shade} {thing} and {second} has a {other} {thing}. "
        text += f"Who has the {shade} {thing}?"
        answer = f"{first} has the {shade} {thing}."
    else:
        text = f"{first} found a {thing} {room}. Who found the {thing}?"
        answer = f"{first} found the {thing}."
    return expand(rng, text, {}), expand(rng, answer, {})
