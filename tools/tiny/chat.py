"""Conversations: lists of {"role", "content"} messages that end with an assistant turn."""

from facts import arithmetic_question, fact_question, reading_question
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


def _story_turn(rng):
    kind = rng.randrange(4)
    if kind == 0:
        about, text = "", story(rng)
    elif kind == 1:
        text = story(rng, hero_animal=False)
        about = " about a girl" if " girl" in text.split(".")[0] else " about a boy"
    else:
        animal = pick(rng, ANIMALS)
        about, text = f" about a {animal}", story(rng, hero_kind=animal)
    return expand(rng, rng.choice(_STORY_REQUESTS), {"about": about}), text


def _turn(rng):
    kind = rng.choices(
        [arithmetic_question, fact_question, reading_question, _story_turn, None],
        weights=[30, 28, 16, 14, 12],
    )[0]
    if kind is not None:
        return kind(rng)
    question, answer = rng.choice(_SOCIAL)
    return expand(rng, question, {}), answer


def conversation(rng, family):
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
    for _ in range(rng.choice([1, 1, 1, 2, 3, 4, 5])):
        question, answer = _turn(rng)
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return messages
