"""How much a model's truth in the miniature depends on the order of its training data.

Each model is trained again and again on the same data, from the same start and with the same
rate, in other orders.

    tuna_ablate table1 --first-seed 100 --out runs/development
    python benchmarks/orders.py runs/development --seed 100
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from types import SimpleNamespace

from tuna_nb.data import load_instructions
from tuna_nb.experiments.methods import METHODS
from tuna_nb.experiments.stages_data import ranked
from tuna_nb.experiments.stages_train import TrainingTask, fit_model
from tuna_nb.mini.benchmarks import benchmarks
from tuna_nb.mini.paper import MiniConfig
from tuna_nb.utils.core import provenance, read_document

SCORES = ("super_ni_0shot", "lmentry_score", "vicuna_right")


def training_task(job, cfg, stage, out):
    "What a stage of the finished run trains"
    if stage == "alpaca":
        data = load_instructions(job.at("data", "train.jsonl"))
        return TrainingTask(job.at("base"), data, "original", out, cfg.sft_lr, cfg.sft_epochs)
    method = METHODS[stage]
    rate = read_document(Path(job.root) / stage / "done.json")["result"]["lr"]
    data = ranked(job, method.sources)
    return TrainingTask(job.at(method.start), data, method.objective, out, rate, cfg.epochs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--seed", type=int, default=100, help="seed of the run")
    parser.add_argument("--orders", type=int, default=10, help="orders of the training data")
    parser.add_argument("--stages", nargs="+", default=["alpaca", "top", "tuna_p", "tuna_c"])
    args = parser.parse_args()
    cfg = MiniConfig()
    tests = benchmarks(cfg.world(args.seed))
    root = args.run / f"seed{args.seed}"

    def at(stage, name="model"):
        return str(root / stage / name)

    found = {}
    for stage in args.stages:
        found[stage] = {name: [] for name in SCORES}
        for order in range(args.orders):
            with tempfile.TemporaryDirectory() as folder:
                job = SimpleNamespace(cfg=cfg, seed=order, root=root, at=at)
                task = training_task(job, cfg, stage, Path(folder))
                fit_model(job, task)
                model = cfg.local(job, Path(folder))
            for bench in tests:
                tokens = bench.max_new_tokens
                sampled = model.sample(bench.prompts(), max_new_tokens=tokens)
                scores = bench.score([generation.text for (generation,) in sampled])
                for name in SCORES:
                    if name in scores:
                        found[stage][name].append(scores[name])
        spread = {name: round(statistics.stdev(found[stage][name]), 2) for name in SCORES}
        print(stage, spread, flush=True)
    origin = provenance() | {"note": f"seed {args.seed}, {args.orders} orders; truth in percent"}
    text = json.dumps({"scores": found, "origin": origin}, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
