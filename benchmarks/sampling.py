"""How many answers a second does `diverse_sample` draw from a local model, beside the authors'
loop?

Contestants, all with N answers a prompt at temperature 1 (no top-k, no top-p), τ = 0.8, up to 3
further trials at 0.1 more each, at most 256 tokens, and the same number of answers decoded at
once:
- authors: the released script's loop. Prompts are padded on the left and given to `generate`
  with `num_return_sequences=N`; if any two answers to a prompt are at or above τ, its whole
  group is drawn again; when trials run out, the group with the lowest mean stays.
- ours: `diverse_sample` over `LocalModel`. A prompt is read once for its N answers, answers that
  are over leave the batch, waiting prompts take their places.
- waves: the same without taking anyone in, so that each batch starts when the one before has
  ended.
- continuous: `diverse_sample` over transformers' `generate_batch`, on a CPU with pages, blocks
  and tokens a batch that were the fastest of those tried. (As it configures itself there, its
  cache took over 12 GB.) It knows no seed for each prompt: an answer depends on the other
  prompts.

Model: a randomly initialised Llama, plus a bias on the end token's logit such that an answer
ends after 54 tokens on average. The chance to end is about the same at every token, so lengths
are geometric: median 37, 95 % below 162, which is close to what Alpaca-like answers have (median
35, 164). Prompts: random words, as long as Alpaca's with their template (60 tokens on average).
Words are tokens. Such a model never says the same thing twice, so no group of the authors' is
drawn again: their loop is timed at its best. Ours draws again for empty answers, which end at
once.

Passes: how often the model was called, which is what a device feels that has more power than a
batch this size can use. Utilisation: of all rows times steps after an answer's first token, the
share that gave a token of an answer that was not over yet. Useful share: tokens that had to be
computed (each prompt once, each answer's tokens but the last) among all that went through the
model. Ratios are of median samples per second of CPU time, since other jobs may share the
machine; wall time stands beside it. The contestants take turns, the order reversed every other
time, after a warm-up. C's allocator is told to keep its memory, since by default it gives large
blocks back and gets them again page by page, which slows the authors' loop, whose batches are
large, most.

From the root of the repository; the defaults take a quarter of an hour and more on one thread:

    OMP_NUM_THREADS=1 python benchmarks/sampling.py
    # half a minute, to see that it runs
    OMP_NUM_THREADS=1 python benchmarks/sampling.py --quick --out quick.json
    python benchmarks/sampling.py --device cuda --dtype bfloat16 --hidden 2048 --layers 22 \\
        --batches 64 256 --out gpu.json
"""

import argparse
import json
import math
import os
import platform
import random
import time
from contextlib import contextmanager
from importlib.metadata import version
from itertools import combinations
from statistics import mean, median

import torch
from machine import keep_memory
from rouge_score.rouge_scorer import RougeScorer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ContinuousBatchingConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from tuna_nb.diverse_sampling import diverse_sample
from tuna_nb.models.decoding import CausalState
from tuna_nb.models.generation import Generation
from tuna_nb.models.local import LocalModel
from tuna_nb.utils.core import provenance, write_text

PAD, START, END = range(3)
WHO = "authors", "ours", "waves", "continuous"


def make_tokenizer(size):
    "A word is a token"
    tok = Tokenizer(
        models.WordLevel(
            {
                w: i
                for i, w in enumerate(["<pad>", "<s>", "</s>"] + [f"w{i}" for i in range(3, size)])
            },
            unk_token="<pad>",
        )
    )
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", START)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


@torch.no_grad()
def make_model(args):
    "Random weights, and a bias that ends an answer with probability 1/(length+1) at each token"
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=args.vocab,
            hidden_size=args.hidden,
            intermediate_size=args.hidden * 8 // 3 // 64 * 64,
            num_hidden_layers=args.layers,
            num_attention_heads=args.hidden // 64,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
            pad_token_id=PAD,
            bos_token_id=START,
            eos_token_id=END,
        )
    ).eval()
    logits = model(torch.randint(3, args.vocab, (8, 128))).logits[..., 3:]
    bias = torch.zeros(args.vocab)
    bias[:2] = -1e4
    model.lm_head.weight[:3] = 0
    bias[END] = logits.logsumexp(-1).mean() - math.log(args.length)
    model.lm_head.bias = torch.nn.Parameter(bias)
    return model.to(args.device, getattr(torch, args.dtype))


