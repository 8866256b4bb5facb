"""Time and memory of tokenising ranked records: piece by piece to a file, and all at once.

    TUNA_REAL_DATA=folder python benchmarks/encoding.py [--records 52002] [--processes 1 2]

The instructions are Alpaca's. Each has five responses, drawn from Alpaca's, so that the lengths are
Alpaca's too; the tokenizer is a byte-pair encoding of 32,000 tokens trained on the same text. Two
ways to tokenise them are compared, in turn, each time in a process of its own:
- pieces: `encode_dataset`, which writes 32-bit integers to an Arrow file; its memory includes
  reading every item once, as training does, and `again_s` is the time of a second call;
- at_once: one call of the tokenizer over all prompts and one over all texts, into Python lists.

With several processes, as in training on several GPUs, all need the items: at_once tokenises in
each, pieces in the first, while the others wait for its file.

After a warm-up of 500 records that does not count, a way's time is the median of the repeats, each
that of the slowest process, and its memory the largest growth of a process over what it held
before: records, tokenizer and modules."""

import argparse
import gc
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

from machine import status_mb

from tuna_nb.utils.core import TunaError, provenance, read_json, real_data, write_jsonl, write_text

MAX_LENGTH = 512
WAYS = ("pieces", "at_once")


def make_inputs(folder, n_records):
    "Write ranked records and a tokenizer into a folder"
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    path = real_data("alpaca", "alpaca_data.json")
    if path is None:
        raise TunaError("TUNA_REAL_DATA must name the folder that tuna_fetch filled")
    alpaca = read_json(path)
    outputs = [record["output"] for record in alpaca if record["output"].strip()]
    rng = random.Random(0)
    records = []
    for number in range(n_records):
        record = alpaca[number % len(alpaca)]
        asked = {name: record[name] for name in ("instruction", "input")}
        responses = rng.choices(outputs, k=4)
        ranked = {"output": rng.choice(outputs), "responses": responses, "scores": [4, 3, 2, 1]}
        records.append({"id": str(number), **asked, **ranked})
    write_jsonl(folder / "ranked.jsonl", records)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=32000,
        special_tokens=["<s>", "</s>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(outputs, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder / "tokenizer")


def encode_at_once(records, tokenizer):
    "Items as Python lists, from one call of the tokenizer for prompts and one for texts"
    from tuna_nb.data import format_prompt

    records = list(records)
    prompts = [format_prompt(record["instruction"], record["input"]) for record in records]
    prompt_ids = tokenizer(prompts, return_attention_mask=False, verbose=False).input_ids
    texts = []
    for record, prompt in zip(records, prompts, strict=True):
        texts += [prompt + response for response in [record["output"], *record["responses"]]]
    token_ids = tokenizer(texts, return_attention_mask=False, verbose=False).input_ids
    token_ids = iter([[*ids, tokenizer.eos_token_id] for ids in token_ids])
    items = []
    for record, ids in zip(records, prompt_ids, strict=True):
        ranks = [*range(1 + len(record["responses"]))]
        rows = [next(token_ids)[:MAX_LENGTH] for _ in ranks]
        if len(ids) < MAX_LENGTH:
            item = {"id": record["id"], "prompt_len": len(ids), "ranks": ranks}
            items.append({**item, "token_ids": rows})
    return items


def measure(way, folder, cache):
    "Tokenise the records of a folder in one way; time and memory"
    from datasets import config

    from tuna_nb.data import load_ranked
    from tuna_nb.scoring import RankedCollator
    from tuna_nb.training.encoding import encode_dataset
    from tuna_nb.utils.pretrained import load_tokenizer

    main_first = nullcontext
    if "WORLD_SIZE" in os.environ:
        from accelerate import PartialState

        state = PartialState(cpu=True)
        main_first = state.main_process_first
    config.HF_DATASETS_CACHE = cache
    tokenizer = load_tokenizer(folder / "tokenizer")
    records = load_ranked(folder / "ranked.jsonl")
    collator = RankedCollator(tokenizer, MAX_LENGTH, long_prompts="drop")
    collator.encode(records.select(range(500)))  # warm-up
    gc.collect()
    if main_first is not nullcontext:
        state.wait_for_everyone()
    found = {}
    before = status_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    start = time.perf_counter()
    if way == "at_once":
        items = encode_at_once(records, tokenizer)
        found["seconds"] = time.perf_counter() - start
    else:
        items = encode_dataset(records, collator, main_first)
        found["seconds"] = time.perf_counter() - start
        start = time.perf_counter()
        items = encode_dataset(records, collator)
        found["again_s"] = time.perf_counter() - start
    found["tokens"] = sum(sum(map(len, item["token_ids"])) for item in items)
    found["memory_mb"] = status_mb("VmHWM") - before
    found["file_mb"] = sum(p.stat().st_size for p in Path(cache).rglob("*.arrow")) / 2**20
    return found


def measure_together(way, folder, n_processes):
    "Tokenise in several processes at once: the slowest one's time, the largest one's memory"
    with tempfile.TemporaryDirectory(dir=folder) as cache, socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
        free.close()
        command = [sys.executable, __file__, "--measure", way, "--folder", folder, "--cache", cache]
        running = []
        for rank in range(n_processes):
            env = dict(os.environ)
            if n_processes > 1:
                env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n_processes)}
                env |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env))
        outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise TunaError(f"a process that tokenises in the way {way} has failed")
    runs = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {name: max(run[name] for run in runs) for name in runs[0]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=52002)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", default="benchmarks/encoding.json")
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.folder, args.cache)))
        return
    result = {
        **provenance(),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in ("datasets", "tokenizers", "transformers")},
        "load_before": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "records": args.records,
        "responses_per_record": 5,
        "repeats": args.repeats,
    }
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(Path(folder), args.records)
        for n_processes in args.processes:
            runs = {way: [] for way in WAYS}
            for _ in range(args.repeats):
                for way in WAYS:
                    runs[way].append(measure_together(way, folder, n_processes))
                    print(n_processes, way, runs[way][-1], flush=True)
            tokens = {run["tokens"] for of_way in runs.values() for run in of_way}
            result["tokens"] = max(tokens)
            found = {"same_tokens": len(tokens) == 1}
            for way, of_way in runs.items():
                found[way] = {
                    "seconds": round(statistics.median(run["seconds"] for run in of_way), 1),
                    "memory_mb": round(max(run["memory_mb"] for run in of_way)),
                }
            again = statistics.median(run["again_s"] for run in runs["pieces"])
            found["pieces"]["again_s"] = round(again, 1)
            found["pieces"]["file_mb"] = round(runs["pieces"][0]["file_mb"])
            pairs = zip(runs["at_once"], runs["pieces"], strict=True)
            ratios = [plain["seconds"] / ours["seconds"] for plain, ours in pairs]
            found["times_as_fast"] = round(statistics.median(ratios), 2)
            result[f"processes_{n_processes}"] = found
    write_text(args.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
