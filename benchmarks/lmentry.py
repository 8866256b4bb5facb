"""How much faster are LMentry's scorers when patterns that cannot match are left out?

The official code compiles every pattern of a task anew for each example and tries them all.
`score_task(..., skip=False)` does the same work with our patterns; `skip=True`, the default,
compiles only those whose fixed text and words occur in the prediction. Both score the recorded
predictions in one process and one thread, in turn, after a warm-up; the cache of patterns is
emptied before each repeat; any verdict that differs stops the run.

From the root of the repository, some minutes:

    OMP_NUM_THREADS=1 python benchmarks/lmentry.py --real "$TUNA_REAL_DATA"
"""

import argparse
import gzip
import json
import os
import platform
import re
import time
from pathlib import Path
from statistics import median

from tuna_nb.benchmarks import lmentry, lmentry_patterns, lmentry_tasks
from tuna_nb.utils.core import provenance, write_text


def timed(task, predictions, skip):
    "CPU seconds and verdicts"
    lmentry_patterns.compiled.cache_clear()
    re.purge()
    start = time.process_time()
    verdicts = lmentry.score_task(task, predictions, skip=skip)
    return time.process_time() - start, verdicts


def recorded_predictions(path, every):
    "Each n-th recorded prediction, by task and id"
    predictions = {task: {} for task in lmentry_tasks.TASKS}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for n, line in enumerate(lines):
            if n % every == 0:
                row = json.loads(line)
                predictions[row["task"]][row["id"]] = row["prediction"]
    return predictions


def compare(name, task, predictions, repeats):
    "Medians of both sides on one task"
    timed(task, predictions, skip=True)
    times = {True: [], False: []}
    for _ in range(repeats):
        seconds, fast = timed(task, predictions, skip=True)
        times[True].append(seconds)
        seconds, slow = timed(task, predictions, skip=False)
        times[False].append(seconds)
        if fast != slow:
            raise SystemExit(f"{name}: verdicts differ")
    ours = median(times[True]) / len(predictions) * 1000
    all_patterns = median(times[False]) / len(predictions) * 1000
    return {
        "examples": len(predictions),
        "ms_an_example": round(ours, 3),
        "all_patterns_ms": round(all_patterns, 3),
        "ratio": round(all_patterns / ours, 1),
    }


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--real",
        metavar="FOLDER",
        required=True,
        help="folder with lmentry/data and lmentry/oracle",
    )
    p.add_argument(
        "--every",
        type=int,
        default=5,
        help="score only each N-th prediction (default: %(default)s)",
    )
    p.add_argument(
        "--repeats",
        type=int,
        default=3,
        help="of either side; medians are compared (default: %(default)s)",
    )
    p.add_argument(
        "--out",
        default="benchmarks/lmentry.json",
        help="where to record the figures (default: %(default)s)",
    )
    args = p.parse_args()
    folder = Path(args.real) / "lmentry"
    tasks = lmentry_tasks.load_tasks(folder / "data")
    predictions = recorded_predictions(
        folder / "oracle" / "syn-strong.predictions.jsonl.gz", args.every
    )
    rows = {}
    for name, task in tasks.items():
        rows[name] = compare(name, task, predictions[name], args.repeats)
        print(name, rows[name], flush=True)
    n = sum(row["examples"] for row in rows.values())
    total = {}
    for key in ("ms_an_example", "all_patterns_ms"):
        total[key] = sum(row[key] * row["examples"] for row in rows.values()) / n
    res = dict(
        job=f"every {args.every}th of the recorded predictions for LMentry's 41 tasks",
        method="one process, one thread, both sides in turn, caches emptied before each repeat; "
        "medians of CPU time",
        examples=n,
        verdicts_equal=n,
        **{key: round(mean, 3) for key, mean in total.items()},
        ratio=round(total["all_patterns_ms"] / total["ms_an_example"], 1),
        tasks=rows,
        machine={
            "cores": os.cpu_count(),
            "system": platform.system(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        origin=provenance(),
        date=time.strftime("%Y-%m-%d"),
    )
    write_text(args.out, json.dumps(res, indent=1) + "\n")
    print(
        f"{res['ratio']} times faster: {res['ms_an_example']} against {res['all_patterns_ms']} "
        "ms an example"
    )


if __name__ == "__main__":
    main()
