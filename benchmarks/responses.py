"""What does a training step on a list of ranked responses cost, by the number of responses?

Three sides are given the same lists as token ids, and each makes an optimizer step:
- packed: each prompt is read once, and nothing is padded.
- padded: each response has its own copy of the prompt. Same code, same loss.
- trl: TRL's `DPOTrainer`, run by its own `train()`, on all N(N-1)/2 pairs of a list. Chosen in
  its favour: reference log-probabilities are computed beforehand and not counted, and a
  micro-batch is one pair, so that it needs as little memory as it can. Its time is that of the
  first `--pairs` pairs of each list, times how many more there are, since all are equally long;
  the optimizer's time is that of the packed side.

Lists of 2 to 16 responses to prompts of 100, 500 and 2,000 random tokens, in LLaMA's
architecture. All responses have 100 tokens, so that padding costs nothing and all that is gained
is gained by sharing prompts. Loss: DPO on all pairs from tables of scores.

On a CPU: float32, CPU seconds of one thread, and each repetition of each side is a process of
its own, as in `training.py`; the sides take turns. Peak memory is what a process needs above
weights, gradients and the optimizer's state. From the root of the repository:

    python benchmarks/responses.py                          # the whole grid, 20 minutes
    python benchmarks/responses.py --quick --out quick.json  # half a minute, to see that it runs

On a GPU, 1.1 billion weights, bfloat16 by autocast, wall seconds, all pairs:

    python benchmarks/responses.py --device cuda
    python benchmarks/responses.py --device cpu --bf16 --quick --out quick.json  # same path, CPU
"""

import argparse
import gc
import importlib.util
import math
import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median

import numpy as np
import torch
from machine import keep_memory
from training import (
    Clock,
    Memory,
    apart,
    environment,
    make_model,
    record,
    setting,
    trl_times,
)

from tuna_nb.losses import LIST_LOSSES, list_loss
from tuna_nb.training.logprobs import response_lengths, response_means, target_logps
from tuna_nb.training.packing import pack, to_device, use_packed

RESPONSE = 100  # Tokens of each response, the end token included
SIZES = 2, 4, 8, 16  # Responses of a list
PROMPTS = {100: 2, 500: 1, 2000: 1}  # Tokens of a prompt: lists in a step
CPU = dict(setting("cpu", 1, 768, 512, 1, 1), context=4096)
GPU = dict(setting("gpu", 22, 2048, 32000, 1, 1, True), intermediate=5632, context=4096)
QUICK = dict(setting("quick", 1, 64, 512, 1, 1), context=4096)
LOSSES_AT = 8, 500  # Responses and tokens of the prompt where the losses are compared
GOALS = {"share of the ratio of tokens": 0.85, "times faster than padded at N=8": 2.5}

# --- lists and steps ---


def draw_lists(n, prompt, response, count, vocab, seed=0):
    "Lists without an original response, of random token ids; 0 ends a text"
    rng = np.random.default_rng(seed)
    lists = []
    for number in range(count):
        start = rng.integers(2, vocab, prompt).tolist()
        texts = []
        for _ in range(n):
            texts.append(start + rng.integers(2, vocab, response - 1).tolist() + [0])
        item = {"id": str(number), "prompt_len": prompt, "ranks": [*range(1, n + 1)]}
        lists.append(dict(item, token_ids=texts))
    return lists


def loss_inputs(name, means, batch):
    "What a loss takes: scores of the responses, the reference's, the judge's, and which exist"
    v = means[:, 1:]
    if LIST_LOSSES[name].normalization == "sum":
        v = v * response_lengths(batch)[:, 1:]
    n = v.shape[1]
    # a reference a little off, so that no gap is 0
    found = {"v": v, "v_ref": v.detach() + torch.linspace(-0.1, 0.1, n, device=v.device)}
    found["scores"] = torch.arange(n, 0, -1, device=v.device).float().expand_as(v)
    return dict(found, mask=batch["mask"][:, 1:])


