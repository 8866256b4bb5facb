import sys, time, statistics, shutil, json

sys.path.insert(0, "benchmarks/world_v2")
from pathlib import Path
import importlib

W = importlib.import_module(sys.argv.pop(1))
from dataclasses import replace
import argparse

ap = argparse.ArgumentParser()
ap.add_argument("seed", type=int)
ap.add_argument("--cfg", default="W.Config()")
ap.add_argument("--alpaca", default="1e-4,2e-4,4e-4,8e-4")
ap.add_argument("--rates", default="1e-4,2e-4,4e-4,8e-4")
ap.add_argument("--rows", default="top,p,c")
ap.add_argument("--orders", type=int, default=0)
ap.add_argument("--ctx", type=float, default=1.0)
ap.add_argument("--use", type=float, default=0)
ap.add_argument("--tepochs", type=float, default=1.0)
ap.add_argument("--tag", default="")
A = ap.parse_args()
w = W.World(A.seed, eval(A.cfg))
out = Path("runs")
e = W.Experiment(w, out)
e.run = e.run / ("r" + A.tag)
e.run.mkdir(exist_ok=True)
from tuna_nb.data import format_prompts


def val(path):
    prompts = format_prompts(e.val)
    texts = [
        g.text for (g,) in e.model(path).sample(prompts, max_new_tokens=w.config.max_new_tokens)
    ]
    rs = [W.TRAINER.rate(w, r, t) for r, t in zip(e.val, texts)]
    tr = [w.truth(r, t) for r, t in zip(e.val, texts)]
    h = w.config.n_val // 2
    return statistics.mean(rs), 100 * statistics.mean(tr[:h]), 100 * statistics.mean(tr[h:])


def search(name, objective, start, data, rates, epochs=None):
    best = None
    for rate in rates:
        t0 = time.time()
        path = e.fit(f"{name}-{rate:g}", objective, start, data, rate)
        dt = time.time() - t0
        v = val(path)
        a = e.tests.answers(e.model(path))
        key = f"{name} {rate:g}"
        e.show(key, a, f"val {v[0]:.2f} truth {v[1]:.0f} {v[2]:.0f} | {dt:.0f} s")
        if best is None or v[0] > best[0]:
            best = (v[0], rate, path, key)
    print(f"  -> {name}: {best[1]:g}", flush=True)
    return best


R = lambda s: [float(x) for x in s.split(",")]
# does greedy equal..., confidence of truth
for kind in ("wrong", "chance", "copy"):
    e.show(kind, e.tests.null_answers(kind))
for who, path in e.paths.items():
    e.show(who, e.tests.answers(e.model(path)))
e.show_ranks("teacher", e.rankings)
al = search("alpaca", "sft", e.paths["base"], e.rankings, [A.use] if A.use else R(A.alpaca))
ref = al[3]
e.show_difference("base", ref)
w.config = replace(w.config, epochs=A.tepochs)


def diff(keys):
    for k in keys:
        e.show_difference(k, ref)


if "steps" in A.rows:
    b = search("steps", "sft", al[2], e.rankings, R(A.rates))
    diff([f"steps {r:g}" for r in R(A.rates)])
if "top" in A.rows:
    top = [row | {"output": row["responses"][0]} for row in e.rankings]
    search("top", "sft", al[2], top, R(A.rates))
    diff([f"top {r:g}" for r in R(A.rates)])
if "p" in A.rows.split(","):
    search("tuna_p", "tune", al[2], e.rankings, R(A.rates))
    diff([f"tuna_p {r:g}" for r in R(A.rates)])
if "c" in A.rows.split(","):
    j = e.ask_judge(al[2])
    e.show_ranks("judge", j)
    search("tuna_c", "tune", al[2], j, R(A.rates))
    diff([f"tuna_c {r:g}" for r in R(A.rates)])
if A.orders:
    found = []
    for s in range(1, A.orders + 1):
        path = e.fit("order", "sft", e.paths["base"], e.rankings, al[1], s)
        found.append(e.tests.score(e.tests.answers(e.model(path))))
    for n in e.tests.rows:
        v = [x[n] for x in found]
        print(n, "orders", round(statistics.mean(v), 1), "sd", round(statistics.stdev(v), 2))
