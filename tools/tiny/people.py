"""The characters of the stories.

A character keeps name, kind and pronouns for the whole story: `cast` returns them as the slots that
the plots in plots.py refer to ({name}, {he}, {him}, {his}, and {pal}, {phe}, {phim}, {phis}).
"""

from grammar import pick

GIRLS = "Mia|Lily|Anna|Zoe|Ella|Rosa|Nora|Ivy|Clara|Emma|Lucy|Sara"
BOYS = "Tom|Ben|Sam|Max|Leo|Jack|Finn|Oscar|Noah|Theo|Peter|Dan"
ANIMALS = (
    "fox|rabbit|bear|mouse|owl|duck|squirrel|hedgehog|frog|turtle|kitten|puppy|piglet|goat|lamb|"
    "pony|monkey|penguin|elephant|lion"
)
SHE_NAMES = "Bella|Daisy|Coco|Ruby|Hazel|Penny|Molly|Tilly"
HE_NAMES = "Pip|Rusty|Milo|Toby|Otto|Bruno|Felix|Charlie"

SHE = ("she", "her", "her", "herself")
HE = ("he", "him", "his", "himself")

CHILD_ADJECTIVES = "little|young|kind|curious|cheerful|brave|clever|happy|quiet"
ANIMAL_ADJECTIVES = "little|small|young|curious|cheerful|brave|clever|friendly|shy|playful"

CHILD_TRAITS = [
    "{he} had [short|long|curly] [brown|black|red|blond] hair and a big smile.",
    "{he} loved to [sing|dance|read books|draw pictures|play outside|ask questions].",
    "{he} always wore [a blue hat|red boots|a yellow coat|green socks|a warm scarf].",
    "{he} lived in a [small|little|cosy] [white|red|yellow|brick] house "
    "near the [forest|river|sea|park|hill].",
]
ANIMAL_TRAITS = [
    "{he} had [bright|big|round|shiny] eyes and a [warm|kind|good] heart.",
    "{he} loved to [sing|dance|play outside|look at the clouds|ask questions|make new friends].",
    "{he} lived in a [small|cosy|quiet|snug] home [under an old tree|near the river|"
    "at the edge of the forest|behind the green hill|by the big pond].",
]


def _pronouns(prefix, forms):
    he, him, his, self_ = forms
    return {
        prefix + "he": he,
        prefix + "him": him,
        prefix + "his": his,
        prefix + "self": self_,
        prefix + "He": he.capitalize(),
        prefix + "His": his.capitalize(),
    }


def _character(rng, prefix, animal, taken):
    girl = rng.random() < 0.5
    if animal:
        names = SHE_NAMES if girl else HE_NAMES
        kind = pick(rng, ANIMALS)
        adjective = pick(rng, ANIMAL_ADJECTIVES)
        trait = rng.choice(ANIMAL_TRAITS)
    else:
        names = GIRLS if girl else BOYS
        kind = "girl" if girl else "boy"
        adjective = pick(rng, CHILD_ADJECTIVES)
        trait = rng.choice(CHILD_TRAITS)
    name = rng.choice([n for n in names.split("|") if n not in taken])
    slots = {"name": name, "kind": kind, "adj": adjective, "trait": trait}
    slots = {prefix + key: value for key, value in slots.items()}
    slots.update(_pronouns(prefix, SHE if girl else HE))
    return slots


def cast(rng, hero_animal=None, hero_kind=None):
    """Slots of a hero, a friend of the same sort (prefix p) and a grown-up (prefix g).

    `hero_animal` forces a child (False) or an animal (True); `hero_kind` names the animal.
    """
    if hero_kind is not None:
        hero_animal = True
    if hero_animal is None:
        hero_animal = rng.random() < 0.45
    slots = _character(rng, "", hero_animal, ())
    if hero_kind is not None:
        slots["kind"] = hero_kind
    pal = _character(rng, "p", hero_animal, (slots["name"],))
    while hero_animal and pal["pkind"] == slots["kind"]:
        pal["pkind"] = pick(rng, ANIMALS)
    slots.update(pal)
    # The friend is called by name once {pal} is known.
    slots["pal"] = slots["pname"]
    woman = rng.random() < 0.5
    elders = "mother|grandmother|aunt" if woman else "father|grandfather|uncle"
    slots["elder"] = pick(rng, elders)
    slots.update(_pronouns("g", SHE if woman else HE))
    return slots