def list_step(model, lists, mode, loss="dpo", precision=None):
    "From token ids to gradients; the mean log-probabilities of the responses"
    batch = to_device(pack(lists, mode, pad=1), model.device)
    with precision or nullcontext():
        means = response_means(target_logps(model, batch), batch)
    list_loss(loss, **loss_inputs(loss, means, batch)).mean().backward()
    return means.detach()[:, 1:]


class DeviceMemory:
    "Peak memory above what is held at some moment, on a CPU or a GPU, in MB"

    def __init__(self, device):
        self.cpu = Memory() if device == "cpu" else None

    def mark(self, model):
        if self.cpu:
            self.cpu.mark(model)
            # what was needed before, to load TRL and its data, is forgotten
            Path("/proc/self/clear_refs").write_text("5")
        else:
            gc.collect()
            torch.cuda.reset_peak_memory_stats()
            self.base = torch.cuda.memory_allocated()

    def peak(self):
        if self.cpu:
            return self.cpu.peak()
        return round((torch.cuda.max_memory_allocated() - self.base) / 2**20)


def side(s, who, lists, run, keep=0):
    "Seconds of a side's steps, of the optimizer's, peak memory and scores; in its own process"
    torch.set_num_threads(run["threads"])
    if keep:
        keep_memory()
        torch.ones(int(keep * 2**18))  # MB taken from the system, and kept for the steps
    device = run["device"]
    model, clock, memory = make_model(s, device), Clock(device), DeviceMemory(device)
    which = 0 if device == "cpu" else 1  # CPU or wall seconds
    warm = draw_lists(len(lists[0]["ranks"]), 8, 3, len(lists), s["vocab"], seed=1)
    if device == "cuda":
        warm = lists
    short = len(lists[0]["token_ids"][0]) <= 1000
    batches = [lists] * (run["steps"] or (2 if short else 1))
    if who == "trl":
        with tempfile.TemporaryDirectory() as folder:
            times = trl_times(
                model,
                batches,
                [warm],
                s,
                whole=False,
                clock=clock,
                on_warm=lambda: memory.mark(model),
                folder=folder,
                bf16=run["bf16"],
                most_pairs=run["pairs"],
                pairs_at_once=run["pairs_at_once"],
            )
        return {"times": [t[which] for t in times], "peak_mb": memory.peak()}
    return our_side(model, who, [warm, *batches], run, clock, memory)


def our_side(model, who, batches, run, clock, memory):
    "`side` for packed and padded lists, the first batch to warm up"
    if who == "packed":
        use_packed(model)
    which = 0 if run["device"] == "cpu" else 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    res = {"times": [], "optimizer": []}
    for number, lists in enumerate(batches):
        if number == 1:
            memory.mark(model)
        precision = torch.autocast(run["device"], torch.bfloat16) if run["bf16"] else None
        clock.start()
        means = list_step(model, lists, who, precision=precision)
        made = clock.stop()[which]
        clock.start()
        optimizer.step()
        # kept, so that the memory of the gradients does not come and go
        optimizer.zero_grad(set_to_none=False)
        if number:
            res["times"].append(made)
            res["optimizer"].append(clock.stop()[which])
            res.setdefault("scores", means.tolist())
    return dict(res, peak_mb=memory.peak())


# --- a cell of the grid ---


def side_tokens(n, prompt, response):
    "Tokens of a list through the model, by side"
    return {
        "packed": prompt + n * response,
        "padded": n * (prompt + response),
        "trl": n * (n - 1) * (prompt + response),
    }


