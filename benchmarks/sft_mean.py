"""How much of Alpaca's score in the miniature depends on how its SFT loss is averaged.

Eq. 2 averages over the tokens of each response, then over responses; usual trainers, and the
miniature, average over all tokens of the step. Both are trained from the base model of a finished
run, on the same data in several orders.

    tuna_mini --out runs/mini
    python benchmarks/sft_mean.py runs/mini
"""

import argparse
import json
import tempfile
from pathlib import Path

from tuna_nb import LocalModel, sft
from tuna_nb.data import load_instructions
from tuna_nb.mini.benchmarks import benchmarks
from tuna_nb.mini.paper import MiniConfig
from tuna_nb.utils.core import provenance

AVERAGES = {"each response": "original", "all tokens of the step": "tokens"}


def scores(model, tests):
    "Truth on all three benchmarks, and ROUGE-L on Super-NI"
    found = {}
    for bench in tests:
        sampled = model.sample(bench.prompts(), max_new_tokens=bench.max_new_tokens)
        found |= bench.score([generation.text for (generation,) in sampled])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run of tuna_mini")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the run whose base model is taken"
    )
    parser.add_argument("--orders", type=int, default=5, help="orders of the training data")
    args = parser.parse_args()
    folder, config = args.run / f"seed{args.seed}", MiniConfig()
    tests = benchmarks(config.world(args.seed))
    data = load_instructions(folder / "data" / "train.jsonl")
    result = {}
    for name, mle_over in AVERAGES.items():
        result[name] = []
        for order in range(args.orders):
            with tempfile.TemporaryDirectory() as out:
                sft(
                    folder / "base" / "model",
                    None,
                    data,
                    out,
                    learning_rate=config.sft_lr,
                    use_cpu=True,
                    num_train_epochs=config.sft_epochs,
                    per_device_train_batch_size=config.batch_size,
                    seed=order,
                    mle_over=mle_over,
                )
                result[name].append(scores(LocalModel(out, batch_size=128), tests))
            print(name, order, {k: round(v, 1) for k, v in result[name][-1].items()}, flush=True)
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"origin": provenance(), "orders": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