def make_prompts(n, vocab, seed=0):
    "As long as Alpaca's template, of which there are two, with an instruction in it"
    rng = random.Random(seed)

    def size():
        return rng.choice((34, 34, 34, 51, 51)) + max(
            1, round(rng.lognormvariate(math.log(19.2) - 0.32, 0.8))
        )

    return [
        " ".join(f"w{rng.randrange(3, vocab)}" for _ in range(min(size(), 256) - 1))
        for _ in range(n)
    ]


class Counts:
    "What went through the model: tokens read, rows times steps, passes, and answers' tokens"

    def __init__(self):
        self.read = self.slots = self.passes = self.tokens = self.answers = self.rouge_s = 0

    def see(self, module, args, out):
        rows, columns = args[0].shape
        self.passes += 1
        if columns > 1:
            self.read += rows * columns
        else:
            self.slots += rows

    def drawn(self, sizes):
        self.answers += len(sizes)
        self.tokens += sum(sizes)


class Ours(LocalModel):
    "Counts the tokens of its answers"

    def sample(self, prompts, **kwargs):
        res = super().sample(prompts, **kwargs)
        self.counts.drawn([len(g.ids) + (g.finish_reason == "stop") for gs in res for g in gs])
        return res


class Continuous:
    "`generate_batch` as a backend; it can use only one seed for all prompts, here the first's"

    name = "continuous"

    def __init__(self, model, tok, batch, counts, **settings):
        self.model, self.tok, self.batch, self.counts, self.settings = (
            model,
            tok,
            batch,
            counts,
            settings,
        )

    def sample(self, prompts, n=1, temperature=0.0, max_new_tokens=256, seed=None, logprobs=False):
        gen = GenerationConfig(
            do_sample=True,
            num_return_sequences=n,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max_new_tokens,
            eos_token_id=END,
            pad_token_id=PAD,
        )
        conf = ContinuousBatchingConfig(
            max_requests_per_batch=self.batch, seed=seed[0] % 2**31, **self.settings
        )
        out = self.model.generate_batch(
            self.tok(prompts).input_ids, generation_config=gen, continuous_batching_config=conf
        )
        ids = [o.generated_tokens for o in out.values()]
        if len(ids) != n * len(prompts):
            raise SystemExit(f"generate_batch gave {len(ids)} answers, {n * len(prompts)} were due")
        self.counts.drawn([len(o) for o in ids])
        texts = self.tok.batch_decode(ids, skip_special_tokens=True)
        return [[Generation(t) for t in texts[i : i + n]] for i in range(0, len(texts), n)]


@torch.no_grad()
def draw(model, tok, prompts, n, temp, longest, counts):
    "N answers to each prompt of one padded batch"
    enc = tok(prompts, return_tensors="pt", padding=True).to(model.device)
    out = model.generate(
        **enc,
        do_sample=True,
        num_return_sequences=n,
        temperature=temp,
        top_k=0,
        top_p=1.0,
        max_new_tokens=longest,
        pad_token_id=PAD,
    )
    new = out[:, enc.input_ids.shape[1] :]
    counts.drawn((new != PAD).sum(1).tolist())
    texts = tok.batch_decode(new, skip_special_tokens=True)
    return [texts[i : i + n] for i in range(0, len(texts), n)]