def measure_cell(s, n, prompt, run, whos):
    "All sides in turn, several times: first for the memory, then for the time"
    lists = draw_lists(n, prompt, run["response"], run["lists"][prompt], s["vocab"])
    load = os.getloadavg()[0]
    first = {who: apart(s, who, lists, run, function=side) for who in whos}
    results = {who: [] for who in whos}
    for repeat in range(run["repeats"]):
        for who in whos if repeat % 2 == 0 else whos[::-1]:
            keep = 1.05 * first[who]["peak_mb"] + 300 if run["device"] == "cpu" else 0
            results[who].append(apart(s, who, lists, run, keep, function=side))
    scores = np.array([o["scores"] for who in whos if who != "trl" for o in results[who]])
    difference = float(abs(scores - scores[0]).max())
    if difference > (0.1 if run["bf16"] else 1e-4):
        raise SystemExit(f"packed and padded scores differ by {difference}")
    steps = [t for o in results["packed"] for t in o["optimizer"]]
    optimizer = median(steps)
    tokens = side_tokens(n, prompt, run["response"])
    cell = {"n": n, "prompt": prompt, "lists": len(lists), "sides": {}}
    for who in whos:
        times = [t for o in results[who] for t in o["times"]]
        found = {"tokens": len(lists) * tokens[who]}
        factor = 1
        if who == "trl":
            pairs = math.comb(n, 2)
            timed = min(pairs, run["pairs"] or pairs)
            factor = pairs / timed
            found.update(pairs=len(lists) * pairs, pairs_timed=len(lists) * timed)
        found["seconds"] = [round(factor * t + optimizer, 4) for t in times]
        cell["sides"][who] = dict(found, peak_mb=first[who]["peak_mb"])
    cell["optimizer_s"] = round(optimizer, 4)
    cell["largest_difference"] = float(f"{difference:.1g}")
    cell["load"] = [round(load, 2), round(os.getloadavg()[0], 2)]
    return compare_sides(cell)


def compare_sides(cell):
    "Ratios to the packed side, and the goals"
    packed = cell["sides"]["packed"]
    cell["ratios"] = {}
    cell["goals"] = {}
    for who, found in cell["sides"].items():
        found["median_s"] = round(median(found["seconds"]), 4)
        if who == "packed":
            continue
        tokens = found["tokens"] / packed["tokens"]
        seconds = found["median_s"] / packed["median_s"]
        memory = found["peak_mb"] / max(packed["peak_mb"], 1)
        ratios = {"tokens": tokens, "time": seconds, "memory": memory, "share": seconds / tokens}
        cell["ratios"][who] = {key: round(value, 3) for key, value in ratios.items()}
        share = bool(ratios["share"] >= GOALS["share of the ratio of tokens"])
        cell["goals"][f"share, {who}"] = share
    if cell["n"] == 8 and "padded" in cell["ratios"]:
        faster = cell["ratios"]["padded"]["time"]
        cell["goals"]["faster than padded"] = faster >= GOALS["times faster than padded at N=8"]
    return cell


def show_cell(cell):
    print(f"N={cell['n']}, prompts of {cell['prompt']}, load {cell['load']}")
    for who, found in cell["sides"].items():
        print(
            f"  {who:7} {found['tokens']:8} tokens {found['median_s']:9.3f} s "
            f"{found['peak_mb']:6} MB  {cell['ratios'].get(who, '')}",
            flush=True,
        )


# --- the losses ---


def loss_times(s, who, lists, run, keep=0):
    "Seconds of a packed step with each loss, of the loss alone, and of the reference's scores"
    torch.set_num_threads(run["threads"])
    if keep:
        keep_memory()
        torch.ones(int(keep * 2**18))
    device = run["device"]
    model, clock = make_model(s, device), Clock(device)
    use_packed(model)
    which = 0 if device == "cpu" else 1
    precision = torch.autocast(device, torch.bfloat16) if run["bf16"] else nullcontext()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    res = {"step": {name: [] for name in LIST_LOSSES}, "alone": {}, "reference": []}
    batch = to_device(pack(lists, who, pad=1), device)
    for repeat in range(3 * run["repeats"] + 1):
        names = [*LIST_LOSSES] if repeat % 2 else [*LIST_LOSSES][::-1]
        for name in names:
            clock.start()
            list_step(model, lists, who, name, precision)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
            seconds = clock.stop()[which]
            if repeat:
                res["step"][name].append(seconds)
        clock.start()
        with torch.no_grad(), precision:
            means = response_means(target_logps(model, batch), batch)
        if repeat:
            res["reference"].append(clock.stop()[which])
    for name in LIST_LOSSES:
        leaf = means.clone().requires_grad_()
        for count in (5, 50):  # the first ones to warm up
            clock.start()
            for _ in range(count):
                list_loss(name, **loss_inputs(name, leaf, batch)).mean().backward()
            res["alone"][name] = clock.stop()[which] / count
    return res


