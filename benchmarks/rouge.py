"""How much faster than `rouge_score` is `tuna_nb.judge.rouge` on the all-pairs job?

Every two of the 4 responses to each of 10,000 instructions are compared, 60,000 pairs, with the
Porter stemmer and without. `rouge_score` scores the pairs one by one; ours makes one matrix per
instruction. Both run in one process and one thread, after a warm-up, in turn; our memory of
stems is emptied before each repeat, and any two scores that are not the same float stop the run.

From the root of the repository, about 5 minutes with the defaults:

    OMP_NUM_THREADS=1 python benchmarks/rouge.py --real "$TUNA_REAL_DATA"

Without --real the texts are made up: 37 words long in the mean, log-normal, of words as frequent
as Zipf's law has it. Other jobs may share the machine, so ratios are of CPU time; wall time
stands beside it."""

import argparse
import json
import os
import platform
import random
import time
from importlib.metadata import version
from itertools import accumulate, combinations
from pathlib import Path
from statistics import mean, median

from rouge_score.rouge_scorer import RougeScorer

from tuna_nb.judge import rouge
from tuna_nb.utils.core import provenance, write_text


def made_up(n, seed=0):
    "Texts with log-normal lengths of mean 37 words"
    rng = random.Random(seed)
    parts = [c + v for c in "bcdfghklmnprstvw" for v in "aeiou"]
    endings = [""] * 4 + ["s", "ed", "ing", "ly", "ation", "ness"]
    vocab = list(
        dict.fromkeys(
            "".join(rng.choices(parts, k=rng.randint(1, 3))) + rng.choice(endings)
            for _ in range(60_000)
        )
    )
    cum = list(accumulate(1 / k for k in range(1, len(vocab) + 1)))

    def size():
        return max(1, round(rng.lognormvariate(3.2, 0.9)))

    return [" ".join(rng.choices(vocab, cum_weights=cum, k=size())) for _ in range(n)]


def groups_of(args):
    "Groups of responses, and where they are from"
    n = args.items * args.n
    if args.real:
        texts = [
            r["output"]
            for r in json.loads(
                (Path(args.real) / "alpaca/alpaca_data.json").read_text(encoding="utf-8")
            )
        ]
        source = f"outputs of Alpaca's data, the first {n}, grouped as they stand"
    else:
        texts, source = made_up(n), "made up, seed 0, log-normal lengths, Zipf's law"
    if len(texts) < n:
        raise SystemExit(f"{args.real}: {len(texts)} texts, {n} are needed")
    return [texts[i : i + args.n] for i in range(0, n, args.n)], source


def ours(groups, stem):
    "Upper triangles of our matrices"
    rouge._stem.cache_clear()
    start = time.process_time(), time.perf_counter()
    sims = [rouge.pairwise_rouge_l(g, stem) for g in groups]
    took = time.process_time() - start[0], time.perf_counter() - start[1]
    return took, [s[i, j] for s in sims for i, j in combinations(range(len(s)), 2)]


def theirs(groups, stem):
    "The same scores from `rouge_score`"
    scorer = RougeScorer(["rougeL"], use_stemmer=stem)
    start = time.process_time(), time.perf_counter()
    scores = [scorer.score(a, b)["rougeL"].fmeasure for g in groups for a, b in combinations(g, 2)]
    return (time.process_time() - start[0], time.perf_counter() - start[1]), scores


def compare(groups, stem, repeats):
    "Times of both, their ratio, and that all scores are equal"
    times = {"ours": [], "rouge_score": []}
    for rep in range(repeats):
        (t, a), (u, b) = ours(groups, stem), theirs(groups, stem)
        if a != b:
            differ = sum(x != y for x, y in zip(a, b, strict=True))
            raise SystemExit(f"{differ} of {len(a)} scores differ (stemmer: {stem})")
        times["ours"].append(t)
        times["rouge_score"].append(u)
        print(
            f"stemmer {stem}, repeat {rep + 1}: ours {t[0]:.2f} s CPU, "
            f"rouge_score {u[0]:.2f} s CPU",
            flush=True,
        )
    out = {
        who: {"cpu_s": [round(c, 3) for c, _ in ts], "wall_s": [round(w, 3) for _, w in ts]}
        for who, ts in times.items()
    }
    ratio = median(c for c, _ in times["rouge_score"]) / median(c for c, _ in times["ours"])
    return dict(
        out,
        ratio_cpu=round(ratio, 1),
        pairs=len(a),
        pairs_equal_bit_for_bit=len(a),
        pairs_above_0=sum(map(bool, a)),
    )


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--real",
        metavar="FOLDER",
        help="folder with alpaca/alpaca_data.json; made-up texts without it",
    )
    p.add_argument("--items", type=int, default=10_000, help="instructions (default: %(default)s)")
    p.add_argument("--n", type=int, default=4, help="responses to each (default: %(default)s)")
    p.add_argument(
        "--repeats",
        type=int,
        default=3,
        help="of either side; medians are compared (default: %(default)s)",
    )
    p.add_argument(
        "--out",
        default="benchmarks/rouge.json",
        help="where to record the figures (default: %(default)s)",
    )
    args = p.parse_args()
    groups, source = groups_of(args)
    lengths = sorted(len(rouge.rouge_tokens(t)) for g in groups for t in g)
    for stem in (False, True):
        compare(groups[:50], stem, 1)
    res = {
        "job": f"ROUGE-L of all pairs among {args.n} responses to each of {args.items} "
        "instructions",
        "texts": source,
        "words": {
            "mean": round(mean(lengths), 1),
            "median": median(lengths),
            "p99": lengths[len(lengths) * 99 // 100],
            "largest": lengths[-1],
        },
        "method": "one process, one thread, after a warm-up; both sides in turn; our memory of "
        "stems emptied before each repeat; ratios are of median CPU time, since other jobs share "
        "the machine",
        "stemmer_off": compare(groups, False, args.repeats),
        "stemmer_on": compare(groups, True, args.repeats),
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        "origin": provenance(),
        "versions": {k: version(k) for k in ("rouge-score", "rapidfuzz", "nltk", "numpy")},
        "date": time.strftime("%Y-%m-%d"),
    }
    write_text(args.out, json.dumps(res, indent=2) + "\n")
    for k in ("stemmer_off", "stemmer_on"):
        print(f"{k}: {res[k]['ratio_cpu']} times faster")


if __name__ == "__main__":
    main()
