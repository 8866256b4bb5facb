"""Group 11: kill -9 at random points, run again, and compare bytes"""

import random
import time

from hostile.cases import Case, Outcome, case_folder, skipped
from hostile.servers import ScriptedServer
from hostile.stores import same_as, training_words, wait_for_checkpoint

KILLS = 4  # tried
LEAST = 3  # that must come before the end
DELAY = 0.4  # seconds of the server, so that there is something to interrupt


def killed_commands(material, url):
    "Commands and the files that must come out the same"
    remote = ["out.jsonl", "--base-url", url, "--concurrency", "2"]
    many = material / "many.jsonl"
    limit = ["--limit", "12"]
    return {
        "tuna_prob_rank": [many, "teacher", *remote, *limit],
        "tuna_sample": [many, "sampler", *remote, *limit],
        "tuna_ctx_rank": [many, "judge", *remote, *limit],
    }


def killed_training(runner, root, words, draw):
    "Kill a training some time behind each checkpoint, then run it to its end"
    there = case_folder(root, "tuna_train")
    kills = 0
    for _ in range(KILLS):
        running = runner.start(Case("killed", words, there))
        wait_for_checkpoint(running, there / "trained")
        time.sleep(draw.uniform(0.0, 1.0))
        if running.wait(0) is None:
            kills += 1
            running.kill()
            running.wait(10)
    return there, kills


def killed_ranking(runner, root, command, words, seconds, draw):
    "Kill a command at random times"
    there = case_folder(root, command)
    kills = 0
    for _ in range(KILLS):
        running = runner.start(Case("killed", [command, *words], there))
        time.sleep(seconds * draw.uniform(0.2, 0.5))
        if running.wait(0) is None:
            kills += 1
            running.kill()
            running.wait(10)
    return there, kills


def asked_too_often(server, before, most):
    "Requests beyond those that were under way at the kills, as a text, or nothing"
    asked = len(server.bodies) - before
    return f"{asked} requests where {most} were due" if asked > most else ""


def kill_rankings(runner, root, material, draw):
    "The commands that ask a server"
    with ScriptedServer(delay=DELAY) as server:
        for command, words in killed_commands(material, server.url).items():
            whole = case_folder(root, f"{command} whole")
            start = time.monotonic()
            runner.must([command, *words], whole)
            seconds = time.monotonic() - start
            n_requests = len(server.bodies)
            there, kills = killed_ranking(runner, root, command, words, seconds=seconds, draw=draw)
            same = same_as(whole / "out.jsonl", "out.jsonl")
            name = f"{command} after {kills} kills"
            outcome = runner.run(Case(name, [command, *words], there, "result", same))
            # at each kill two requests were under way
            most = n_requests + 2 * kills
            wrong = asked_too_often(server, n_requests, most)
            if wrong and outcome.verdict == "right":
                outcome = Outcome(outcome.case, "silent", wrong, outcome.seconds)
            yield enough(outcome, kills)
            server.bodies.clear()


def enough(outcome, kills):
    "An outcome, marked if too few kills came in time"
    if kills < LEAST and outcome.verdict == "right":
        return skipped(outcome.case.name, f"only {kills} of {LEAST} kills came in time")
    return outcome


def kill_and_rerun(runner, root, material):
    "Group 11: kill -9 and run again"
    draw = random.Random(0)
    outcomes = list(kill_rankings(runner, root, material, draw))
    words = training_words(material)
    whole = case_folder(root, "training whole")
    runner.must(words, whole)
    there, kills = killed_training(runner, root, words, draw)
    weights = "trained/model.safetensors"
    same = same_as(whole / weights, weights)
    case = Case(f"tuna_train after {kills} kills", words, there, "result", same)
    return [*outcomes, enough(runner.run(case), kills)]
