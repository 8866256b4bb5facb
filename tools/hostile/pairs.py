"""Group 7: two processes at once with one output"""

from hostile.cases import Case, case_folder
from hostile.servers import ScriptedServer


def pair_commands(material, url):
    "Commands with the file that they leave and an option that changes the result"
    remote = ["out.jsonl", "--base-url", url]
    training = ["--batch-size", "4", "--epochs", "2"]
    many = material / "many.jsonl"
    model = material / "model"
    evaluation = ["--bench", "vicuna", "--data", material / "bench", "--limit", "20"]
    weights = "trained/model.safetensors"
    return {
        "tuna_prob_rank": ([material / "records.json", "teacher", *remote], "out.jsonl"),
        "tuna_sample": ([material / "records.json", "sampler", *remote], "out.jsonl"),
        "tuna_ctx_rank": ([material / "samples.jsonl", "judge", *remote], "out.jsonl"),
        "tuna_prm_rank": ([material / "lots.jsonl", material / "prm", "out.jsonl"], "out.jsonl"),
        "tuna_sft": ([model, many, "trained", *training], weights),
        "tuna_train": ([model, many, "trained", *training], weights),
        "tuna_prm": ([model, many, "trained", *training, "--held-out", "0"], weights),
        "tuna_eval": ([model, "scores", "--name", "m", *evaluation], "scores/m.vicuna.jsonl"),
    }


def changed_settings(command):
    "An option that changes the result"
    if command == "tuna_prm_rank":
        return ["--template", "none"]
    return ["--template", "none"] if command == "tuna_eval" else ["--seed", "7"]


def run_alone(runner, root, command, words, file):
    "The bytes of the result of one run alone"
    there = case_folder(root, f"{command} alone")
    runner.must([command, *words], there)
    found = there / file
    if not found.exists():  # the name of the file is not part of this check
        found = next(path for path in sorted(there.rglob("*.jsonl")))
    return found.relative_to(there), found.read_bytes()


def run_pair(runner, root, name, lines, expected, file):
    "Two processes at once; each must end well with its own result, or with one line"
    there = case_folder(root, name)
    ends = []

    def check(case):
        if len(ends) == 2 and ends[0] == ends[1] == 0 and len(expected) > 1:
            return "both ended with status 0, and one of the results is lost"
        if not (there / file).exists():
            return f"{file} is missing"
        return None if (there / file).read_bytes() in expected else f"{file} is neither's result"

    cases = []
    for number, words in enumerate(lines):
        # each has files of its own for what it prints
        log = case_folder(root, f"{name} {number}")
        title = f"{name}, process {number + 1}"
        cases.append(Case(title, words, there, check=check, logs=log))
    running = [runner.start(case) for case in cases]
    ends += [one.finish() for one in running]
    outcomes = [one.outcome() for one in running]
    if not any(end == 0 for end in ends):
        outcomes[0].verdict = "silent" if outcomes[0].verdict == "clean" else outcomes[0].verdict
        outcomes[0].said = f"neither has finished: {outcomes[0].said}"
    return outcomes


def two_at_once(runner, root, material):
    "Group 7: equal settings, then other settings"
    outcomes = []
    with ScriptedServer() as server:
        for command, (words, file) in pair_commands(material, server.url).items():
            server.delay = 0.0
            file, first = run_alone(runner, root, command, words, file)
            other = [*words, *changed_settings(command)]
            _, second = run_alone(runner, root, command, other, file)
            server.delay = 0.5  # so that the two meet
            same = [[command, *words], [command, *words]]
            name = f"{command}, equal settings"
            outcomes += run_pair(runner, root, name, same, expected=[first], file=file)
            name = f"{command}, other settings"
            different = [[command, *words], [command, *other]]
            expected = [first, second]
            outcomes += run_pair(runner, root, name, different, expected=expected, file=file)
    return outcomes
