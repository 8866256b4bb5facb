"""How fast, and in how much memory, is a training step on ranked responses?

Contestants, each given the same items as token ids and asked for the gradients of one optimizer
step:
- released: the work of the authors' step. All sequences padded to the batch's longest; the
  model's own cross-entropy over all of them in float32; a second float32 log-softmax over all
  logits for the ranking.
- padded, rows, packed: the three modes of `tuna_nb.training.packing`, with Eq. 6 as the loss.
- trl: TRL's `DPOTrainer`, run by its own `train()`, on all 6 pairs of the 4 ranked responses of
  the same items. Chosen in its favour: reference log-probabilities are computed beforehand and
  not counted; the pairs of one item share a micro-batch, which pads least (`trl_whole` puts all
  pairs of the step in one micro-batch); no time for its collator, while the others pad or pack
  on the clock. Left out if TRL is not installed.

Items: 4 ranked responses and the original, random token ids, lengths as in Alpaca (prompt 60
tokens, response 54, long tail, no text longer than 512 tokens, or fewer where a setting says
so). Of 2,000 random draws the one is timed whose padded, row and packed sizes are nearest to the
long run's.

On a CPU every repetition of every contestant is a process of its own: a small warm-up step, then
the steps that count, from token ids to gradients; the contestants take turns. Peak memory as
Linux counts it for a process, above what it held before the steps (weights, gradients,
libraries). CPU and wall time are measured in other processes, which were given all their memory
beforehand and keep it: by default C's allocator returns every large block to the system and gets
it back page by page, which costs a step that makes large tensors much of its time. Ratios are
therefore the lower ones; the default allocator's times stand beside them as `default_cpu_s`.
From the root of the repository, alone on a machine with 24 GB:

    python benchmarks/training.py                       # all settings, two hours on one thread
    python benchmarks/training.py --only v512_b16       # one setting; the others in the file stay
    python benchmarks/training.py --quick --out quick.json  # half a minute, to see that it runs

On a GPU, one process: 1.1 billion random weights in the LLaMA architecture, AdamW and all:

    python benchmarks/training.py --gpu
    python benchmarks/training.py --gpu --tiny --out quick.json  # the same path on a CPU
"""

import argparse
import ctypes
import gc
import importlib.util
import json
import math
import multiprocessing
import os
import platform
import tempfile
import time
import warnings
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from machine import keep_memory, status_mb
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
)

from tuna_nb.loss import tuna_loss
from tuna_nb.scoring import RankedCollator, sequence_logps
from tuna_nb.training.metrics import Work, best_flops
from tuna_nb.training.packing import pack, to_device, use_packed
from tuna_nb.utils.core import provenance, write_text

OURS = ("padded", "rows", "packed")
TRL = ("trl", "trl_whole")
MEANS = 60, 55.8, 54.3, 52.5, 49.4  # tokens of the original and of the responses by rank

# --- items ---


