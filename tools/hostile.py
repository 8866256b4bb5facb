"""Try hostile input on the installed package, by real processes and real loopback HTTP.

Eleven groups of cases. A case is good if it ends with exit status 1 or 2 and one line on standard
error, or with a right result. Everything else is counted and listed: tracebacks, hangs, and results
that are wrong without a word. Exit status: 0 if there is none of these.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
GROUPS = {
    "options": ("hostile.options:bad_options", "every command with bad options"),
    "replies": ("hostile.replies:hostile_replies", "hostile replies of a server, by API"),
    "batches": ("hostile.batches:damaged_batches", "batch files with bad lines"),
    "stores": ("hostile.stores:damaged_files", "damaged stores and checkpoints"),
    "full_disk": ("hostile.disks:full_disk", "no space left"),
    "read_only": ("hostile.disks:read_only", "folders that cannot be written"),
    "two_at_once": ("hostile.pairs:two_at_once", "two processes, one output"),
    "environments": ("hostile.environments:odd_environments", "odd environment variables"),
    "folders": ("hostile.folders:odd_folders", "odd folders of models"),
    "html": ("hostile.pages:hostile_html", "HTML in every field of every page"),
    "kills": ("hostile.kills:kill_and_rerun", "kill -9 and run again"),
}
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TUNA_PROGRESS": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "OPENAI_API_KEY": "sk-loopback",
    "COLUMNS": "100",
    # killed children leave semaphores behind
    "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
}


def run_group(name, runner):
    "The outcomes of one group, and its seconds"
    from hostile.material import write_files

    material = runner.root / "material"
    if not material.exists():
        write_files(material)
        runner.must(["hostile.material:build", material], material)
    module, _, function = GROUPS[name][0].partition(":")
    start = time.monotonic()
    root = runner.root / name
    root.mkdir()
    outcomes = getattr(import_module(module), function)(runner, root, material)
    return outcomes, time.monotonic() - start


def print_outcome(outcome):
    "One case that is not good, as two lines"
    words = " ".join(map(str, outcome.case.words))
    print(f"  {outcome.verdict}: {outcome.case.name}\n      {words[:300]}\n      {outcome.said}")


def print_table(counts, seconds):
    "Groups and verdicts"
    from hostile.cases import VERDICTS

    print(f"{'group':14}{'cases':>7}" + "".join(f"{name:>10}" for name in VERDICTS) + "   seconds")
    for group, by_verdict in counts.items():
        cells = "".join(f"{by_verdict[name]:>10}" for name in VERDICTS)
        print(f"{group:14}{sum(by_verdict.values()):>7}{cells}{seconds[group]:>10.0f}")


def record_of(results, seconds):
    "Figures for a file: counts by group, what is not good, date, versions and platform"
    from hostile.cases import BAD

    groups = {}
    for group, outcomes in results.items():
        bad = []
        for outcome in outcomes:
            if outcome.verdict in (*BAD, "skipped"):
                entry = {"case": outcome.case.name, "verdict": outcome.verdict}
                words = []
                for word in map(str, outcome.case.words):  # without the folder of this machine
                    words.append(Path(word).name if Path(word).is_absolute() else word[:200])
                bad.append({**entry, "command": words, "said": outcome.said})
        counts = Counter(outcome.verdict for outcome in outcomes)
        groups[group] = {
            "cases": len(outcomes),
            "counts": dict(counts),
            "seconds": round(seconds[group], 1),
            "not_good": bad,
        }
    names = ("tuna_nb", "torch", "transformers", "openai", "datasets")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "groups": groups,
    }


def run_groups(names, root, workers):
    "Outcomes and seconds by group; what is not good is printed as it is found"
    from hostile.cases import BAD, Runner

    runner = Runner(root.resolve(), workers)
    results = {}
    seconds = {}
    for name in names:
        results[name], seconds[name] = run_group(name, runner)
        print(f"{name}: {len(results[name])} cases in {seconds[name]:.0f} s", flush=True)
        for outcome in results[name]:
            if outcome.verdict in (*BAD, "skipped"):
                print_outcome(outcome)
    return results, seconds


def parse_arguments():
    "The command line"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", action="append", help="run this group alone; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the groups and stop")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    parser.add_argument("--keep", type=Path, help="folder for the files of all cases; must be new")
    args = parser.parse_args()
    unknown = set(args.group or ()) - set(GROUPS)
    if unknown:
        parser.error(f"unknown group {min(unknown)!r}; there are {', '.join(GROUPS)}")
    return args


def main():
    args = parse_arguments()
    if args.list:
        for name, (_, text) in GROUPS.items():
            print(f"{name:14}{text}")
        return 0
    os.environ.update(ENVIRONMENT)
    # for the fork server, which does not know this script's folder
    paths = [str(TOOLS), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with tempfile.TemporaryDirectory(prefix="tuna_hostile_") as scratch:
        root = args.keep or Path(scratch)
        root.mkdir(parents=True, exist_ok=not args.keep)
        results, seconds = run_groups(args.group or GROUPS, root, args.workers)
    counts = {name: Counter(o.verdict for o in outcomes) for name, outcomes in results.items()}
    print()
    print_table(counts, seconds)
    if args.out:
        args.out.write_text(json.dumps(record_of(results, seconds), indent=1) + "\n")
    from hostile.cases import BAD

    return int(any(by_verdict[name] for by_verdict in counts.values() for name in BAD))


if __name__ == "__main__":
    sys.exit(main())
