"""How much faster are LMentry's scorers when patterns that cannot match are left out?

The official code compiles every pattern of a task anew for each example and tries them all. `score_task(..., skip=False)` does the same
work with our patterns; `skip=True`, the default, compiles only those whose fixed text and words occur in the prediction. Both score the
recorded predictions in one process and one thread, in turn, after a warm-up; what is remembered of patterns is emptied before each
repeat; any verdict that differs stops the run.

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

from tuna_nb.benchmarks import lmentry
from tuna_nb.utils.core import origin, write_text


def timed(task, preds, skip):
    "CPU seconds and verdicts"
    lmentry._rx.cache_clear()
    re.purge()
    start = time.process_time()
    res = lmentry.score_task(task, preds, skip=skip)
    return time.process_time() - start, res


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
    tasks, preds = lmentry.load_tasks(folder / "data"), {k: {} for k in lmentry.TASKS}
    with gzip.open(
        folder / "oracle" / "syn-strong.predictions.jsonl.gz", "rt", encoding="utf-8"
    ) as f:
        for n, r in enumerate(map(json.loads, f)):
            if n % args.every == 0:
                preds[r["task"]][r["id"]] = r["prediction"]
    rows = {}
    for k, t in tasks.items():
        timed(t, preds[k], True)
        times = {True: [], False: []}
        for _ in range(args.repeats):
            (a, fast), (b, slow) = timed(t, preds[k], True), timed(t, preds[k], False)
            if fast != slow:
                raise SystemExit(f"{k}: verdicts differ")
            times[True].append(a)
            times[False].append(b)
        ours, all_ = (median(times[o]) / len(preds[k]) * 1000 for o in (True, False))
        rows[k] = {
            "examples": len(preds[k]),
            "ms_an_example": round(ours, 3),
            "all_patterns_ms": round(all_, 3),
            "ratio": round(all_ / ours, 1),
        }
        print(k, rows[k], flush=True)
    n = sum(o["examples"] for o in rows.values())
    total = {
        o: sum(r[o] * r["examples"] for r in rows.values()) / n
        for o in ("ms_an_example", "all_patterns_ms")
    }
    res = dict(
        job=f"every {args.every}th of the recorded predictions for LMentry's 41 tasks",
        method="one process, one thread, both sides in turn, caches emptied before each repeat; medians of CPU time",
        examples=n,
        verdicts_equal=n,
        **{k: round(o, 3) for k, o in total.items()},
        ratio=round(total["all_patterns_ms"] / total["ms_an_example"], 1),
        tasks=rows,
        machine={
            "cores": os.cpu_count(),
            "system": platform.system(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        origin=origin(),
        date=time.strftime("%Y-%m-%d"),
    )
    write_text(args.out, json.dumps(res, indent=1) + "\n")
    print(
        f"{res['ratio']} times faster: {res['ms_an_example']} against {res['all_patterns_ms']} ms an example"
    )


if __name__ == "__main__":
    main()
