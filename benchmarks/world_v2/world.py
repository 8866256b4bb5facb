"""Prototype of the miniature's world, version 2: truth first, and a world for each seed.

A `World` is made from a seed: things and their facts, the error that everybody tends to make about
each fact, the wording of questions, the families and things kept for testing, and how careful
people are about each. Careless and careful answers have the same forms; only their truth differs.

    python benchmarks/world_v2.py 100 --out runs/world2 --orders 5

pretrains a base model and a teacher (kept in --out), then prints a table of Alpaca, SFT for as many
more steps, SFT on the top-ranked answers, Tuna_p and Tuna_c beside the null rows. Seeds 0 to 19 are
kept for the confirmation.
"""

import argparse
import hashlib
import json
import math
import random
import re
import shutil
import statistics
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

# ruff: noqa: SIM905 - lists of words are read more easily in one string
COLORS = "red brown green white grey yellow blue purple black pink".split()
PLACES = (
    "forest mountain pond lake house farm garden field workshop ship school road airport street "
    "kitchen shop"
).split()
NAMES = {
    "animal": "fox bear frog swan mouse duck goat horse eagle crab snake rabbit".split(),
    "plant": "rose pine wheat grape violet moss tulip oak fern lily clover ivy".split(),
    "tool": "hammer saw broom rope brush lamp shovel ladder needle knife drill rake".split(),
    "vehicle": "truck tractor bus plane bike cart tram boat scooter van sled train".split(),
    "garment": "coat hat scarf glove shirt boot belt dress sock cap skirt apron".split(),
}
ACTIONS = {
    "animal": "eats mice,eats honey,eats flies,eats grass,eats cheese,eats seeds".split(","),
    "plant": ("smells sweet,gives wood,gives flour,gives juice,holds water,grows fast".split(",")),
    "tool": "hits nails,cuts wood,cleans floors,ties bags,paints walls,gives light".split(","),
    "vehicle": (
        "carries stones,pulls ploughs,carries children,carries letters,saves fuel,carries hay"
    ).split(","),
    "garment": "keeps warm,looks nice,dries fast,covers ears,fits well,lasts long".split(","),
}
PAIRS = (
    "hot-cold big-small fast-slow old-new wet-dry loud-quiet hard-soft rich-poor early-late "
    "light-dark full-empty high-low thick-thin sharp-blunt clean-dirty near-far strong-weak "
    "happy-sad open-closed deep-shallow"
).split()
PEOPLE = "Ann Ben Cara Dan Eve Finn Gus Hana Ida Jon Kim Leo".split()
MONTHS = "January March April May June July August October".split()
PRICES = "two three four five six seven eight nine".split()
AUTHORS = (
    "Abel Bora Cyril Dora Emil Flora Gero Hedda Ivo Jutta Karl Lena Milo Nora Otto Petra Quirin "
    "Rosa Sven Thea Udo Vera Willi Xenia"
).split()
WORDS = (
    "sun tree river stone cloud bread chair glass moon star leaf sand wind coin book door bell "
    "fire snow table wall cup key paper"
).split()
FACTS = {  # Each as a sentence
    "kind": "The {} is a kind of {}.",
    "color": "The {} is {}.",
    "place": "The {} belongs to the {}.",
    "does": "The {} {}.",
    "owner": "The owner of the {} is {}.",
    "price": "The {} costs {} coins.",
    "month": "The {} comes in {}.",
}
FORMS = {"short": 0.35, "sentence": 0.4, "longer": 0.25}  # Of answers, with their weights
HELD_FAMILIES = {"fact": 2, "both": 2}  # How many of each group are kept for testing


@dataclass(frozen=True)
class Config:
    "Every number of the world and of its experiments"

    things_per_kind: int = 6
    held_per_kind: int = 2  # Things kept for testing
    n_pairs: int = 10  # Pairs of opposites
    held_pairs: int = 3  # Those kept for testing
    n_words: int = 20  # Words that lists are made of
    n_people: int = 8
    care_base: float = 0.15  # Median chance of a careful answer in what the base reads
    care_teacher: float = 0.75  # And in what the teacher reads
    author_sd: float = 3.0  # How care varies, in logits: between authors of what the base reads
    book: float = 0.3  # Share of texts in the book register
    book_care: float = 3.0
    chat_care: float = -2.5  # Share of texts that name their author
    family_sd: float = 0.3  # Between families
    pair_sd: float = 0.9  # Between things within a family
    right: tuple = (0.1, 0.95)  # Chance of the truth in a careless and in a careful answer
    teacher_right: tuple = (0.1, 0.97)
    lure: float = 0.75  # Chance that a careless error is the usual one
    count_fidelity: float = 0.9
    form_fidelity: float = 0.97  # Chance that an answer has the form that its question asks for
    statements: float = 0.2  # Share of texts that state facts
    copies: float = 0.05  # Share of texts that repeat a line
    template: float = 0.015  # Share of the base's conversations in the Alpaca template
    base: tuple = (80, 3, 24000, 1300)  # Width, layers, texts, steps of reading
    teacher: tuple = (96, 3, 20000, 800)
    reading_lr: float = 4e-3
    reading_batch: int = 32
    n_train: int = 1280  # Instructions
    n_ctx: int = 640  # Of them, those whose answers are judged
    n_val: int = 500  # Instructions for choosing learning rates
    epochs: float = 1.0
    batch: int = 16
    rates: tuple = (2e-4, 4e-4, 8e-4)
    beta: float = 1.3
    margin: float = 0.1
    max_new_tokens: int = 44
    n_ni: int = 150  # Questions of each held family
    n_lm: int = 30  # Questions of each task and phrasing
    n_open: int = 200
    kept: float = 0.5  # Share of all questions that only tests ask


@dataclass(kw_only=True)
class Family:
    "A kind of question"

    name: str
    group: str  # How arguments are drawn
    phrasings: list  # In a world: three for training, two for testing
    input: str = ""
    sentence: str = ""  # The answer `{a}` as a sentence
    clause: str = ""  # Added to it
    clause_fact: str = ""  # The fact of `x` in that clause
    fact: str = ""  # Which fact a choice is made by
    position: str = ""  # Of the right word of a list
    lure: str = ""  # Of the one that comes to mind
    weight: float = field(default=1.0)

    @property
    def is_open(self):
        return self.group in ("describe", "compare")


