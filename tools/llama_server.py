"""Teacher, sampler and judge of this package against a real server of llama.cpp.

    python tools/llama_server.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf

The server runs in a process of its own (`llama_child.py`), so that it can be killed. Checks:

- float32, completions: the file is dequantised into one in float32, and the server runs without
  flash attention. The server samples answers to the instructions of the gold pairs, over
  the chat API and over the completions API, and a local model with the same weights scores the same
  tokens. How far are the log-probabilities apart, and does the text have as many tokens as the
  server counted?
- flash: the same over the chat API with the server's flash attention, which is its default.
- quantised: the same with the file itself, whose activations the server quantises, too. The
  answers are samples of the server, so the mean of its log-probabilities less the local ones
  estimates the divergence KL(server || local) of a token.
- characters: answers with emoji. The server prints a character of several tokens as one entry.
- schema: do replies to judge prompts with a JSON schema hold a verdict that the parser reads?
- slots: do one slot and four give the same greedy answers, and has their text as many tokens as
  the server counted?
- restart: the server is killed while `prob_rank` runs and starts again at another port. Is
  anything asked twice, and is the result that of a run without the kill, byte by byte?
- judge: the figures of `tuna_judge_check`, in free text.

Each check prints a line and goes into the report, which `--only` completes. The packages are
`xllamacpp` and `gguf`, in this interpreter or, for the server alone, in that of `--python`.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean

from tuna_nb.commands.judge_check import check_judge
from tuna_nb.contextual_ranking import judge_records
from tuna_nb.data import format_prompts
from tuna_nb.judge.check import load_gold_pairs, trust_line
from tuna_nb.models.cache import Store
from tuna_nb.models.endpoint import Endpoint
from tuna_nb.models.generation import Generation
from tuna_nb.models.local import LocalModel
from tuna_nb.prob_ranking import prob_rank
from tuna_nb.utils.core import TunaError, provenance, read_document, to_jsonable, write_text

NAME = "smollm2"  # of the model in requests and in the store
EMOJI = [
    "Write five different emoji and nothing else.",
    "Answer with emoji only: how is the weather in spring?",
    "Write the word for water in Chinese, Japanese, Hindi and Arabic.",
    "Decorate the sentence 'Happy birthday to you' with many emoji.",
]


@contextmanager
def serving(args, file, slots=1, flash=True):
    "A server's process and its address; it is killed at the end"
    command = [args.python, Path(__file__).with_name("llama_child.py"), "serve", file]
    command += ["--slots", str(slots), "--threads", str(args.threads)]
    command += [] if flash else ["--no-flash"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise SystemExit(f"the server for {Path(file).name} did not start; run {command}")
        yield process, f"{address}/v1"
    finally:
        process.kill()
        process.wait()


class RecordingEndpoint(Endpoint):
    "Keeps each reply as the server sent it, beside what was made of it; one choice a request"

    def __init__(self, url, slots=1, **settings):
        super().__init__(NAME, url, "no-key", concurrency=slots, max_n=1, timeout=600, **settings)
        self.replies = {}  # reply and generation by the id of the generation

    def keep(self, key, body, repeat, reply, gens):
        self.replies[id(gens[0])] = (reply, gens[0])
        super().keep(key, body, repeat=repeat, reply=reply, gens=gens)


@dataclass
class Answer:
    "An answer, and what the server said of it"

    prompt: str
    generation: Generation
    entries: list  # Of its log-probabilities, as the server sent them
    counted: int  # Tokens on its bill, without the end token

    @property
    def is_whole(self):
        "Does every token have an entry?"
        return len(self.entries) == self.counted == self.generation.n_tok


def sample_answers(endpoint, prompts, args, n=1, temperature=1.0):
    "Answers with log-probabilities"
    settings = {"n": n, "temperature": temperature, "max_new_tokens": args.max_new_tokens}
    groups = endpoint.sample(prompts, seed=args.seed, logprobs=True, **settings)
    answers = []
    for prompt, generations in zip(prompts, groups, strict=True):
        for generation in generations:
            reply, _ = endpoint.replies[id(generation)]
            (choice,) = reply["choices"]
            counted = reply["usage"]["completion_tokens"]
            counted -= choice["finish_reason"] == "stop"  # the end token is on the bill
            # the entry of the end token is blank
            entries = [entry for entry in choice["logprobs"]["content"] if entry["bytes"]]
            answers.append(Answer(prompt, generation, entries, counted))
    return answers


def token_counts(answers, tokenizer):
    "How the tokens of answers agree with the server's count"
    again = [tokenizer(o.generation.text, add_special_tokens=False).input_ids for o in answers]
    same_number = [len(ids) == o.counted for ids, o in zip(again, answers, strict=True)]
    ended = sum(o.generation.finish_reason == "stop" for o in answers)
    return {
        "answers": len(answers),
        "ended": ended,
        "tokens": sum(o.counted for o in answers),
        "entry_for_each_token": sum(o.is_whole for o in answers),
        "same_number_when_tokenised_again": sum(same_number),
    }


def compare_logps(answers, model):
    "Differences of the server's log-probabilities from those of a local model, in nats"
    whole = [answer for answer in answers if answer.is_whole and answer.counted]
    known = []
    for answer in whole:
        ids = [entry["id"] for entry in answer.entries]
        known.append([Generation(answer.generation.text, ids=ids)])
    scored = model.score([answer.prompt for answer in whole], known)
    by_token = []
    by_answer = []
    for answer, (local,) in zip(whole, scored, strict=True):
        pairs = zip(answer.generation.logps, local.logps, strict=True)
        differences = [remote - here for remote, here in pairs]
        by_token += differences
        by_answer.append(sum(differences))
    return {
        "answers": len(whole),
        "tokens": len(by_token),
        "mean_per_token": mean(map(abs, by_token)),
        "max_per_token": max(map(abs, by_token)),
        "mean_per_answer": mean(map(abs, by_answer)),
        "max_per_answer": max(map(abs, by_answer)),
        "signed_mean_per_token": mean(by_token),
        "standard_error_of_signed_mean": math.sqrt(
            sum((d - mean(by_token)) ** 2 for d in by_token) / len(by_token) ** 2
        ),
    }


def compare_server(args, file, kind, n, flash=True):
    "Token counts and log-probabilities of n answers of a server with four slots"
    per_prompt = 4
    records = [{"instruction": o.instruction, "input": o.input} for o in load_gold_pairs()]
    prompts = format_prompts(records, "chat" if kind == "chat" else "alpaca")
    prompts = prompts[: -(-n // per_prompt)]
    start = time.monotonic()
    with serving(args, file, slots=4, flash=flash) as (_, url):
        endpoint = RecordingEndpoint(url, slots=4, kind=kind)
        answers = sample_answers(endpoint, prompts, args, n=per_prompt)[:n]
    seconds = time.monotonic() - start
    model = LocalModel(args.gguf, chat=kind == "chat", batch_size=8)
    counts = token_counts(answers, model.tokenizer)
    return {
        **counts,
        "limit": args.max_new_tokens,
        "difference": compare_logps(answers, model),
        "seconds": round(seconds),
    }


def check_float32(args):
    "Chat answers of the very same weights"
    return compare_server(args, args.float32, "chat", args.n, flash=False)


def check_flash(args):
    "The same with flash attention"
    return compare_server(args, args.float32, "chat", args.n)


def check_completions(args):
    "Completions of the very same weights"
    return compare_server(args, args.float32, "completions", max(args.n // 5, 4), flash=False)


def check_quantised(args):
    "Chat answers of the quantised file"
    return compare_server(args, args.gguf, "chat", args.n)


def check_characters(args):
    "Answers with characters of several tokens"
    with serving(args, args.gguf, slots=4) as (_, url):
        endpoint = RecordingEndpoint(url, slots=4)
        answers = sample_answers(endpoint, format_prompts(EMOJI_RECORDS, "chat"), args, n=4)
    tokenizer = LocalModel(args.gguf, chat=True).tokenizer
    joined = 0  # entries that stand for several tokens, and show the last one's log-probability
    for answer in answers:
        for entry in answer.entries:
            joined += len(tokenizer(entry["token"], add_special_tokens=False).input_ids) > 1
    return {
        **token_counts(answers, tokenizer),
        "entries_for_several_tokens": joined,
    }


EMOJI_RECORDS = [{"instruction": text, "input": ""} for text in EMOJI]


def check_schema(args):
    "Verdicts on records with four responses"
    rows = []
    with serving(args, args.gguf, slots=4) as (_, url):
        teacher = RecordingEndpoint(url, slots=4)
        for number, pair in enumerate(load_gold_pairs()[: args.records]):
            record = {"id": str(number), "instruction": pair.instruction, "input": pair.input}
            rows.append({**record, "output": pair.better})
        prompts = format_prompts(rows, "chat")
        settings = {"n": 4, "temperature": 1.0, "seed": args.seed}
        groups = teacher.sample(prompts, max_new_tokens=32, **settings)
        for row, generations in zip(rows, groups, strict=True):
            row["responses"] = [o.text if o.text.strip() else "none" for o in generations]
        judge = RecordingEndpoint(url, slots=4)
        ranked, failures = judge_records(
            rows, judge, tries=1, structured=True, max_new_tokens=args.judge_tokens
        )
    replies = [generation for _, generation in judge.replies.values()]
    return {
        "records": len(rows),
        "json_objects": sum(is_json_object(reply.text) for reply in replies),
        "cut_by_the_limit": sum(reply.finish_reason == "length" for reply in replies),
        "readable": len(ranked),
        "reasons": dict(Counter(failure["reason"] for failure in failures)),
        "limit": args.judge_tokens,
    }


def is_json_object(text):
    "Is a text one JSON object?"
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def check_slots(args):
    "Greedy answers with one slot and with four"
    records = [{"instruction": o.instruction, "input": o.input} for o in load_gold_pairs()[:20]]
    prompts = format_prompts(records, "chat")
    found = {}
    for slots in (1, 4):
        with serving(args, args.gguf, slots=slots) as (_, url):
            endpoint = RecordingEndpoint(url, slots=slots)
            for turn in ("first", "again"):
                answers = sample_answers(endpoint, prompts, args, temperature=0.0)
                found[slots, turn] = [answer.generation.text for answer in answers]

    def same(one, other):
        return sum(a == b for a, b in zip(found[one], found[other], strict=True))

    tokenizer = LocalModel(args.gguf, chat=True).tokenizer
    return {
        **token_counts(answers, tokenizer),
        "same_with_one_and_four_slots": same((1, "first"), (4, "first")),
        "same_again_with_one_slot": same((1, "first"), (1, "again")),
        "same_again_with_four_slots": same((4, "first"), (4, "again")),
    }


def check_restart(args):
    "A kill in mid-run, with and without the server's cache of prompts"
    return {
        "with_prompt_cache": compare_restart(args, {}),
        "without_prompt_cache": compare_restart(args, {"cache_prompt": False}),
    }


def compare_restart(args, extra):
    "Results of an undisturbed run, of a killed one, and what was asked"
    records = []
    for pair in load_gold_pairs()[:12]:
        records.append({"instruction": pair.instruction, "input": pair.input, "output": ""})
    settings = {"n": 2, "max_new_tokens": 96, "seed": args.seed, "template": "chat"}
    total = settings["n"] * len(records)
    kill_at = total // 3
    patience = {"turns": 0, "max_retries": 0, "served_as": NAME, "extra": extra}
    folder = Path(tempfile.mkdtemp())

    def run(url, name):
        endpoint = RecordingEndpoint(url, store=folder / f"{name}.db", **patience)
        try:
            prob_rank(records, endpoint, out=folder / f"{name}.jsonl", **settings)
            error = ""
        except TunaError as e:
            error = str(e)
        return endpoint, error

    def kill_when_due(process):
        while len(Store(folder / "killed.db")) < kill_at:
            time.sleep(0.02)
        process.kill()

    with serving(args, args.gguf) as (_, url):
        run(url, "whole")
    with serving(args, args.gguf) as (process, url):
        watch = threading.Thread(target=kill_when_due, args=(process,))
        watch.start()
        first, error = run(url, "killed")
        watch.join()
    if not error:
        raise SystemExit("the server was killed too late; ask for more answers")
    with serving(args, args.gguf) as (_, url):
        second, error = run(url, "killed")
    if error:
        raise SystemExit(error)
    whole, killed = [(folder / f"{name}.jsonl").read_bytes() for name in ("whole", "killed")]
    return {
        "answers": total,
        "answered_before_the_kill": len(first.replies),
        "asked_after_the_restart": sum(address.chosen for address in second.addresses),
        "asked_twice": len(first.replies) + len(second.replies) - total,
        "records_in_the_file": len(whole.splitlines()),
        "same_bytes": whole == killed,
    }


def check_gold_pairs(args):
    "The figures of `tuna_judge_check`, of all gold pairs or of a part of each kind"
    start = time.monotonic()
    pairs = load_gold_pairs()
    pairs = pairs[:: len(pairs) // args.judge_pairs]
    with serving(args, args.gguf, slots=4) as (_, url):
        judge = RecordingEndpoint(url, slots=4)
        check, _, failures = check_judge(judge, pairs, tries=1, max_new_tokens=args.judge_tokens)
    print(trust_line(check), flush=True)
    return {
        **to_jsonable(check),
        "verdict": trust_line(check),
        "reasons": dict(Counter(failure["reason"] for failure in failures)),
        "limit": args.judge_tokens,
        "seconds": round(time.monotonic() - start),
    }


CHECKS = {
    "float32": check_float32,
    "flash": check_flash,
    "completions": check_completions,
    "quantised": check_quantised,
    "characters": check_characters,
    "schema": check_schema,
    "slots": check_slots,
    "restart": check_restart,
    "judge": check_gold_pairs,
}


def package_versions(python):
    "Versions of what runs here and, in the interpreter of the server, there"
    script = "from importlib.metadata import version; print(version('xllamacpp'), version('gguf'))"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{python} lacks xllamacpp or gguf: {done.stderr.splitlines()[-1]}")
    versions = dict(zip(("xllamacpp", "gguf"), done.stdout.split(), strict=True))
    return versions | {package: version(package) for package in ("torch", "transformers", "openai")}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--gguf", required=True, help="GGUF file of a chat model")
    add("--python", default=sys.executable, help="interpreter with xllamacpp and gguf (this one)")
    add("--n", type=int, default=200, help="answers whose log-probabilities are compared (200)")
    add("--max-new-tokens", type=int, default=32, help="longest answer (32)")
    add("--judge-tokens", type=int, default=200, help="longest verdict (200)")
    add("--records", type=int, default=20, help="records with four responses to judge (20)")
    add("--judge-pairs", type=int, default=60, help="gold pairs for the judge (60)")
    add("--threads", type=int, default=1, help="threads of the server (1)")
    add("--seed", type=int, default=0, help="of sampling (0)")
    add("--only", nargs="+", choices=CHECKS, default=list(CHECKS), help="checks to make (all)")
    add("--out", default="benchmarks/llama_server.json", help="report (%(default)s)")
    args = parser.parse_args()
    out = Path(args.out)
    report = read_document(out) if out.exists() else {}
    versions = package_versions(args.python)
    with tempfile.TemporaryDirectory() as folder:
        args.float32 = str(Path(folder) / "float32.gguf")
        if {"float32", "flash", "completions"} & {*args.only}:
            child = Path(__file__).with_name("llama_child.py")
            command = [args.python, child, "float32", args.gguf, args.float32]
            subprocess.run(command, check=True)
        for name in args.only:
            report[name] = CHECKS[name](args)
            print(f"{name}: {json.dumps(report[name])}", flush=True)
            report["model"] = Path(args.gguf).name
            report["versions"] = versions
            command = f"python tools/llama_server.py --gguf {report['model']} --n {args.n}"
            report["origin"] = {**provenance(), "command": command, "note": NOTE}
            write_text(args.out, json.dumps(report, indent=1) + "\n")


NOTE = "one thread for the server; log-probabilities in nats; differences are server less local"


if __name__ == "__main__":
    main()
