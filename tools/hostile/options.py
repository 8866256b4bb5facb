"""Group 1: every command with bad numbers, wrong types, missing files and unknown names"""

import inspect
import json
from importlib import import_module

from hostile.cases import Case, case_folder, nothing_wrong
from hostile.material import wrong_model, wrong_ranking, wrong_samples
from hostile.servers import ScriptedServer

NUMBERS = {
    "nan": "nan",
    "inf": "inf",
    "1e308": "1e308",
    "-1": "-1",
    "0": "0",
    "5,000 digits": "1" * 5000,
    "word": "many",
}
# Values that an option may accept; everything else must be refused
MAY_ACCEPT = {
    "temperature": {"0"},
    "temp": {"0"},
    "temp_step": {"0", "-1"},
    "beta": {"0"},
    "tau": {"0"},
    "max_trials": {"0"},
    "seed": {"0", "-1"},
    "lora": {"0"},
    "margin": {"0"},
    "mle_weight": {"0"},
    "held_out": {"0"},
    "timeout": {"1e308"},
    "rpm": {"inf", "1e308", "5,000 digits"},
    "tpm": {"inf", "1e308", "5,000 digits"},
    "max_usd": {"inf", "1e308", "5,000 digits"},
    "memory": {"1e308"},
    "tokens_per_second": {"1e308"},
    "usd_per_hour": {"0", "1e308"},
    "expect": {"0"},
}
RANKING = ("tuna_prob_rank", "tuna_ctx_rank", "tuna_prm_rank")
TRAINING = ("tuna_sft", "tuna_train", "tuna_prm")
TEXTS = {"missing": "no/such/thing.xyz", "empty": "", "digits": "9" * 5000}
# Any text will do, or the option has no use in the line that is tried
FREE_TEXTS = {"out", "name", "tokenizer", "license", "launch", "report_to", "teacher", "judge"}
FREE_TEXTS |= {"base", "reviewers", "layer", "kind"}
# Words without which an option has no use
CONTEXT = {
    "expect": ["--dry-run"],
    "devices": ["--plan"],
    "sharding": ["--plan"],
    "memory": ["--plan"],
    "card": ["--plan"],
    "tokens_per_second": ["--plan"],
    "tasks": ["--bench", "super_ni"],
    "bertscore": ["--bench", "super_ni"],
    "layer": ["--bench", "super_ni", "--bertscore", "no/such/encoder"],
}


def kind_of(parameter):
    "What an option takes: number, text, or nothing that can be wrong"
    if parameter.default is parameter.empty or parameter.kind is parameter.VAR_POSITIONAL:
        return "argument"
    kind = str(parameter.annotation)
    if "bool" in kind:
        return "switch"
    if "int" in kind or "float" in kind:
        return "number"
    return "text" if "str" in kind else "other"


def print_options():
    "Options of all commands with their kinds, as JSON; runs in a child"
    from hostile.child import SCRIPTS

    listed = {}
    for name, target in SCRIPTS.items():
        module, _, function = target.partition(":")
        listed[name] = {}
        parameters = inspect.signature(getattr(import_module(module), function)).parameters
        for option, parameter in parameters.items():
            listed[name][option] = kind_of(parameter)
    print(json.dumps(listed))


def plain_lines(material, url):
    "For each command words that would work; the last file is the result"
    data = material / "records.json"
    samples = material / "samples.jsonl"
    ranked = material / "ranked.jsonl"
    model = material / "model"
    bench = material / "bench"
    training = ["--epochs", "1", "--batch-size", "4"]
    return {
        "tuna_prob_rank": [data, "teacher", "out.jsonl", "--base-url", url],
        "tuna_sample": [data, "sampler", "out.jsonl", "--base-url", url],
        "tuna_ctx_rank": [samples, "judge", "out.jsonl", "--base-url", url],
        "tuna_judge_check": [material / "judge", "--base-url", url],
        "tuna_sft": [model, data, "trained", *training],
        "tuna_train": [model, ranked, "trained", *training],
        "tuna_prm": [model, ranked, "trained", *training, "--held-out", "0"],
        "tuna_prm_rank": [samples, material / "prm", "out.jsonl"],
        "tuna_eval": [model, "scores", "--bench", "vicuna", "--data", bench, "--limit", "2"],
        "tuna_table": ["scores"],
        "tuna_ablate": ["table1", "--scale", "quick", "--plan"],
        "tuna_export": ["replies.db", "out.jsonl"],
        "tuna_doctor": ["--recipe", "Tuna_p"],
        "tuna_push": [ranked, "me/rankings", "--dry-run"],
        "tuna_fetch": ["--list"],
        "tuna_mini": ["--quick", "--out", "run"],
    }


def check_of(command):
    "The check of a command's result; the third argument is its place"

    def check(case):
        if "--dry-run" in case.words or "--plan" in case.words:
            return ""
        place = case.folder / str(case.words[3])
        if command in RANKING:
            return wrong_ranking(place)
        return wrong_samples(place) if command == "tuna_sample" else wrong_model(place)

    return check if command in (*RANKING, "tuna_sample", *TRAINING) else nothing_wrong


def line_for(command, words, option, value):
    "A command line in which an option has a use"
    if option == "batch_size" and "--base-url" in words:  # it is for models that run here
        model = words[0].parent / "model"
        words = [model] if command == "tuna_judge_check" else [words[0], model, words[2]]
    if command == "tuna_mini":  # runs for a minute where it accepts something
        return [command, f"--{option}={value}", *words, "--real", "no/such/folder"]
    return [command, *words, *CONTEXT.get(option, ()), f"--{option}={value}"]


def number_cases(root, command, words, option):
    "Bad numbers for one option"
    for label, value in NUMBERS.items():
        expect = "either" if label in MAY_ACCEPT.get(option, ()) else "error"
        line = line_for(command, words, option, value)
        name = f"{command} --{option} {label}"
        yield Case(name, line, case_folder(root, name), expect, check_of(command))


def text_cases(root, command, words, option):
    "Bad texts for one option; of names and places some are good"
    for label, value in TEXTS.items():
        expect = "either" if option in FREE_TEXTS or not value else "error"
        line = line_for(command, words, option, value)
        name = f"{command} --{option} {label}"
        yield Case(name, line, case_folder(root, name), expect, check_of(command))


def place_cases(root, command, words):
    "Missing, empty and wrong files in the place of each argument"
    for position, word in enumerate(words):
        if str(word).startswith("--"):
            break
        for label, value in {"missing": "no/such/thing", "empty": "", "folder": "."}.items():
            line = [command, *words[:position], value, *words[position + 1 :]]
            name = f"{command} argument {position + 1} {label}"
            yield Case(name, line, case_folder(root, name), "either", check_of(command))
    name = f"{command} unknown option"
    yield Case(name, [command, *words, "--no-such-option"], case_folder(root, name), "error")


def command_cases(root, command, options, words):
    "All cases of one command"
    yield from place_cases(root, command, words)
    for option, kind in options.items():
        if kind == "number":
            yield from number_cases(root, command, words, option)
        elif kind == "text":
            yield from text_cases(root, command, words, option)


def bad_options(runner, root, material):
    "Group 1: commands × bad options"
    from tuna_nb.models.cache import Store

    cases = []
    listed = json.loads(runner.must(["hostile.options:print_options"], root))
    with ScriptedServer() as server:
        lines = plain_lines(material, server.url)
        for command, options in listed.items():
            cases.extend(command_cases(root, command, options, lines[command]))
        for case in cases:
            if case.words[0] == "tuna_export":
                Store(case.folder / "replies.db").close()
        return runner.run_all(cases)
