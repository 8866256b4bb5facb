"""Plain inputs that the groups damage: records, models, and checks of results"""

import json
import math
import shutil
from pathlib import Path

RECORDS = [
    {"instruction": "Name a fruit", "input": "", "output": "apple"},
    {"instruction": "Name a colour", "input": "", "output": "red"},
    {"instruction": "Name an animal", "input": "", "output": "cat"},
    {"instruction": "Name a number", "input": "", "output": "one"},
]
RESPONSES = (
    ["apple pear", "plum one", "pear two three"],
    ["red blue", "green four", "blue five six"],
    ["cat dog", "horse one", "dog two three"],
    ["one two", "three six", "two four five"],
)
MANY = 48  # records of the training data


def samples():
    "Records with responses, as tuna_sample writes them"
    return [dict(r, responses=o) for r, o in zip(RECORDS, RESPONSES, strict=True)]


def ranked(count=4):
    "Ranked records"
    rows = samples()
    return [
        dict(rows[i % len(rows)], id=f"r{i}", scores=[2.0, 1.0, 0.0], instruction=f"{i} please")
        for i in range(count)
    ]


def write_lines(path, records):
    "Records as JSON lines"
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records))


def write_files(folder):
    "Data files of all groups"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "records.json").write_text(json.dumps(RECORDS))
    write_lines(folder / "samples.jsonl", samples())
    write_lines(folder / "ranked.jsonl", ranked())
    write_lines(folder / "many.jsonl", ranked(MANY))
    write_lines(folder / "lots.jsonl", ranked(10 * MANY))


def build(folder):
    "Models of all groups; runs in a child"
    from tuna_nb.benchmarks.suite import write_toy_benchmarks
    from tuna_nb.models.tiny import tiny_lm
    from tuna_nb.reward_model import train_prm
    from tuna_nb.train import sft
    from tuna_nb.utils.core import write_text

    folder = Path(folder)
    texts = [" ".join([r["instruction"], *o]) for r, o in zip(RECORDS, RESPONSES, strict=True)]
    model, tokenizer = tiny_lm(texts, vocab_size=300, context=512)
    # trained until its answers end, so that some are whole
    known = {"max_steps": 40, "learning_rate": 1e-2, "save_strategy": "no"}
    sft(model, tokenizer, str(folder / "records.json"), str(folder / "taught"), **known)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    train_prm(str(folder / "model"), None, ranked(), str(folder / "prm"), max_steps=1)
    write_toy_benchmarks(folder / "bench")
    write_text(folder / "built", "")


def copy_model(source, target):
    "A copy of a model's folder"
    shutil.copytree(source, target, symlinks=True)
    return target


def read_lines(path):
    "Records of a JSON-lines file, strictly: valid UTF-8, no NaN"

    def no_nan(text):
        raise ValueError(f"{text} is no JSON")

    lines = Path(path).read_bytes().decode("utf-8").split("\n")
    return [json.loads(line, parse_constant=no_nan) for line in lines if line]


def _records(path, least):
    "Records of a file of lines, and what is wrong with them as a whole, or None"
    try:
        records = read_lines(path)
    except (OSError, ValueError) as e:
        return [], f"{Path(path).name}: {e}"
    if len(records) < least:
        return [], f"{Path(path).name}: {len(records)} records of at least {least}"
    return records, None


def wrong_ranking(path, least=1):
    "What is wrong with a file of ranked records, or None"
    records, fault = _records(path, least)
    for number, record in enumerate(records, 1):
        scores = record.get("scores")
        if not isinstance(scores, list) or len(scores) != len(record["responses"]):
            return f"record {number}: scores {scores!r:.80}"
        if not all(isinstance(score, (int, float)) and math.isfinite(score) for score in scores):
            return f"record {number}: scores {scores!r:.80}"
        if scores != sorted(scores, reverse=True):
            return f"record {number}: scores are not in order: {scores!r:.80}"
    return fault


def wrong_samples(path, least=1):
    "What is wrong with a file of sampled records, or None"
    records, fault = _records(path, least)
    for number, record in enumerate(records, 1):
        responses = record.get("responses")
        if not responses or not all(isinstance(text, str) for text in responses):
            return f"record {number}: responses {responses!r:.80}"
    return fault


def wrong_model(folder):
    "What is wrong with a model that training wrote, or None"
    import numpy as np
    from safetensors.numpy import load_file

    path = Path(folder) / "model.safetensors"
    if not path.exists():
        return f"{folder}: no model.safetensors"
    for name, weights in load_file(path).items():
        if not np.isfinite(weights).all():
            return f"{folder}: {name} is not finite"
    return None