def measure_losses(s, run):
    "The packed step of each loss beside that of Tuna's"
    n, prompt = run["losses_at"]
    lists = draw_lists(n, prompt, run["response"], run["lists"][prompt], s["vocab"])
    keep = 2000 if run["device"] == "cpu" else 0
    found = apart(s, "packed", lists, run, keep, function=loss_times)
    medians = {name: median(times) for name, times in found["step"].items()}
    res = {"n": n, "prompt": prompt, "lists": len(lists), "of": {}}
    res["reference_s"] = round(median(found["reference"]), 4)
    for name, step in medians.items():
        res["of"][name] = {
            "seconds": [round(t, 4) for t in found["step"][name]],
            "median_s": round(step, 4),
            "extra_percent": round(100 * (step / medians["tuna"] - 1), 1),
            "loss_ms": round(1000 * found["alone"][name], 3),
        }
        print(f"{name:14} {step:.3f} s, alone {1000 * found['alone'][name]:.2f} ms", flush=True)
    return res


# --- command ---


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--device", default="cpu", choices=("cpu", "cuda"), help="(default: %(default)s)")
    add("--bf16", action="store_true", help="bfloat16 by autocast, as is usual on a GPU")
    add("--sizes", type=int, nargs="+", default=SIZES, help="responses (default: %(default)s)")
    add("--prompts", type=int, nargs="+", default=[*PROMPTS], help="tokens (default: %(default)s)")
    add("--sides", nargs="+", help="packed, padded, trl (default: all that can run)")
    add("--repeats", type=int, default=3, help="of each side (default: %(default)s)")
    add("--steps", type=int, help="in each repetition (default: 2, 1 with long prompts; GPU: 5)")
    add("--pairs", type=int, help="of a list that TRL is timed on; 0: all (default: 3; GPU: all)")
    add("--pairs_at_once", type=int, default=1, help="TRL's micro-batch (default: %(default)s)")
    add("--threads", type=int, default=1, help="of each process (default: %(default)s)")
    add("--quick", action="store_true", help="a very small model, four cells, once")
    add("--out", default="benchmarks/responses.json", help="record (default: %(default)s)")
    return parser


def main():
    args = make_parser().parse_args()
    os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
    on_gpu = args.device == "cuda"
    pairs = args.pairs if args.pairs is not None else (0 if on_gpu else 3)
    run = {
        "device": args.device,
        "bf16": args.bf16 or on_gpu,
        "threads": args.threads,
        "repeats": args.repeats,
        "steps": args.steps or (5 if on_gpu else None),
        "pairs": pairs or None,
        "pairs_at_once": args.pairs_at_once,
        "response": RESPONSE,
        "lists": {prompt: PROMPTS.get(prompt, 1) for prompt in args.prompts},
        "losses_at": LOSSES_AT,
    }
    run["lists"].setdefault(LOSSES_AT[1], PROMPTS[LOSSES_AT[1]])
    model = GPU if on_gpu else CPU
    if args.quick:
        model, args.sizes, args.prompts = QUICK, (2, 8), (20, 60)
        run.update(repeats=1, response=10, lists={20: 2, 60: 1}, losses_at=(8, 60))
    has_trl = importlib.util.find_spec("trl") is not None
    whos = args.sides or ["packed", "padded"] + ["trl"] * has_trl
    if "trl" in whos:
        import trl  # noqa: F401  once, and not in every process
    parameters = sum(p.numel() for p in make_model(model, "meta").parameters())
    found = {"model": dict(model, parameters=parameters), "run": run, "goals": GOALS}

    def write():
        "What is known so far"
        found["minutes"] = round((time.time() - started) / 60, 1)
        record(Path(args.out), lambda figures: figures.update({args.device: found}))

    started = time.time()
    found["losses"] = measure_losses(model, run)
    found["cells"] = {}
    for prompt in args.prompts:
        for n in args.sizes:
            cell = measure_cell(model, n, prompt, run, whos)
            show_cell(cell)
            found["cells"][f"n{n}_p{prompt}"] = cell
            write()
    found["environment"] = environment(args.device)
    write()
    print(f"figures: {args.out}")


if __name__ == "__main__":
    main()
