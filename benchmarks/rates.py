"""How the rating of a validation answer depends on the learning rate, for each row.

Each model is trained with every rate of the grid on development seeds, and the judge rates its
answers to the 500 validation instructions. Alpaca is also trained for several numbers of epochs.
No test question and no oracle has a part in it.

    python benchmarks/rates.py runs/rates --seeds 100 101 102

The other losses of Tuna_c have a grid and a part of the file of their own, which --losses makes
anew without the rest.
"""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from tuna_nb.experiments.methods import LOSS_LABELS, METHODS
from tuna_nb.experiments.runner import run_stages
from tuna_nb.experiments.stages_train import question, rating_gain
from tuna_nb.mini.paper import MiniConfig
from tuna_nb.utils.core import provenance, read_document, read_json

ALPACA_RATES = {  # by epochs
    1.0: (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3),
    3.0: (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3),
    6.0: (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3),
    12.0: (2e-4, 4e-4),
}
RATES = {  # by stages
    ("tuna_p", "tuna_c", "tuna"): (2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4),
    ("steps", "top", "best_of_4"): (2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4),
    ("dpo", "rrhf"): (2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4),
    ("ppo", "rloo"): (1.25e-5, 2.5e-5, 5e-5, 1e-4, 2e-4),
    ("mul",): (2e-4, 4e-4, 8e-4, 1.6e-3),
}
LOSS_RATES = RATES["tuna_p", "tuna_c", "tuna"]
PROXY_RATES = (3e-4, 1e-3, 3e-3)
PROXIES = ("prm_3b", "prm_7b")


def alpaca_curve(cfg, out, seed):
    "Rating of each Alpaca above the usual one, by rate and epochs"
    stages = {}
    for epochs, rates in ALPACA_RATES.items():
        for rate in rates:
            other = replace(cfg, sft_lr=rate, sft_epochs=epochs)
            folder = out / f"alpaca {rate:g} {epochs:g}"
            for name in ("base", "teacher", "data"):
                source = out / f"seed{seed}" / name
                shutil.copytree(source, folder / f"seed{seed}" / name, dirs_exist_ok=True)
            run_stages(other, folder, [seed], ["alpaca"], workers=1)
            stages[rate, epochs] = folder / f"seed{seed}" / "alpaca"
    usual = read_document(stages[cfg.sft_lr, cfg.sft_epochs] / "val.json")
    questions = list(map(question, read_json(out / f"seed{seed}" / "data" / "val.jsonl")))
    job = SimpleNamespace(part=out / f"judging {seed}", seed=seed)
    job.part.mkdir(exist_ok=True)
    curve = {}
    with cfg.judge(job) as judge:
        for (rate, epochs), folder in stages.items():
            answers = read_document(folder / "val.json")
            gain = rating_gain(judge, questions, answers, usual, **cfg.review())
            curve.setdefault(f"{epochs:g}", {})[f"{rate:g}"] = gain
    return curve


def loss_curves(out, seeds):
    "Rating of each loss's model above Alpaca, by loss, seed and rate; and what they come to"
    tried = {}
    for loss in LOSS_LABELS:
        stage = f"loss_{loss}"
        factor = METHODS[stage].rate_factor
        rates = tuple(float(f"{rate / factor:.6g}") for rate in LOSS_RATES)
        run_stages(replace(MiniConfig(), lrs=rates), out, seeds, [stage], workers=2)
        tried[loss] = {}
        for seed in seeds:
            record = read_document(out / f"seed{seed}" / stage / "done.json")
            tried[loss][seed] = record["result"]["tried"]
    best = {}
    for loss, by_seed in tried.items():
        curves = list(by_seed.values())
        means = {rate: sum(curve[rate] for curve in curves) / len(curves) for rate in curves[0]}
        best[loss] = max(means, key=means.get)
    return {"tried": tried, "best": best}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the stages")
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--losses", action="store_true", help="only the other losses of Tuna_c")
    args = parser.parse_args()
    record = Path(__file__).with_suffix(".json")
    if args.losses:
        found = json.loads(record.read_text())
        origin = provenance() | {"note": "as above; the best rate is that of the highest mean"}
        found["losses"] = loss_curves(args.out, args.seeds) | {"origin": origin}
        record.write_text(json.dumps(found, indent=1) + "\n")
        return
    usual = MiniConfig()
    curves = {"Alpaca": {}, "others": {}, "proxies": {}}
    for stages, rates in (RATES | {PROXIES: PROXY_RATES}).items():
        cfg = replace(usual, lrs=rates, other_lrs=(), prm_lrs=PROXY_RATES)
        run_stages(cfg, args.out, args.seeds, list(stages), workers=2)
        part = "proxies" if stages == PROXIES else "others"
        for stage in stages:
            for seed in args.seeds:
                record = read_document(args.out / f"seed{seed}" / stage / "done.json")
                curves[part].setdefault(stage, {})[seed] = record["result"]["tried"]
    for seed in args.seeds:
        curves["Alpaca"][seed] = alpaca_curve(usual, args.out, seed)
    note = (
        "ratings by the judge, from 1 to 10, less those of Alpaca with its usual rate and epochs; "
        "of proxies the share of validation pairs in the judge's order"
    )
    curves |= {"origin": provenance() | {"note": note}}
    if record.exists():
        curves["losses"] = json.loads(record.read_text()).get("losses", {})
    text = json.dumps(curves, indent=1)
    record.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