def authors(model, tok, prompts, args, batch, counts, tau=0.8, trials=3):
    "Draw whole groups until no two answers of one are alike"
    scorer, res = RougeScorer(["rougeL"], use_stemmer=True), []
    for i in range(0, len(prompts), batch // args.n):
        some = prompts[i : i + batch // args.n]
        best, todo = {}, range(len(some))
        for t in range(trials + 1):
            if not todo:
                break
            groups = draw(
                model, tok, [some[j] for j in todo], args.n, 1 + t / 10, args.longest, counts
            )
            start, again = time.process_time(), []
            for j, g in zip(todo, groups, strict=True):
                sims = [scorer.score(a, b)["rougeL"].fmeasure for a, b in combinations(g, 2)]
                if max(sims) >= tau:
                    again.append(j)
                if j not in best or max(sims) < tau or mean(sims) < best[j][0]:
                    best[j] = mean(sims), g
            counts.rouge_s += time.process_time() - start
            todo = again
        res += [best[j][1] for j in range(len(some))]
    return res


@contextmanager
def nobody_joins():
    "Batches of `LocalModel` as they would be without refilling"
    kept, CausalState.joins = CausalState.joins, False
    try:
        yield
    finally:
        CausalState.joins = kept


def run(who, model, tok, prompts, args, batch, seed):
    "One repeat: times and counts"
    counts, sync = Counts(), torch.cuda.synchronize if args.device == "cuda" else (lambda: None)
    settings = {"n": args.n, "max_new_tokens": args.longest, "seed": seed}
    tuned = (
        {}
        if args.device == "cuda"
        else {"page_size": 32, "num_blocks": 12 * batch, "max_batch_tokens": 128}
    )
    torch.manual_seed(seed)
    hook = model.get_input_embeddings().register_forward_hook(counts.see)
    sync()
    start = time.process_time(), time.perf_counter()
    if who == "authors":
        res = authors(model, tok, prompts, args, batch, counts)
    elif who == "continuous":
        res = diverse_sample(Continuous(model, tok, batch, counts, **tuned), prompts, **settings)
    else:
        lm = Ours(model, tok, batch_size=batch)
        lm.counts = counts
        if who == "ours":
            res = diverse_sample(lm, prompts, **settings)
        else:
            with nobody_joins():
                res = diverse_sample(lm, prompts, **settings)
    sync()
    took = time.process_time() - start[0], time.perf_counter() - start[1]
    hook.remove()
    groups = res if who == "authors" else [r["responses"] for r in res]
    if [len(g) for g in groups] != [args.n] * len(prompts):
        raise SystemExit(f"{who}: not {args.n} answers to each prompt")
    return took, counts, groups


def row_of(who, runs, due, prompt_tokens):
    "Figures of one contestant at one batch size"
    samples = len(due)
    res = {
        "cpu_s": [round(t[0], 2) for t, *_ in runs],
        "wall_s": [round(t[1], 2) for t, *_ in runs],
    }
    for k in ("cpu", "wall"):
        res[f"samples_per_{k}_s"] = round(median(samples / o for o in res[f"{k}_s"]), 2)
    res["answers_drawn"], res["tokens_drawn"] = (
        [getattr(c, k) for _, c, _ in runs] for k in ("answers", "tokens")
    )
    res["tokens_per_cpu_s"] = round(median(c.tokens / t[0] for t, c, _ in runs), 1)
    res["passes"] = round(median(c.passes for _, c, _ in runs))
    res["useful_share"] = round(
        median((prompt_tokens + c.tokens - c.answers) / (c.read + c.slots) for _, c, _ in runs), 3
    )
    if who != "continuous":  # its steps are rows of many requests' tokens
        res["utilisation"] = round(median((c.tokens - c.answers) / c.slots for _, c, _ in runs), 3)
    if who == "authors":
        res["rouge_cpu_s"] = [round(c.rouge_s, 2) for _, c, _ in runs]
    return res


def spread(sizes):
    "Mean and percentiles"
    s = sorted(sizes)
    return {
        "mean": round(mean(s), 1),
        "median": s[len(s) // 2],
        "p95": s[len(s) * 95 // 100],
        "p99": s[len(s) * 99 // 100],
        "largest": s[-1],
    }


def compare(model, tok, prompts, args, batch):
    "All contestants at one batch size, in turn"
    runs = {w: [] for w in WHO}
    for rep in range(args.repeats):
        for w in WHO if rep % 2 == 0 else WHO[::-1]:
            runs[w].append(run(w, model, tok, prompts, args, batch, rep))
            (cpu, wall), c, _ = runs[w][-1]
            print(
                f"batch {batch}, repeat {rep + 1}, {w}: {cpu:.1f} s CPU, {wall:.1f} s, "
                f"{c.tokens} tokens",
                flush=True,
            )
    read = sum(len(o) for o in tok(prompts).input_ids)
    rows = {w: row_of(w, r, range(args.n * len(prompts)), read) for w, r in runs.items()}
    base = rows["authors"]
    for w in WHO[1:]:
        for k in ("cpu", "wall"):
            rows[w][f"ratio_{k}"] = round(
                rows[w][f"samples_per_{k}_s"] / base[f"samples_per_{k}_s"], 2
            )
        rows[w]["ratio_tokens_cpu"] = round(
            rows[w]["tokens_per_cpu_s"] / base["tokens_per_cpu_s"], 2
        )  # answers differ in length by chance
    return rows, {
        w: spread([len(t.split()) for _, _, groups in r for g in groups for t in g])
        for w, r in runs.items()
        if w in ("authors", "ours")
    }


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    a = p.add_argument
    a("--prompts", type=int, default=64, help="default: %(default)s")
    a("--n", type=int, default=4, help="answers to each (default: %(default)s)")
    a(
        "--batches",
        type=int,
        nargs="+",
        default=[16, 32, 64],
        help="answers decoded at once (default: %(default)s)",
    )
    a("--longest", type=int, default=256, help="tokens an answer may have (default: %(default)s)")
    a(
        "--length",
        type=float,
        default=54,
        help="tokens an answer has on average (default: %(default)s)",
    )
    a("--vocab", type=int, default=2000, help="words (default: %(default)s)")
    a(
        "--hidden",
        type=int,
        default=256,
        help="width of the model, a multiple of 64 (default: %(default)s)",
    )
    a("--layers", type=int, default=6, help="default: %(default)s")
    a("--device", default="cpu", help="default: %(default)s")
    a("--dtype", default="float32", help="default: %(default)s")
    a("--repeats", type=int, default=3, help="medians are compared (default: %(default)s)")
    a("--quick", action="store_true", help="a small model and few prompts")
    a(
        "--out",
        default="benchmarks/sampling.json",
        help="where to record the figures (default: %(default)s)",
    )
    args = p.parse_args()
    if args.quick:
        args.prompts, args.batches, args.hidden, args.layers, args.repeats = 12, [16], 128, 2, 3
    keep_memory()
    model, tok, prompts = (
        make_model(args),
        make_tokenizer(args.vocab),
        make_prompts(args.prompts, args.vocab),
    )
    warm = argparse.Namespace(**{**vars(args), "longest": 8})
    for w in WHO:
        run(w, model, tok, prompts[:4], warm, 4 * args.n, 0)
    res = {
        "job": f"{args.n} answers to each of {args.prompts} prompts",
        "settings": {k: v for k, v in vars(args).items() if k != "out"},
        "model": f"Llama with random weights, {round(model.num_parameters() / 1e6, 1)} million "
        "of them, and a bias on the end token",
        "prompt_tokens": spread([len(o) for o in tok(prompts).input_ids]),
        "batches": {},
    }
    for b in args.batches:
        rows, lengths = compare(model, tok, prompts, args, b)
        res["batches"][str(b)] = rows
        res.setdefault("answer_tokens", lengths)
    top = {w: max(r[w]["samples_per_cpu_s"] for r in res["batches"].values()) for w in WHO}
    res["best_samples_per_cpu_s"], res["best_to_best"] = top, round(top["ours"] / top["authors"], 2)
    res |= {
        "device": torch.cuda.get_device_name()
        if args.device == "cuda"
        else f"CPU, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}",
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        "origin": provenance(),
        "versions": {
            k: version(k)
            for k in ("torch", "transformers", "tokenizers", "rouge-score", "rapidfuzz")
        },
        "date": time.strftime("%Y-%m-%d"),
    }
    write_text(args.out, json.dumps(res, indent=2) + "\n")
    for b, rows in res["batches"].items():
        for w, r in rows.items():
            print(
                f"batch {b}, {w}: {r['samples_per_cpu_s']} samples per CPU second, "
                f"{r.get('ratio_cpu', 1)} times the authors'"
            )


if __name__ == "__main__":
    main()
