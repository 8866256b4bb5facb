"""How long and how much memory until training has taken its first step on many rankings.

    python benchmarks/million.py [--records 1000000] [--out benchmarks/million.json]

The rankings are synthetic: an instruction of about ten words, an original response and four ranked
ones of about eight, in a JSON-lines file. `tune` trains the toy model of `write_example` on it for
one step, in a process of its own, twice: the first run tokenises, the second finds the
tokens on disk. Both are watched from outside: seconds to the end of the step, and the largest
memory of the process, of which `anonymous` is what no file backs."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from machine import status_mb

from tuna_nb.utils.core import provenance, write_text

WORDS = ["red", "green", "blue", "pear", "plum", "fig", "cat", "dog", "sun", "moon", "rain", "wind"]


def write_rankings(path, n_records):
    "Write synthetic rankings"
    rng = random.Random(0)
    with path.open("w") as file:
        for number in range(n_records):
            texts = [" ".join(rng.choices(WORDS, k=8)) for _ in range(5)]
            record = {"instruction": f"Name {' '.join(rng.choices(WORDS, k=8))} {number}"}
            record |= {"input": "", "output": texts[0], "responses": texts[1:]}
            record["scores"] = sorted((rng.random() for _ in range(4)), reverse=True)
            file.write(json.dumps(record) + "\n")


def watch(command, env):
    "Seconds of a command, and its largest memory in MB, all and without files"
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env)
    largest = anonymous = 0
    while process.poll() is None:
        largest = max(largest, status_mb("VmRSS", process.pid))
        anonymous = max(anonymous, status_mb("RssAnon", process.pid))
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 1),
        "peak_mb": round(largest),
        "anonymous_mb": round(anonymous),
    }


def measure(folder, n_records):
    "Both runs, in a folder"
    env = {**os.environ, "HF_DATASETS_CACHE": str(folder / "cache"), "TUNA_PROGRESS": "0"}
    run = [sys.executable, "-c"]
    example = "import sys; from tuna_nb import write_example; write_example(sys.argv[1])"
    subprocess.run([*run, example, str(folder)], check=True, env=env)
    data = folder / "ranked.jsonl"
    write_rankings(data, n_records)
    train = "import sys; from tuna_nb import tune; model, *rest = sys.argv[1:]; "
    train += "tune(model, None, *rest, max_steps=1)"
    found = {}
    load_before = os.getloadavg()[0]
    for name in ("nothing on disk", "tokens on disk"):
        out = folder / name.replace(" ", "_")
        command = [*run, train, str(folder / "student"), str(data), str(out)]
        found[name] = watch(command, env)
    record = {"command": f"python benchmarks/million.py --records {n_records}", **provenance()}
    record["versions"] = {name: version(name) for name in ("datasets", "transformers", "pyarrow")}
    record |= {"load_before": round(load_before, 1), "records": n_records}
    record |= {"file_mb": round(data.stat().st_size / 2**20), "runs": found}
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--out", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = measure(Path(folder), args.records)
    print(json.dumps(record, indent=1))
    if args.out:
        write_text(args.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