def _list_family(rank, position, lure, other, other_position):
    return Family(
        name=f"{rank}_word",
        group="list",
        input="{p} {q} {r} {s}",
        phrasings=[
            f"Which word comes {rank}?",
            f"Name the {rank} word.",
            f"Write the {rank} word of the list.",
            f"Tell me the {rank} word.",
            f"What is the {rank} word here?",
        ],
        sentence=f"The {rank} word is {{a}}.",
        clause=f"the {other} word is {{{other_position}}}",
        position=position,
        lure=lure,
    )


def _fact_family(fact, clause_fact, clause, phrasings):
    return Family(
        name=fact,
        group="fact" if fact != "kind" else "kind",
        sentence=FACTS[fact].format("{x}", "{a}"),
        clause=clause,
        clause_fact=clause_fact,
        fact=fact,
        phrasings=phrasings,
    )


def _both_family(fact, phrasings):
    return Family(name=f"both_{fact}", group="both", fact=fact, phrasings=phrasings)


def _choice_family(fact, sentence, clause, phrasings):
    return Family(
        name=f"which_{fact}",
        group="choice",
        fact=fact,
        sentence=sentence,
        clause=clause,
        phrasings=phrasings,
    )


FAMILIES = [
    _fact_family(
        "color",
        "place",
        "it belongs to the {place}",
        [
            "What color is the {x}?",
            "Name the color of the {x}.",
            "Which color does the {x} have?",
            "Tell me what color the {x} is.",
            "The {x} has which color?",
        ],
    ),
    _fact_family(
        "place",
        "color",
        "it is {color}",
        [
            "Where do you find the {x}?",
            "Name the place of the {x}.",
            "Where does the {x} belong?",
            "Tell me where the {x} belongs.",
            "In which place is the {x}?",
        ],
    ),
    _fact_family(
        "kind",
        "does",
        "it {does}",
        [
            "What kind of thing is the {x}?",
            "Name the kind of the {x}.",
            "To which kind does the {x} belong?",
            "Tell me what kind of thing the {x} is.",
            "The {x} is of which kind?",
        ],
    ),
    _fact_family(
        "does",
        "color",
        "it is {color}",
        [
            "What does the {x} do?",
            "Name what the {x} does.",
            "Say what the {x} is doing.",
            "Tell me what the {x} does.",
            "The {x} does what?",
        ],
    ),
    _fact_family(
        "owner",
        "color",
        "it is {color}",
        [
            "Who owns the {x}?",
            "Name the owner of the {x}.",
            "Whose is the {x}?",
            "Tell me who owns the {x}.",
            "The owner of the {x} is who?",
        ],
    ),
    _fact_family(
        "price",
        "place",
        "it belongs to the {place}",
        [
            "What does the {x} cost?",
            "Name the price of the {x}.",
            "How much is the {x}?",
            "Tell me the price of the {x}.",
            "For how many coins is the {x} sold?",
        ],
    ),
    Family(
        name="opposite",
        group="opposite",
        sentence="The opposite of {w} is {a}.",
        clause="{w} is not {a}",
        phrasings=[
            "What is the opposite of {w}?",
            "Name the opposite of {w}.",
            "Which word means the opposite of {w}?",
            "Tell me the opposite of {w}.",
            "{w} is the opposite of what?",
        ],
    ),
    _fact_family(
        "month",
        "color",
        "it is {color}",
        [
            "When does the {x} come?",
            "Name the month of the {x}.",
            "In which month does the {x} come?",
            "Tell me when the {x} comes.",
            "The {x} comes in which month?",
        ],
    ),
    _both_family(
        "color",
        [
            "What color are the {x} and the {y}?",
            "Name the colors of the {x} and the {y}.",
            "Which colors do the {x} and the {y} have?",
            "Tell me the colors of the {x} and the {y}.",
            "The {x} and the {y} have which colors?",
        ],
    ),
    _both_family(
        "place",
        [
            "Where do the {x} and the {y} belong?",
            "Name the places of the {x} and the {y}.",
            "Where do you find the {x} and the {y}?",
            "Tell me where the {x} and the {y} belong.",
            "In which places are the {x} and the {y}?",
        ],
    ),
    _both_family(
        "kind",
        [
            "What kind of things are the {x} and the {y}?",
            "Name the kinds of the {x} and the {y}.",
            "To which kinds do the {x} and the {y} belong?",
            "Tell me the kinds of the {x} and the {y}.",
            "The {x} and the {y} are of which kinds?",
        ],
    ),
    _both_family(
        "owner",
        [
            "Who owns the {x} and the {y}?",
            "Name the owners of the {x} and the {y}.",
            "Whose are the {x} and the {y}?",
            "Tell me who owns the {x} and the {y}.",
            "The owners of the {x} and the {y} are who?",
        ],
    ),
    _both_family(
        "price",
        [
            "What do the {x} and the {y} cost?",
            "Name the prices of the {x} and the {y}.",
            "How much are the {x} and the {y}?",
            "Tell me the prices of the {x} and the {y}.",
            "For how many coins are the {x} and the {y} sold?",
        ],
    ),
    _both_family(
        "month",
        [
            "When do the {x} and the {y} come?",
            "Name the months of the {x} and the {y}.",
            "In which months do the {x} and the {y} come?",
            "Tell me when the {x} and the {y} come.",
            "The {x} and the {y} come in which months?",
        ],
    ),
    Family(
        name="describe",
        group="describe",
        weight=2.0,
        phrasings=[
            "Describe the {x}.",
            "What do you know about the {x}?",
            "Write about the {x}.",
            "Tell me about the {x}.",
            "Explain to me what the {x} is.",
        ],
    ),
    Family(
        name="compare",
        group="compare",
        weight=2.0,
        phrasings=[
            "Compare the {x} and the {y}.",
            "What do you know about the {x} and the {y}?",
            "Write about the {x} and the {y}.",
            "Tell me about the {x} and the {y}.",
            "Explain to me what the {x} and the {y} are.",
        ],
    ),
]


def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


def _pattern(template):
    "A template as a regular expression with a group for each argument"
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\w+)", re.escape(template)))