def draw_lengths(rng, n, longest=512):
    "Tokens of n prompts and of their 5 responses"
    prompt = rng.choice([34, 51], n, p=[0.6, 0.4]) + rng.lognormal(
        math.log(19.2) - 0.8**2 / 2, 0.8, n
    ).round().clip(1)
    spread = rng.normal(0, 0.8, (n, 1)) + rng.normal(0, 0.5, (n, 5))
    resp = (np.array(MEANS) * np.exp(spread - (0.8**2 + 0.5**2) / 2)).round().clip(1)
    prompt = prompt.clip(max=longest // 2).astype(int)
    return prompt, np.minimum(resp.astype(int), longest - prompt[:, None])


def sizes(prompt, resp, b):
    "Tokens that each layout pushes through the model, an item, for batches of b in a row"
    whole = (prompt[:, None] + resp).reshape(-1, b * 5)
    packed = (prompt + resp.sum(1)).reshape(-1, b)
    ranked = prompt + resp[:, 1:].max(1)
    res = {
        "padded": 5 * whole.max(1).mean(),
        "rows": packed.max(1).mean(),
        "flat": 5 * prompt.mean() + resp.sum(1).mean(),
        "packed": packed.mean(),
        "trl": 12 * ranked.mean(),
        "trl_whole": 12 * ranked.reshape(-1, b).max(1).mean(),
    }
    return {k: float(o) for k, o in res.items()}


def typical_lengths(b, batches, longest, tries=2000):
    "Long-run sizes, and the draw that comes nearest to them"
    long = sizes(*draw_lengths(np.random.default_rng(0), b * 20_000 // b, longest), b)

    def far(seed):
        s = sizes(*draw_lengths(np.random.default_rng(seed), b * batches, longest), b)
        return sum(abs(math.log(s[k] / long[k])) for k in ("padded", "rows", "packed"))

    seed = min(range(1, tries + 1), key=far)
    return long, seed, draw_lengths(np.random.default_rng(seed), b * batches, longest)


def make_items(prompt, resp, vocab, seed=0):
    "Items as `encode_records` makes them, of random token ids; 0 ends a text, 1 pads"
    rng, ids = np.random.default_rng(seed), lambda n: rng.integers(2, vocab, n).tolist()
    items = []
    for i, (p, rs) in enumerate(zip(prompt, resp, strict=True), 1):
        start = ids(p)
        items.append(
            {
                "id": str(i),
                "prompt_len": int(p),
                "ranks": list(range(5)),
                "token_ids": [start + ids(r - 1) + [0] for r in rs],
            }
        )
    return items


def word_tokenizer(vocab):
    "A tokenizer with one word for each id, so that TRL can be given text"
    words = ["<end>", "<pad>"] + [f"w{i}" for i in range(2, vocab)]
    tok = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tok, eos_token="<end>", pad_token="<pad>")


# --- models ---


def make_model(s, device="cpu"):
    "LLaMA architecture with random weights"
    cfg = LlamaConfig(
        vocab_size=s["vocab"],
        hidden_size=s["hidden"],
        intermediate_size=s["intermediate"],
        num_hidden_layers=s["layers"],
        num_attention_heads=s["heads"],
        num_key_value_heads=s["heads"],
        max_position_embeddings=s.get("context", 2048),
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = LlamaForCausalLM(cfg)
    if s["checkpointing"]:
        model.activation_checkpointing_enable()
    return model.train()


# --- steps ---


def released_step(model, items, **kwargs):
    "The authors' step: token mean over all sequences, and by gaps a mean over pairs and batch"
    rows = [r for o in items for r in o["token_ids"]]
    t, dev = max(map(len, rows)), model.device
    ids = torch.tensor([r + [1] * (t - len(r)) for r in rows], device=dev)
    n = torch.tensor([len(r) for r in rows], device=dev)[:, None]
    prompt_lens = [o["prompt_len"] for o in items for _ in o["token_ids"]]
    start = torch.tensor(prompt_lens, device=dev)[:, None]
    at = torch.arange(t, device=dev)
    resp = (at >= start) & (at < n)
    out = model(
        input_ids=ids,
        attention_mask=(at < n).long(),
        labels=ids.masked_fill(~resp, -100),
        use_cache=False,
    )
    logp = (
        out.logits.float()
        .log_softmax(-1)
        .gather(-1, F.pad(ids[:, 1:], (0, 1))[..., None])[:, :-1, 0]
    )
    m = resp[:, 1:]
    v = ((logp * m).sum(-1) / m.sum(-1)).view(len(items), -1)
    r, loss = v[:, 1:], out.loss
    for gap in range(1, r.shape[1]):
        better, worse = r[:, :-gap], r[:, gap:]
        loss = loss + F.margin_ranking_loss(
            better, worse, torch.ones_like(better), margin=0.1 * gap
        )
    loss.backward()
    return v.detach()


def our_step(model, items, collate):
    "Eq. 6, the mean over the items"
    v = sequence_logps(model, to_device(collate(items), model.device))
    (tuna_loss(v[:, 1:], v[:, 0]).sum() / len(v)).backward()
    return v.detach()


class Clock:
    "CPU and wall seconds"

    def __init__(self, device="cpu"):
        self.device = device

    def now(self):
        if self.device == "cuda":
            torch.cuda.synchronize()
        return np.array([time.process_time(), time.perf_counter()])

    def start(self):
        self.t = self.now()

    def stop(self):
        return [float(o) for o in self.now() - self.t]


class StepTimes(TrainerCallback):
    "Times of a trainer's steps, the optimizer's part of them left out unless asked for"

    def __init__(self, clock, on_warm, optimizer=False):
        self.clock, self.on_warm, self.optimizer, self.times = clock, on_warm, optimizer, []

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == state.max_steps - args.n_timed:
            self.on_warm()
        self.clock.start()

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if not self.optimizer:
            self.times.append(self.clock.stop())

    def on_step_end(self, args, state, control, **kwargs):
        if self.optimizer:
            self.times.append(self.clock.stop())


def ranked_pairs(item, most=None):
    "The better and the worse of each pair of ranked responses, as token ids; the first ones"
    ranked = [r for rank, r in zip(item["ranks"], item["token_ids"], strict=True) if rank]
    return list(combinations(ranked, 2))[:most]


def trl_times(
    model,
    batches,
    warm,
    s,
    whole,
    clock,
    on_warm,
    folder,
    bf16=False,
    optimizer=False,
    most_pairs=None,
    pairs_at_once=None,
):
    """Times of the steps of TRL's trainer, after the warm-up batches

    A micro-batch holds all pairs of an item or `pairs_at_once`, or those of the whole step;
    `most_pairs` leaves out the other pairs of an item."""
    from datasets import Dataset, disable_progress_bars
    from trl import DPOConfig, DPOTrainer

    disable_progress_bars()
    warnings.simplefilter("ignore", FutureWarning)  # names of arguments that TRL still uses
    tok = word_tokenizer(s["vocab"])

    def say(ids):
        return "".join(" " + word for word in tok.convert_ids_to_tokens(ids))

    pairs = [
        {
            "prompt": say(o["token_ids"][0][: o["prompt_len"]]).strip(),
            "chosen": say(better[o["prompt_len"] :]),
            "rejected": say(worse[o["prompt_len"] :]),
        }
        for b in warm + batches
        for o in b
        for better, worse in ranked_pairs(o, most_pairs)
    ]
    of_item = len(ranked_pairs(batches[0][0], most_pairs))
    of_step = of_item * len(batches[0])
    per = of_step if whole else pairs_at_once or of_item
    args = DPOConfig(
        folder,
        per_device_train_batch_size=per,
        gradient_accumulation_steps=of_step // per,
        max_steps=len(warm + batches),
        max_length=None,
        precompute_ref_log_probs=True,
        gradient_checkpointing=s["checkpointing"],
        bf16=bf16,
        use_cpu=clock.device == "cpu",
        learning_rate=1e-5,
        optim="adamw_torch_fused" if optimizer else "sgd",
        max_grad_norm=0,
        train_sampling_strategy="sequential",
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=False,
    )
    args.n_timed = len(batches)
    times = StepTimes(clock, on_warm, optimizer)
    trainer = DPOTrainer(
        model,
        args=args,
        train_dataset=Dataset.from_list(pairs),
        processing_class=tok,
        callbacks=[times],
    )
    trainer.remove_callback(PrinterCallback)
    first = trainer.train_dataset[len(warm) * of_step]
    if first["prompt_ids"] + first["chosen_ids"] != ranked_pairs(batches[0][0])[0][0]:
        raise SystemExit("TRL did not get the same items")
    trainer.train()
    return times.times[len(warm) :]


# --- one contestant in a process ---


class Memory:
    "Peak memory of this process above what it held at some moment"

    def mark(self, model):
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        no_grad = sum(p.numel() * p.element_size() for p in model.parameters() if p.grad is None)
        self.base = status_mb("VmRSS") + no_grad / 2**20

    def peak(self):
        return round(status_mb("VmHWM") - self.base)


def contest(s, who, batches, threads, keep=0):
    "Times, peak memory and scores of one contestant"
    torch.set_num_threads(threads)
    if keep:
        keep_memory()
        torch.ones(int(keep * 2**18))  # MB taken from the system, and kept for the steps
    model, clock, mem = make_model(s), Clock(), Memory()
    tiny = make_items(
        np.array([8] * len(batches[0])), np.full((len(batches[0]), 5), 3), s["vocab"], seed=1
    )
    if who in TRL:
        with tempfile.TemporaryDirectory() as d:
            times = trl_times(
                model, batches, [tiny], s, who == "trl_whole", clock, lambda: mem.mark(model), d
            )
        return {"times": times, "peak_mb": mem.peak()}
    if who == "packed":
        use_packed(model)
    step = released_step if who == "released" else our_step
    collate = None if who == "released" else RankedCollator(word_tokenizer(s["vocab"]), mode=who)
    step(model, tiny, collate=collate)
    model.zero_grad(set_to_none=False)
    mem.mark(model)
    res = {"times": [], "scores": [], "grads": []}
    for b in batches:
        clock.start()
        v = step(model, b, collate=collate)
        res["times"].append(clock.stop())
        res["scores"].append(v.tolist())
        res["grads"].append(norm(model))
        model.zero_grad(set_to_none=False)
    return dict(res, peak_mb=mem.peak())


def norm(model):
    return math.sqrt(sum(p.grad.double().square().sum().item() for p in model.parameters()))


def work(conn, function, *args):
    try:
        conn.send(function(*args))
    finally:
        conn.close()


def apart(*args, function=contest):
    "`contest`, or another function of setting and contestant, in a process of its own"
    ctx = multiprocessing.get_context("fork")
    here, there = ctx.Pipe()
    p = ctx.Process(target=work, args=(there, function, *args))
    p.start()
    there.close()
    try:
        res = here.recv()
    except EOFError:
        raise SystemExit(
            f"{args[1]} ended without a result (its own message stands above, or it ran out of "
            "memory)"
        ) from None
    p.join()
    return res


# --- a setting ---


def setting(name, layers, hidden, vocab, b, batches, checkpointing=False, longest=512):
    return {
        "name": name,
        "layers": layers,
        "hidden": hidden,
        "intermediate": math.ceil(hidden / 6) * 16,
        "heads": hidden // 64,
        "vocab": vocab,
        "b": b,
        "batches": batches,
        "checkpointing": checkpointing,
        "longest": longest,
    }


SETTINGS = [
    setting("v32k_b4", 8, 512, 32000, 4, 2),
    setting("v32k_b4_ckpt", 8, 512, 32000, 4, 2, True),
    setting(
        "v32k_b16", 8, 512, 32000, 16, 1, longest=224
    ),  # shorter texts, since the released step takes 17 GB even so
    setting("v32k_b16_ckpt", 8, 512, 32000, 16, 1, True, longest=384),  # and 16 GB here
    setting("v512_b4", 4, 256, 512, 4, 4),
    setting("v512_b4_ckpt", 4, 256, 512, 4, 4, True),
    setting("v512_b16", 4, 256, 512, 16, 2),
    setting("v512_b16_ckpt", 4, 256, 512, 16, 2, True),
]
QUICK = setting("quick", 2, 64, 512, 4, 1, longest=128)


def same(results):
    "Largest differences: of scores among all contestants, of gradients' size among our modes"
    vs = [np.array(r["scores"]) for rs in results.values() for r in rs if "scores" in r]
    gs = [np.array(r["grads"]) for who, rs in results.items() if who in OURS for r in rs]
    res = {
        "scores": float(max(abs(v - vs[0]).max() for v in vs)),
        "gradients": float(max(abs(g / gs[0] - 1).max() for g in gs)),
    }
    if max(res.values()) > 1e-4:
        raise SystemExit(f"the contestants do not compute the same: {res}")
    return {k: float(f"{o:.1g}") for k, o in res.items()}


def measure(s, whos, repeats, threads):
    "All contestants in turn, several times"
    long, seed, lengths = typical_lengths(s["b"], s["batches"], s["longest"])
    items = make_items(*lengths, s["vocab"])
    batches = [items[i : i + s["b"]] for i in range(0, len(items), s["b"])]
    first = {who: apart(s, who, batches, threads) for who in whos}
    print(
        {who: f"{np.sum(r['times'], 0)[0]:.1f} s, {r['peak_mb']} MB" for who, r in first.items()},
        flush=True,
    )
    results = {who: [] for who in whos}
    for rep in range(repeats):
        for who in whos if rep % 2 == 0 else whos[::-1]:
            r = apart(s, who, batches, threads, 1.05 * first[who]["peak_mb"] + 300)
            results[who].append(r)
            cpu, wall = np.sum(r["times"], 0)
            print(f"{s['name']} {rep + 1}: {who} {cpu:.1f} s CPU, {wall:.1f} s", flush=True)
    tokens = sizes(*lengths, s["b"])

    def rounded(values):
        return {key: round(float(value), 1) for key, value in values.items()}

    def total(result, i):
        return round(float(np.sum(result["times"], 0)[i]), 3)

    return dict(
        s,
        parameters=sum(p.numel() for p in make_model(s).parameters()),
        threads=threads,
        items=len(items),
        seed=seed,
        tokens_per_item=rounded(tokens),
        tokens_per_item_long_run=rounded(long),
        largest_difference=same(results),
        contestants={
            who: {
                "cpu_s": [total(r, 0) for r in rs],
                "wall_s": [total(r, 1) for r in rs],
                "default_cpu_s": total(first[who], 0),
                "peak_mb": first[who]["peak_mb"],
            }
            for who, rs in results.items()
        },
    )


def summarise(m):
    "Medians, ratios and goals of a setting"
    med = {
        who: {k: median(o) if isinstance(o, list) else o for k, o in r.items()}
        for who, r in m["contestants"].items()
    }
    tok, base = m["tokens_per_item"], med.get("released")
    for r in med.values():
        r.update(items_per_cpu_s=round(m["items"] / r["cpu_s"], 3))
        if base:
            r.update(
                speedup=round(base["cpu_s"] / r["cpu_s"], 2),
                speedup_wall=round(base["wall_s"] / r["wall_s"], 2),
                default_speedup=round(base["default_cpu_s"] / r["default_cpu_s"], 2),
                memory=round(base["peak_mb"] / r["peak_mb"], 1),
            )
    m.update(median=med, token_ratio=round(tok["padded"] / tok["packed"], 2), goals=[])

    def goal(what, want, got):
        m["goals"].append(
            {"what": what, "goal": want, "got": round(got, 3), "met": bool(got >= want)}
        )

    if base and "packed" in med:
        goal(
            "speed-up over the released step, as a share of the ratio of tokens",
            0.85 if m["vocab"] > 10_000 else 0.75,
            med["packed"]["speedup"] / m["token_ratio"],
        )
        if m["vocab"] > 10_000:
            goal("memory of the released step, in ours", 6, med["packed"]["memory"])
    if "trl" in med and "packed" in med:
        goal("items a second, in those of TRL", 1, med["trl"]["cpu_s"] / med["packed"]["cpu_s"])
    return m


def show(m):
    "A table of a setting"
    print(
        f"\n{m['name']}: {m['items']} items, {m['tokens_per_item']} tokens an item, "
        f"{m['token_ratio']} times fewer when packed"
    )
    for who, r in m["median"].items():
        print(
            f"  {who:10} {r['cpu_s']:8.2f} s CPU {r['wall_s']:8.2f} s "
            f"{r['default_cpu_s']:8.2f} s default {r['peak_mb']:7} MB  "
            f"{r['items_per_cpu_s']:7.2f} items/s  x{r.get('speedup', 1)}  1/{r.get('memory', 1)}"
        )
    for g in m["goals"]:
        print(f"  {g['what']}: {g['got']} (goal {g['goal']}) {'met' if g['met'] else 'NOT MET'}")


# --- on a GPU ---

GPU = dict(setting("gpu", 22, 2048, 32000, 16, 1, True), intermediate=5632)
TINY = dict(setting("tiny", 2, 64, 512, 4, 1, True, longest=128))


def gpu_contest(s, who, batches, warm, device):
    "Seconds of one contestant's optimizer steps, its peak memory, its tokens through the model"
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    model, clock = make_model(s, device), Clock(device)
    if who in TRL:
        with tempfile.TemporaryDirectory() as d:
            times = trl_times(
                model,
                batches,
                warm,
                s,
                who == "trl_whole",
                clock,
                lambda: None,
                d,
                bf16=True,
                optimizer=True,
            )
        return [w for _, w in times]
    if who == "packed":
        use_packed(model)
    step = released_step if who == "released" else our_step
    collate = None if who == "released" else RankedCollator(word_tokenizer(s["vocab"]), mode=who)
    opt, times = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True), []
    for b in warm + batches:
        clock.start()
        with torch.autocast(device, torch.bfloat16):
            step(model, b, collate=collate)
        opt.step()
        opt.zero_grad()
        times.append(clock.stop()[1])
    return times[len(warm) :]


def on_gpu(s, whos, steps, warm, device, tflops):
    "The same items, one run"
    long, seed, lengths = typical_lengths(s["b"], steps, s["longest"])
    items = make_items(*lengths, s["vocab"])
    batches = [items[i : i + s["b"]] for i in range(0, len(items), s["b"])]
    model, tok = make_model(s, "meta"), sizes(*lengths, s["b"])
    flops = sum(
        Work(model).flops(b["layout"], len(b["targets"])) for b in map(pack, batches)
    )  # of what is needed; nothing made twice counts
    res = dict(
        s,
        parameters=sum(p.numel() for p in model.parameters()),
        items=len(items),
        steps=steps,
        seed=seed,
        peak_tflops=tflops,
        compute="bfloat16 by autocast, weights in float32",
        optimizer="AdamW, fused",
        tokens_per_item={k: round(float(o), 1) for k, o in tok.items()},
        model_tflop_per_item=round(flops / len(items) / 1e12, 4),
        contestants={},
    )
    for who in whos:
        times = gpu_contest(s, who, batches, batches[:warm], device)
        per_s = len(items) / sum(times)
        r = {
            "step_s": [round(t, 4) for t in times],
            "items_per_s": per_s,
            "tokens_per_s": tok[{"released": "padded"}.get(who, who)] * per_s,
            "needed_tokens_per_s": tok["packed"] * per_s,
        }
        if tflops:
            r["model_flop_utilisation"] = flops / sum(times) / tflops / 1e12
        if device == "cuda":
            r["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
        res["contestants"][who] = {
            k: o if isinstance(o, list) else round(o, 4) for k, o in r.items()
        }
        print(who, res["contestants"][who], flush=True)
    c = res["contestants"]
    if "released" in c and "packed" in c:
        res["speedup_over_released"] = round(
            c["packed"]["items_per_s"] / c["released"]["items_per_s"], 2
        )
    return res


# --- command ---


def record(out, change):
    "Put figures into a file, and leave its others as they are"
    res = json.loads(out.read_text()) if out.exists() else {}
    change(res)
    res["origin"] = provenance()
    write_text(out, json.dumps(res, indent=1) + "\n")


def record_setting(out, name, measured):
    record(out, lambda figures: figures.setdefault("settings", {}).update({name: measured}))


def environment(device="cpu"):
    names = ["torch", "transformers", "numpy"] + ["trl"] * (
        importlib.util.find_spec("trl") is not None
    )
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else cpu,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {k: version(k) for k in names},
        "cuda": torch.version.cuda,
        "date": time.strftime("%Y-%m-%d"),
    }


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--only",
        metavar="NAMES",
        help=f"settings, with commas between: {', '.join(s['name'] for s in SETTINGS)}",
    )
    p.add_argument(
        "--contestants", help="with commas between (default: all that can run, but trl_whole)"
    )
    p.add_argument(
        "--repeats", type=int, default=3, help="of each contestant (default: %(default)s)"
    )
    p.add_argument(
        "--threads", type=int, default=1, help="of each contestant (default: %(default)s)"
    )
    p.add_argument("--quick", action="store_true", help="one small setting, once")
    p.add_argument(
        "--gpu",
        action="store_true",
        help="measure on the GPU, and leave the other figures of the file as they are",
    )
    p.add_argument("--tiny", action="store_true", help="with --gpu: a small model on the CPU")
    p.add_argument("--steps", type=int, default=10, help="on the GPU (default: %(default)s)")
    p.add_argument(
        "--peak_tflops",
        type=float,
        help="of the GPU in bf16, dense; by default what its maker states, or what it does at "
        "one product",
    )
    p.add_argument(
        "--out",
        default="benchmarks/training.json",
        help="where to record the figures (default: %(default)s)",
    )
    args = p.parse_args()
    os.environ.update(
        TOKENIZERS_PARALLELISM="false",
        HF_HUB_OFFLINE="1",
        HF_DATASETS_DISABLE_PROGRESS_BARS="1",
        TQDM_DISABLE="1",
    )
    has_trl = importlib.util.find_spec("trl") is not None
    whos = (
        args.contestants.split(",")
        if args.contestants
        else ["released", *OURS] + ["trl"] * has_trl + ["trl_whole"] * (has_trl and args.gpu)
    )
    out = Path(args.out)
    if args.gpu:
        device = "cpu" if args.tiny else "cuda"
        if device == "cuda" and not torch.cuda.is_available():
            raise SystemExit("there is no GPU here; --tiny runs the same path on the CPU")
        tflops = args.peak_tflops or (
            best_flops(device, torch.bfloat16) / 1e12 if device == "cuda" else None
        )
        g = dict(
            environment=environment(device),
            **on_gpu(
                TINY if args.tiny else GPU,
                whos,
                2 if args.tiny else args.steps,
                1 if args.tiny else 3,
                device,
                tflops,
            ),
        )
        record(out, lambda res: res.update(gpu=g))
    else:
        chosen = (
            [QUICK]
            if args.quick
            else [s for s in SETTINGS if not args.only or s["name"] in args.only.split(",")]
        )
        if not chosen:
            raise SystemExit(f"no setting is called {args.only}")
        for s in chosen:
            m = summarise(measure(s, whos, 1 if args.quick else args.repeats, args.threads))
            show(m)
            m["environment"] = environment()
            record_setting(out, s["name"], m)
    print(f"figures: {out}")


if __name__ == "__main__":
    main()
