"""Conversations: lists of {"role", "content"} messages that end with an assistant turn."""

from facts import arithmetic_question, echo_question, fact_question, reading_question
from grammar import expand, pick
from people import ANIMALS
from stories import story

SYSTEM_TEXTS = (
    "You are a helpful assistant.|You are a kind assistant who tells stories to children.|"
    "Answer in one short sentence.|You are a friendly teacher.|You answer simple questions."
)

_SOCIAL = [
    ("[Hello|Hi|Hello there|Good morning]!", "Hello! How can I help you today?"),
    ("How are you?", "I am fine, thank you. How can I help you?"),
    (
        "Who are you?",
        "I am a very small language model. I tell stories and answer simple questions.",
    ),
    ("What is your name?", "I have no name. I am a very small language model."),
    ("What can you do?", "I can tell stories, add small numbers and answer simple questions."),
    ("[Thank you|Thanks|Thank you very much]!", "You are welcome!"),
    ("[Goodbye|Bye|Good night]!", "Goodbye! Have a nice day!"),
]

_STORY_REQUESTS = [
    "Tell me a [short|] story{about}.",
    "Can you tell me a story{about}?",
    "Please tell me a [little|] story{about}.",
    "Write a [short|] story{about}.",
    "I want to hear a story{about}.",
]


# Share of each kind of turn, in the order of _turn, and the possible numbers of turns, by phase.
# The second phase of training asks for what the first one learns slowly: sums, and copying names
# and things from the question.
TURN_WEIGHTS = {1: (30, 28, 16, 14, 12, 0), 2: (34, 20, 20, 8, 4, 14)}
TURN_COUNTS = {1: (1, 1, 1, 2, 3, 4, 5), 2: (1, 2, 3, 4, 5, 6, 8)}
# Heroes of requested stories.
STORY_ANIMALS = {1: ANIMALS, 2: ANIMALS + "|cat|dog|pig|horse|cow|bird"}


def _story_turn(rng, phase):
    kind = rng.randrange(4)
    if kind == 0:
        about, text = "", story(rng)
    elif kind == 1:
        text = story(rng, hero_animal=False)
        about = " about a girl" if " girl" in text.split(".")[0] else " about a boy"
    else:
        animal = pick(rng, STORY_ANIMALS[phase])
        about, text = f" about a {animal}", story(rng, hero_kind=animal)
    return expand(rng, rng.choice(_STORY_REQUESTS), {"about": about}), text


def _social_turn(rng):
    question, answer = rng.choice(_SOCIAL)
    return expand(rng, question, {}), answer


def _turn(rng, phase):
    kinds = (
        arithmetic_question,
        fact_question,
        reading_question,
        lambda rng: _story_turn(rng, phase),
        _social_turn,
        echo_question,
    )
    return rng.choices(kinds, weights=TURN_WEIGHTS[phase])[0](rng)


def conversation(rng, family, phase):
    """Messages of one to five turns, some with a system turn as the family's users write it."""
    messages = []
    if family == "mimo":
        # The template inserts a default text where there is no system message; the model's
        # authors recommend an empty one.
        kind = rng.random()
        if kind < 0.4:
            messages.append({"role": "system", "content": ""})
        elif kind < 0.6:
            messages.append({"role": "system", "content": pick(rng, SYSTEM_TEXTS)})
    elif rng.random() < 0.3:
        messages.append({"role": "system", "content": pick(rng, SYSTEM_TEXTS)})
    for _ in range(rng.choice(TURN_COUNTS[phase])):
        question, answer = _turn(rng, phase)
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return messages