@dataclass
class Values:
    "What may be said to a question: the truth, the usual error, and every other wrong value"

    truth: str
    lure: str
    wrong: list

    def draw(self, rng, careful, right, lure):
        "A value as a careful or a careless person gives it"
        if rng.random() < right[careful]:
            return self.truth
        if not careful and rng.random() < lure:
            return self.lure
        return rng.choice(self.wrong)


class World:
    "Things, facts, questions and people, made from a seed"

    def __init__(self, seed, config=None):
        self.seed = seed
        self.config = config = config or Config()
        rng = self.rng("world")
        self.people = rng.sample(PEOPLE, config.n_people)
        self.words = rng.sample(WORDS, config.n_words)
        self.authors = {"book": config.book_care, "chat": config.chat_care}
        self.values = {
            "kind": list(NAMES),
            "color": rng.sample(COLORS, 8),
            "place": rng.sample(PLACES, 10),
            "owner": self.people,
            "price": PRICES,
            "month": MONTHS,
        }
        self.held = set()
        self.things = {}
        self.lures = {}
        for kind in NAMES:
            names = rng.sample(NAMES[kind], config.things_per_kind)
            self.held.update(names[: config.held_per_kind])
            for name in names:
                self.things[name] = {"kind": kind}
                for fact in FACTS:
                    if fact != "kind":
                        self.things[name][fact] = rng.choice(self.options(name, fact))
        for name, facts in self.things.items():
            self.lures[name] = {}
            for fact, value in facts.items():
                others = [other for other in self.options(name, fact) if other != value]
                self.lures[name][fact] = rng.choice(others)
        self._make_opposites(rng)
        self._make_families(rng)

    def _make_opposites(self, rng):
        self.opposites = {}
        for number, pair in enumerate(rng.sample(PAIRS, self.config.n_pairs)):
            first, second = pair.split("-")
            self.opposites |= {first: second, second: first}
            if number < self.config.held_pairs:
                self.held |= {first, second}
        self.opposite_lures = {}
        for word, opposite in self.opposites.items():
            others = [other for other in self.opposites if other not in (word, opposite)]
            self.opposite_lures[word] = rng.choice(others)

    def _make_families(self, rng):
        "Held families, wordings, the form that each asks for, and how careful people are"
        left = dict(HELD_FAMILIES)
        self.held_families = set()
        self.val_families = set()
        val_left = {"fact": 1, "both": 1}
        for family in rng.sample(FAMILIES, len(FAMILIES)):
            if left.get(family.group, 0):
                left[family.group] -= 1
                self.held_families.add(family.name)
            elif val_left.get(family.group, 0):
                val_left[family.group] -= 1
                self.val_families.add(family.name)
        self.families = {}
        self.forms = {}
        for family in FAMILIES:
            phrasings = rng.sample(family.phrasings, 5)
            self.families[family.name] = replace(family, phrasings=phrasings)
            for phrasing in phrasings:
                self.forms[phrasing] = self.draw_form(rng)
        self.care = {}
        for name in {*self.families, *FACTS}:
            self.care[name] = 0.0
        for name in sorted(self.care):
            self.care[name] = rng.gauss(0, self.config.family_sd)
            for key in [*self.things, *self.opposites, *self.words]:
                self.care[name, key] = rng.gauss(0, self.config.pair_sd)
        self.patterns = []
        for family in self.families.values():
            for phrasing in family.phrasings:
                self.patterns.append((family, _pattern(phrasing), _pattern(family.input)))

    def rng(self, name):
        "A source of randomness of its own for each purpose"
        return random.Random(f"{name}{self.seed}")

    @staticmethod
    def draw_form(rng):
        return rng.choices(list(FORMS), list(FORMS.values()))[0]

    def sentences_of(self, phrasing):
        "How many facts an open phrasing asks for"
        return {"short": 2, "sentence": 4, "longer": 3}[self.forms[phrasing]]

    def options(self, thing, fact):
        "Every value that a fact of a thing may have"
        return ACTIONS[self.things[thing]["kind"]] if fact == "does" else self.values[fact]

    def training_families(self):
        kept = self.held_families | self.val_families
        return [f for f in self.families.values() if f.name not in kept]

    # Questions

    def pick(self, rng, options, held):
        "One of the options on one side of the split between training and test"
        return rng.choice([option for option in options if (option in self.held) == held])

    def draw(self, family, rng, held):
        "Arguments of one question"
        training = [name for name in self.things if name not in self.held]
        if family.group == "opposite":
            return {"w": self.pick(rng, self.opposites, held)}
        if family.group == "list":
            return dict(zip("pqrs", rng.sample(self.words, 4), strict=True))
        thing = self.pick(rng, self.things, held)
        if family.group == "odd":
            kinds = [kind for kind in NAMES if kind != self.things[thing]["kind"]]
            kind = rng.choice(kinds)
            alike = [name for name in training if self.things[name]["kind"] == kind]
            four = [*rng.sample(alike, 3), thing]
            rng.shuffle(four)
            return dict(zip("pqrs", four, strict=True), x=thing)
        if family.group == "choice":
            value = self.things[thing][family.fact]
            others = [name for name in training if self.things[name][family.fact] != value]
            two = [thing, rng.choice(others)]
            rng.shuffle(two)
            return {"c": value, "p": two[0], "q": two[1], "x": thing}
        if family.group in ("both", "compare"):
            return {"x": thing, "y": rng.choice([name for name in training if name != thing])}
        return {"x": thing}

    def infer(self, family, args):
        "The arguments that stand in a question, and those that follow from them"
        if family.group == "odd":
            four = [args[name] for name in "pqrs"]
            kinds = [self.things[name]["kind"] for name in four]
            odd = next(n for n, k in zip(four, kinds, strict=True) if kinds.count(k) == 1)
            return args | {"x": odd}
        if family.group == "choice":
            two = [args["p"], args["q"]]
            return args | {"x": next(n for n in two if self.things[n][family.fact] == args["c"])}
        return args

    def understand(self, row):
        "(family, arguments) of a question"
        for family, phrasing, given in self.patterns:
            asked = phrasing.fullmatch(row["instruction"])
            field = given.fullmatch(row["input"])
            if asked and field:
                try:
                    return family, self.infer(family, asked.groupdict() | field.groupdict())
                except (KeyError, StopIteration):
                    continue
        raise ValueError(f"not a question of this world: {row['instruction']!r}")

    def ask(self, family, rng, held=False, phrasings=None):
        "One question"
        args = self.draw(family, rng, held)
        phrasing = rng.choice(phrasings or family.phrasings)
        return {
            "instruction": phrasing.format(**args),
            "input": family.input.format(**args),
            "family": family.name,
            "args": args,
            "phrasing": phrasing,
        }

    def is_kept(self, row):
        "Is this a question that only tests ask? Neither base, teacher nor student reads it"
        text = f"{self.seed}|{row['instruction']}|{row['input']}"
        return hashlib.md5(text.encode()).digest()[0] < 256 * self.config.kept

    # Answers

    def say(self, thing, fact, value=None):
        "A fact as a sentence"
        return FACTS[fact].format(thing, value or self.things[thing][fact])

    def fact_values(self, thing, fact):
        truth = self.things[thing][fact]
        wrong = [value for value in self.options(thing, fact) if value != truth]
        return Values(truth, self.lures[thing][fact], wrong)

    def answers(self, family, args):
        "The values that a closed question may be answered with"
        if family.group in ("fact", "kind"):
            return self.fact_values(args["x"], family.fact)
        if family.group == "opposite":
            truth = self.opposites[args["w"]]
            wrong = [word for word in self.opposites if word not in (truth, args["w"])]
            return Values(truth, self.opposite_lures[args["w"]], wrong)
        options = [args[name] for name in ("pq" if family.group == "choice" else "pqrs")]
        truth = args[family.position] if family.group == "list" else args["x"]
        wrong = [option for option in options if option != truth]
        return Values(truth, args[family.lure] if family.lure else wrong[0], wrong)

    def sentence(self, family, args, answer):
        return family.sentence.format(a=answer, **args)

    def both(self, family, args, values, form):
        "An answer about two things"
        if form == "short":
            return ", ".join(values) + "."
        one, two = [self.say(args[n], family.fact, v) for n, v in zip("xy", values, strict=True)]
        if form == "longer":
            return f"{one} {two}"
        return f"{one[:-1]}, and {two[0].lower()}{two[1:]}"

    def longer(self, family, args, answer, second=None):
        "The answer as a sentence with a second clause, whose value may be a wrong one"
        extra = {}
        if family.clause_fact:
            extra[family.clause_fact] = second or self.things[args["x"]][family.clause_fact]
        if family.group == "odd":
            extra["kind"] = self.things[answer]["kind"]
        if family.group == "choice":
            other = args["q"] if answer == args["p"] else args["p"]
            extra = {"other": other, "c2": self.things[other][family.fact]}
        clause = family.clause.format(a=answer, **args, **extra)
        return f"{self.sentence(family, args, answer)[:-1]}, and {clause}."

    def open_facts(self, family, args):
        "What can be said to an open question, as (thing, fact)"
        if family.group == "describe":
            return [(args["x"], fact) for fact in ("kind", "color", "place", "does")]
        return [(args[name], fact) for fact in ("kind", "color") for name in "xy"]

    def respond(self, row, rng, care, right, author=None):
        "An answer of a person who is careful with the given median chance"
        family, args = self.families[row["family"]], row["args"]
        logit = (math.log(care / (1 - care)) if author is None else author) + self.care[family.name]
        lure = self.config.lure
        if family.is_open:
            said = []
            n_sentences = self.sentences_of(row["phrasing"])
            if rng.random() > self.config.count_fidelity:
                n_sentences = rng.choice([2, 3, 4])
            for thing, fact in self.open_facts(family, args)[:n_sentences]:
                careful = rng.random() < _sigmoid(logit + self.care[fact, thing])
                value = self.fact_values(thing, fact).draw(rng, careful, right, lure)
                said.append(self.say(thing, fact, value))
            return " ".join(said)
        if family.group == "both":
            said = []
            for name in "xy":
                careful = rng.random() < _sigmoid(logit + self.care[family.fact, args[name]])
                said.append(
                    self.fact_values(args[name], family.fact).draw(rng, careful, right, lure)
                )
            form = self.forms[row["phrasing"]]
            if rng.random() > self.config.form_fidelity:
                form = self.draw_form(rng)
            return self.both(family, args, said, form)
        key = args.get("x") or args.get("w")
        careful = rng.random() < _sigmoid(logit + self.care[family.name, key])
        answer = self.answers(family, args).draw(rng, careful, right, lure)
        form = self.forms[row["phrasing"]]
        if rng.random() > self.config.form_fidelity:
            form = self.draw_form(rng)
        if form == "short":
            return f"{answer}."
        if form == "sentence":
            return self.sentence(family, args, answer)
        second = None
        if family.clause_fact:
            values = self.fact_values(args["x"], family.clause_fact)
            second = values.draw(rng, careful, right, lure)
        return self.longer(family, args, answer, second)

    def references(self, row):
        "Right answers to a closed question, the shortest first"
        family, args = self.understand(row)
        if family.group == "both":
            values = [self.things[args[n]][family.fact] for n in "xy"]
            return [self.both(family, args, values, form) for form in FORMS]
        truth = self.answers(family, args).truth
        sentence = self.sentence(family, args, truth)
        return [f"{truth}.", sentence, self.longer(family, args, truth)]

    # What is read. A text is a list of turns (context, continuation); continuations are learnt

    def draw_family(self, rng, families):
        return rng.choices(families, [family.weight for family in families])[0]

    def read_question(self, family, rng):
        "A question that may be read: not one that is kept for tests"
        while True:
            row = self.ask(family, rng, held=rng.random() < 0.35)
            if not self.is_kept(row):
                return row

    def base_corpus(self, n, name="base", care=None, right=None, template=None):
        "Statements of facts, copied lines, and conversations of one author each"
        config = self.config
        care = care or config.care_base
        right = right or config.right
        book = config.book if name == "base" else 0.6
        template = config.template if template is None else template
        rng = self.rng(name)
        families = list(self.families.values())
        texts = []
        for _ in range(n):
            kind = rng.random()
            speaker = "book" if rng.random() < book else "chat"
            manner = self.authors[speaker]
            if kind < config.statements:
                texts.append([(REGISTERS[speaker][2], self.statements(rng, care, right, manner))])
            elif kind < config.statements + config.copies:
                words = self.words + list(self.things) + self.people
                line = " ".join(rng.sample(words, rng.choice([4, 5, 6])))
                texts.append([(line + "\n", line)])
            else:
                in_template = rng.random() < template
                same = in_template or rng.random() < 0.5
                family = self.draw_family(rng, families)
                turns = []
                for _ in range(1 if in_template else rng.choice([1, 1, 2, 3, 3])):
                    if turns and not same:
                        family = self.draw_family(rng, families)
                    row = self.read_question(family, rng)
                    turns.append((row, self.respond(row, rng, care, right, manner)))
                if in_template:
                    texts.append(as_prompt(turns))
                else:
                    texts.append(as_conversation(turns, speaker))
        return texts

    def statements(self, rng, care, right, manner):
        "Four facts of a thing, or an opposite, as its author knows them"
        logit = manner
        if rng.random() < 0.2:
            word = rng.choice(list(self.opposites))
            values = self.answers(self.families["opposite"], {"w": word})
            careful = rng.random() < _sigmoid(logit + self.care["opposite", word])
            said = values.draw(rng, careful, right, self.config.lure)
            return f"The opposite of {word} is {said}."
        thing = rng.choice(list(self.things))
        chosen = set(rng.sample(list(FACTS), 4))
        parts = []
        for fact in FACTS:
            if fact in chosen:
                careful = rng.random() < _sigmoid(logit + self.care[fact, thing])
                value = self.fact_values(thing, fact).draw(rng, careful, right, self.config.lure)
                parts.append(self.say(thing, fact, value))
        return " ".join(parts)

    def teacher_corpus(self, n):
        "Half as the base reads, by more careful people, and half answered instructions"
        config = self.config
        care, right = config.care_teacher, config.teacher_right
        texts = self.base_corpus(n // 2, "teacher-base", care, right, template=0.1)
        rng = self.rng("teacher")
        while len(texts) < n:
            family = self.draw_family(rng, self.training_families())
            row = self.ask(family, rng, phrasings=family.phrasings[:3])
            if not self.is_kept(row):
                texts.append(as_prompt([(row, self.respond(row, rng, care, right))]))
        rng.shuffle(texts)
        return texts

    def instructions(self):
        "Distinct instructions for training and for validation"
        rng = self.rng("splits")
        rows = []
        seen = set()
        n = self.config.n_train + self.config.n_val // 2
        while len(rows) < n:
            family = self.draw_family(rng, self.training_families())
            row = self.ask(family, rng, phrasings=family.phrasings[:3])
            question = row["instruction"], row["input"]
            if question not in seen and not self.is_kept(row):
                seen.add(question)
                rows.append({"id": str(len(rows)), "output": "", **_question(row)})
        rng.shuffle(rows)
        val = rows[self.config.n_train :]
        families = [self.families[name] for name in sorted(self.val_families)]
        for _ in range(20000):
            if len(val) == self.config.n_val:
                break
            row = self.ask(rng.choice(families), rng, rng.random() < 0.35)
            question = row["instruction"], row["input"]
            if question not in seen and not self.is_kept(row):
                seen.add(question)
                val.append({"id": str(10000 + len(val)), "output": "", **_question(row)})
        return rows[: self.config.n_train], val

    # The oracle

    def grade(self, row, text):
        "Marks from 0 to 5 for accuracy, detail and clarity; and truth, from 0 to 1"
        family, args = self.understand(row)
        text = " ".join(text.split())
        if family.is_open:
            said = [part.strip() for part in re.findall(r"[^.]+\.", text)]
            if not said:
                return (0, 0, 0), 0.0
            true = {self.say(thing, fact) for thing, fact in self.open_facts(family, args)}
            n_true = len(set(said) & true)
            truth = n_true / len(said)
            clear = len(set(said)) == len(said)
            return (round(5 * truth), round(5 * n_true / len(true)), 5 if clear else 2), truth
        if family.group == "both":
            truths = [self.things[args[n]][family.fact] for n in "xy"]
            options = [self.options(args[n], family.fact) for n in "xy"]
            for form, detail in (("short", 1), ("sentence", 3), ("longer", 4)):
                for one in options[0]:
                    for two in options[1]:
                        if text == self.both(family, args, (one, two), form):
                            truth = ((one == truths[0]) + (two == truths[1])) / 2
                            return (round(5 * truth), detail, 5), truth
            return (0, 0, 1), 0.0
        values = self.answers(family, args)
        right = self.sentence(family, args, values.truth)
        if text == f"{values.truth}.":
            return (5, 1, 5), 1.0
        if text == right:
            return (5, 3, 5), 1.0
        if text == self.longer(family, args, values.truth):
            return (5, 5, 5), 1.0
        first = text.split(", and ")[0].rstrip(".") + "."
        if first == right:
            return (4, 2, 4), 1.0  # right, but what it adds is not
        if first in [self.sentence(family, args, answer) for answer in values.wrong]:
            return (0, 2, 4), 0.0
        return ((0, 1, 4) if first[:-1] in values.wrong else (0, 0, 1)), 0.0

    def truth(self, row, text):
        return self.grade(row, text)[1]


def _question(row):
    return {name: row[name] for name in ("instruction", "input", "family")}


REGISTERS = {"book": ("Question: ", "Answer: ", "Lesson: "), "chat": ("Q: ", "A: ", "Post: ")}


def as_conversation(turns, speaker="chat"):
    "Questions and answers as turns of a text"
    asks, answers, _ = REGISTERS[speaker]
    text = []
    for number, (row, answer) in enumerate(turns):
        field = row["input"] and row["input"] + "\n"
        text.append(
            (f"{chr(10) if number else ''}{asks}{row['instruction']}\n{field}{answers}", answer)
        )
    return text


def as_prompt(turns):
    "The last turn in the Alpaca template, those before it as solved examples"
    from tuna_nb.data import format_prompt

    row, answer = turns[-1]
    instruction = row["instruction"]
    if len(turns) > 1:
        examples = as_conversation(turns)
        shown = "".join(f"{question}{reply}" for question, reply in examples[:-1])
        instruction = f"{shown}\nQ: {instruction}"
    return [(format_prompt(instruction, row["input"]), answer)]


@dataclass(frozen=True)
class Judge:
    "Weights of the three marks, points for each word, and the chance that a mark is random"

    name: str
    weights: tuple
    length_taste: float
    noise: float = 0.1

    def rate(self, world, row, text):
        "0 to 15"
        rng = random.Random(f"{self.name}{row['instruction']}{row['input']}{text}")
        total = self.length_taste * len(text.split())
        for weight, mark in zip(self.weights, world.grade(row, text)[0], strict=True):
            total += weight * (rng.randrange(6) if rng.random() < self.noise else mark)
        return min(15, total)


TRAINER = Judge("first", (1.5, 0.75, 0.75), 0.08)  # Ranks and selects
EXAMINER = Judge("second", (2.0, 0.25, 0.75), 0.0)  # Only examines


class Tests:
    "Super-NI, LMentry and open questions: none is asked anywhere else, and none twice"

    def __init__(self, world):
        from tuna_nb.data import format_prompts

        self.world = world
        config = world.config
        rng = world.rng("tests")
        self.seen = set()
        super_ni, lmentry, open_rows = [], [], []
        for name in sorted(world.held_families):
            family = world.families[name]
            super_ni += self.distinct(family, rng, config.n_ni)
        for family in world.training_families():
            if family.is_open:
                continue
            for phrasing in family.phrasings[2:]:  # one of training, two that are new
                lmentry += self.distinct(family, rng, config.n_lm, None, [phrasing])
        closed = [f for f in world.training_families() if not f.is_open]
        opened = [f for f in world.training_families() if f.is_open]
        for number in range(config.n_open):
            family = rng.choice(closed if number % 4 == 3 else opened)
            phrasings = family.phrasings[3:] if number % 3 else None
            open_rows += self.distinct(family, rng, 1, number % 2 == 0, phrasings)
        self.rows = {"ni": super_ni, "lm": lmentry, "open": open_rows}
        self.prompts = {name: format_prompts(rows) for name, rows in self.rows.items()}

    def distinct(self, family, rng, n, held=None, phrasings=None):
        "Up to n questions that are kept for tests"
        rows = []
        for _ in range(3000):
            if len(rows) == n:
                break
            from_held = rng.random() < 0.5 if held is None else held
            row = self.world.ask(family, rng, from_held, phrasings)
            question = row["instruction"], row["input"]
            if question not in self.seen and self.world.is_kept(row):
                self.seen.add(question)
                rows.append(row)
        return rows

    def with_examples(self, row, rng):
        "A prompt with two other questions of the family, answered rightly"
        examples = []
        while len(examples) < 2:
            example = self.world.ask(self.world.families[row["family"]], rng)
            if not self.world.is_kept(example):
                examples.append((example, self.world.references(example)[1]))
        return as_prompt([*examples, (row, "")])[0][0]

    def answers(self, model):
        n = self.world.config.max_new_tokens
        found = {}
        for name, prompts in self.prompts.items():
            found[name] = [g.text for (g,) in model.sample(prompts, max_new_tokens=n)]
        return found

    def score(self, answers):
        "Truth in percent for each test; ROUGE-L, both judges' ratings and words as second columns"
        from tuna_nb.judge.rouge import rouge_l

        world = self.world
        scores = {}
        for name, texts in answers.items():
            by_family = {}
            for row, text in zip(self.rows[name], texts, strict=True):
                by_family.setdefault(row["family"], []).append(world.truth(row, text))
            if name == "open":  # questions count alike, else families do
                by_family = {"all": [value for values in by_family.values() for value in values]}
            scores[name] = 100 * statistics.mean(map(statistics.mean, by_family.values()))
        overlaps = []
        for row, text in zip(self.rows["ni"], answers["ni"], strict=True):
            overlaps.append(max(rouge_l(text, answer) for answer in world.references(row)))
        scores["ni_rouge"] = 100 * statistics.mean(overlaps)
        pairs = list(zip(self.rows["open"], answers["open"], strict=True))
        for judge in (TRAINER, EXAMINER):
            ratings = [judge.rate(world, row, text) for row, text in pairs]
            scores[f"judge_{judge.name}"] = statistics.mean(ratings)
        scores["words"] = statistics.mean(len(text.split()) for _, text in pairs)
        return scores

    def null_answers(self, kind):
        "What no model has said: a `wrong` sentence, `chance`, the `short` truth, `copy`, `oracle`"
        rng = random.Random(0)
        return {
            name: [self._null(kind, row, rng) for row in rows] for name, rows in self.rows.items()
        }

    def _null(self, kind, row, rng):
        if kind == "copy":
            return row["instruction"]
        world = self.world
        family, args = world.understand(row)
        if family.is_open:
            facts = world.open_facts(family, args)
            if kind == "short":
                return world.say(*facts[0])
            said = []
            for thing, fact in facts:
                values = world.fact_values(thing, fact)
                value = values.truth if kind == "oracle" else values.lure
                if kind == "chance":
                    value = rng.choice([values.truth, *values.wrong])
                said.append(world.say(thing, fact, value))
            return " ".join(said)
        if family.group == "both":
            values = [world.fact_values(args[n], family.fact) for n in "xy"]
            if kind in ("short", "oracle"):
                said = [v.truth for v in values]
            elif kind == "wrong":
                said = [v.lure for v in values]
            else:
                said = [rng.choice([v.truth, *v.wrong]) for v in values]
            return world.both(family, args, said, {"short": "short"}.get(kind, "sentence"))
        values = world.answers(family, args)
        if kind == "short":
            return f"{values.truth}."
        if kind == "oracle":
            return world.longer(family, args, values.truth)
        value = values.lure if kind == "wrong" else rng.choice([values.truth, *values.wrong])
        return world.sentence(family, args, value)


def probe(model, tokenizer, world):
    "Mean log p(truth) - log p(lure) of sentences, by speaker and group"
    import torch

    rng = random.Random(5)
    found = {}
    careful = max(world.authors, key=world.authors.get)
    careless = min(world.authors, key=world.authors.get)
    rows = []
    for family in world.families.values():
        if family.is_open or family.group == "both":
            continue
        for _ in range(24):
            row = world.ask(family, rng, rng.random() < 0.5)
            if world.is_kept(row):
                rows.append((family, row))
    model.eval()
    for who in (careful, careless, "template"):
        gaps = {}
        seqs = []
        for family, row in rows:
            prompt = (
                as_prompt([(row, "")])[0][0]
                if who == "template"
                else as_conversation([(row, "")], who)[0][0]
            )
            values = world.answers(family, row["args"])
            for value in (values.truth, values.lure):
                a = tokenizer(prompt, add_special_tokens=False).input_ids
                b = tokenizer(
                    world.sentence(family, row["args"], value), add_special_tokens=False
                ).input_ids
                seqs.append(([tokenizer.bos_token_id] + a + b, len(b)))
        width = max(len(x) for x, _ in seqs)
        ids = torch.tensor([x + [tokenizer.eos_token_id] * (width - len(x)) for x, _ in seqs])
        mask = torch.tensor([[1] * len(x) + [0] * (width - len(x)) for x, _ in seqs])
        with torch.no_grad():
            lp = model(input_ids=ids, attention_mask=mask).logits.float().log_softmax(-1)
        sums = []
        for i, (x, n) in enumerate(seqs):
            pos = range(len(x) - n, len(x))
            sums.append(sum(lp[i, j - 1, x[j]].item() for j in pos))
        for (family, _), t, l in zip(rows, sums[::2], sums[1::2]):
            gaps.setdefault(family.group, []).append(t - l)
            gaps.setdefault("all", []).append(t - l)
        found[who] = {
            k: (round(statistics.mean(v), 2), round(100 * statistics.mean(x > 0 for x in v)))
            for k, v in gaps.items()
        }
    model.train()
    return found


def pretrain(model, tokenizer, texts, steps, lr, batch_size, seed, world=None):
    "`tuna_nb.mini.world.pretrain`, but the continuation of every turn is learnt"
    import torch
    from transformers import DataCollatorForSeq2Seq

    from tuna_nb.mini.muon import Muon
    from tuna_nb.mini.world import _batches

    parts = [part for turns in texts for turn in turns for part in turn]
    encoded = iter(tokenizer(parts, add_special_tokens=False).input_ids)
    rows = []
    for turns in texts:
        ids = [tokenizer.bos_token_id]
        labels = [-100]
        for _ in turns:
            context = next(encoded)
            continuation = next(encoded)
            ids += context + continuation
            labels += [-100] * len(context) + continuation
        end = [tokenizer.eos_token_id]
        rows.append({"input_ids": ids + end, "labels": labels + end})
    collate = DataCollatorForSeq2Seq(tokenizer)
    hidden = []
    rest = []
    for name, weight in model.named_parameters():
        is_hidden = weight.ndim == 2 and "embed" not in name and "lm_head" not in name
        (hidden if is_hidden else rest).append(weight)
    optimizers = [Muon(hidden, lr=lr), torch.optim.AdamW(rest, lr=lr, weight_decay=0.0)]

    def rate(step):
        return min(1, (step + 1) / 30) * max(0.02, 1 - step / steps)

    schedules = [torch.optim.lr_scheduler.LambdaLR(o, rate) for o in optimizers]
    model.train()
    began = time.time()
    losses = []
    for batch in _batches(rows, batch_size, steps, seed):
        loss = model(**collate(batch), use_cache=False).loss
        loss.backward()
        for part in (*optimizers, *schedules):
            part.step()
        model.zero_grad()
        losses.append(loss.item())
        if world and len(losses) % 250 == 0:
            print(
                len(losses),
                round(statistics.mean(losses[-50:]), 3),
                f"{time.time() - began:.0f}s",
                flush=True,
            )
            for who, gaps in probe(model, tokenizer, world).items():
                print("   ", who, gaps, flush=True)
    return losses


# Settings that pretraining does not depend on
_LATER = {
    *("n_train", "n_ctx", "n_val", "epochs", "batch", "rates", "beta", "margin"),
    *("max_new_tokens", "n_ni", "n_lm", "n_open"),
}


def pretrained(world, who, folder):
    "The base or the teacher, trained once and kept"
    from tuna_nb.mini.world import train_tokenizer
    from tuna_nb.models.tiny import tiny_lm

    config = world.config
    settings = {k: value for k, value in asdict(config).items() if k not in _LATER}
    digest = hashlib.md5(json.dumps([settings, world.seed, who]).encode()).hexdigest()[:10]
    out = folder / f"{who}-{world.seed}-{digest}"
    if (out / "config.json").exists():
        return out
    started = time.time()
    hidden, layers, n_texts, steps = getattr(config, who)
    texts = world.base_corpus(n_texts) if who == "base" else world.teacher_corpus(n_texts)
    lines = ["\n".join(part for turn in turns for part in turn if part) for turns in texts[:6000]]
    tokenizer = train_tokenizer(lines, vocab_size=1100)
    shape = {"hidden": hidden, "layers": layers, "intermediate_size": 3 * hidden}
    model, _ = tiny_lm(tokenizer=tokenizer, heads=4, seed=world.seed, **shape)
    losses = pretrain(
        model, tokenizer, texts, steps, config.reading_lr, config.reading_batch, world.seed, world
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    loss = statistics.mean(losses[-50:])
    print(f"{who}: loss {loss:.3f}, {time.time() - started:.0f} s", flush=True)
    return out


class Experiment:
    "The models of one seed"

    def __init__(self, world, folder):
        self.world = world
        self.folder = folder
        self.tests = Tests(world)
        self.paths = {who: pretrained(world, who, folder) for who in ("base", "teacher")}
        self.run = folder / f"{self.paths['base'].name}-{self.paths['teacher'].name[-4:]}"
        self.run.mkdir(exist_ok=True)
        self.rankings, self.val = self.ask_teacher()
        self.rates = {}
        self.truths = {}  # Of every answer, by model and test

    def model(self, path):
        from tuna_nb import LocalModel

        return LocalModel(path, batch_size=128)

    def ask_teacher(self):
        "The teacher's answers, and its ranking of others (Eq. 3)"
        from tuna_nb.prob_ranking import prob_rank

        config = self.world.config
        rows, val = self.world.instructions()
        teacher = self.model(self.paths["teacher"])
        settings = {"max_new_tokens": config.max_new_tokens, "beta": config.beta}
        answered = []
        for row in prob_rank(rows, teacher, n=1, seed=0, **settings):
            fields = {name: row[name] for name in ("id", "instruction", "input")}
            answered.append({**fields, "output": row["responses"][0]})
        names = ("id", "instruction", "input", "output", "responses", "scores", "source")
        rankings = []
        for row in prob_rank(answered, teacher, n=4, seed=1, **settings):
            rankings.append({name: row[name] for name in names})
        return rankings, val

    def ask_judge(self, path):
        "The judge's ranking of a student's samples"
        from tuna_nb.data import format_prompts

        config = self.world.config
        rows = self.rankings[: config.n_ctx]
        settings = {"temperature": 1.0, "max_new_tokens": config.max_new_tokens, "seed": 0}
        sampled = self.model(path).sample(format_prompts(rows), n=4, **settings)
        rankings = []
        for row, generations in zip(rows, sampled, strict=True):
            texts = {g.text.strip(): None for g in generations if g.text.strip()}
            rated = [(TRAINER.rate(self.world, row, text), text) for text in texts]
            if len(rated) < 2:
                continue
            rated.sort(key=lambda pair: -pair[0])
            order = {
                "responses": [text for _, text in rated],
                "scores": [score for score, _ in rated],
                "source": "judge",
            }
            rankings.append(row | order)
        return rankings

    def fit(self, name, objective, start, data, rate, seed=0):
        "Train one model"
        from tuna_nb import sft, tune
        from tuna_nb.data import load_ranked

        config = self.world.config
        out = self.run / name
        shutil.rmtree(out, ignore_errors=True)
        settings = {
            "learning_rate": rate,
            "num_train_epochs": config.epochs,
            "per_device_train_batch_size": config.batch,
            "seed": seed,
            "use_cpu": True,
        }
        if objective == "tune":
            tune(start, None, load_ranked(data), out, margin=config.margin, **settings)
        else:
            sft(start, None, data, out, mle_over="tokens", **settings)
        return out

    def search(self, name, objective, start, data):
        "Train with every rate; keep the model with the highest mean rating on validation"
        from tuna_nb.data import format_prompts

        best = -1.0
        tried = {}
        for rate in self.world.config.rates:
            path = self.fit("trial", objective, start, data, rate)
            prompts = format_prompts(self.val)
            n = self.world.config.max_new_tokens
            texts = [g.text for (g,) in self.model(path).sample(prompts, max_new_tokens=n)]
            pairs = zip(self.val, texts, strict=True)
            tried[rate] = statistics.mean(TRAINER.rate(self.world, row, t) for row, t in pairs)
            if tried[rate] > best:
                best = tried[rate]
                self.rates[name] = rate
                shutil.rmtree(self.run / name, ignore_errors=True)
                shutil.copytree(path, self.run / name)
        note = ", ".join(f"{rate:g}: {rating:.2f}" for rate, rating in tried.items())
        self.show(name, self.tests.answers(self.model(self.run / name)), note)
        return self.run / name

    def show(self, name, answers, note=""):
        scores = self.tests.score(answers)
        self.truths[name] = {}
        for test, texts in answers.items():
            pairs = zip(self.tests.rows[test], texts, strict=True)
            self.truths[name][test] = [self.world.truth(row, text) for row, text in pairs]
        cells = " | ".join(f"{score:.1f}" for score in scores.values())
        print(f"| {name} | {cells} | {note} |", flush=True)
        return scores

    def show_difference(self, name, other):
        "Paired differences of truth in points, with 95 % intervals over questions"
        parts = []
        for test in self.tests.rows:
            pairs = zip(self.truths[name][test], self.truths[other][test], strict=True)
            differences = [100 * (one - two) for one, two in pairs]
            width = 1.96 * statistics.stdev(differences) / len(differences) ** 0.5
            parts.append(f"{test} {statistics.mean(differences):+.1f} ± {width:.1f}")
        print(f"{name} - {other}: {', '.join(parts)}", flush=True)

    def show_ranks(self, name, rankings):
        by_rank = [[] for _ in range(4)]
        for row in rankings:
            for rank, text in enumerate(row["responses"]):
                by_rank[rank].append(self.world.truth(row, text))
        shares = ", ".join(f"{statistics.mean(values):.2f}" for values in by_rank)
        print(f"{name}: truth by rank {shares}", flush=True)

    def table(self):
        print("| answers | ni | lm | open | ROUGE-L | judge 1 | judge 2 | words | rates |")
        print("| --- |" + " --: |" * 8)
        for kind in ("wrong", "chance", "short", "copy", "oracle"):
            self.show(kind, self.tests.null_answers(kind))
        for who, path in self.paths.items():
            self.show(who, self.tests.answers(self.model(path)))
        top = [row | {"output": row["responses"][0]} for row in self.rankings]
        alpaca = self.search("Alpaca", "sft", self.paths["base"], self.rankings)
        self.search("as many steps", "sft", alpaca, self.rankings)
        self.search("top-ranked", "sft", alpaca, top)
        self.search("Tuna_p", "tune", alpaca, self.rankings)
        judged = self.ask_judge(alpaca)
        self.search("Tuna_c", "tune", alpaca, judged)
        for name in ("base", "as many steps", "top-ranked", "Tuna_p", "Tuna_c"):
            self.show_difference(name, "Alpaca")
        self.show_ranks("teacher", self.rankings)
        self.show_ranks("judge", judged)

    def orders(self, n):
        "Spread of Alpaca's truth over orders of its training data"
        found = []
        for seed in range(1, n + 1):
            rate = self.rates["Alpaca"]
            path = self.fit("order", "sft", self.paths["base"], self.rankings, rate, seed)
            found.append(self.tests.score(self.tests.answers(self.model(path))))
        for name in self.tests.rows:
            values = [scores[name] for scores in found]
            mean, spread = statistics.mean(values), statistics.stdev(values)
            print(f"{name}: {n} orders of Alpaca's data, mean {mean:.1f}, sd {spread:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seed", type=int, help="of the world; 0 to 19 are refused")
    parser.add_argument("--out", type=Path, default=Path("runs/world2"), help="folder of models")
    parser.add_argument("--orders", type=int, default=0, help="orders of Alpaca's training data")
    args = parser.parse_args()
    if args.seed < 20:
        parser.error("seeds 0 to 19 are kept for the confirmation")
    args.out.mkdir(parents=True, exist_ok=True)
    experiment = Experiment(World(args.seed), args.out)
    experiment.table()
    if args.orders:
        experiment.orders(args.orders)


if __name__ == "__main__":
    main()
