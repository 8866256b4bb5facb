"""Group 4: damaged stores of replies, and damaged checkpoints and records of trainings"""

import random
import shutil
import time
from pathlib import Path

from hostile.cases import Case, Outcome, case_folder, nothing_wrong
from hostile.servers import ScriptedServer


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def short(path):
    path.write_bytes(path.read_bytes()[:100])


def empty(path):
    path.write_bytes(b"")


def noise(path):
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


def flipped(path):
    "Random bytes in the second half"
    data = bytearray(path.read_bytes())
    for _ in range(200):
        place = random.Random(_).randrange(len(data) // 2, len(data))
        data[place] ^= 0xFF
    path.write_bytes(data)


def gone(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def json_list(path):
    path.write_text("[]")


def json_object(path):
    path.write_text("{}")


STORE_DAMAGE = (half, short, empty, noise, flipped, folder, json_object)
TEXT_DAMAGE = (half, empty, gone, noise, folder, json_list, json_object)
BINARY_DAMAGE = (half, empty, gone, noise, folder)


def same_as(reference, name):
    "Check that a file of the result has the bytes of the reference"

    def check(case):
        path = case.folder / name
        if not path.is_file():
            return f"{name} is missing"
        return None if path.read_bytes() == reference.read_bytes() else f"{name} is another one"

    return check


def store_cases(runner, root, material, server):
    "Every damage to the store of each command that keeps one, and its export"
    end = ["out.jsonl", "--base-url", server.url]
    commands = {
        "tuna_prob_rank": [material / "records.json", "teacher", *end],
        "tuna_ctx_rank": [material / "samples.jsonl", "judge", *end],
    }
    cases = []
    for command, words in commands.items():
        before = case_folder(root, f"{command} before")
        runner.must([command, *words], before)
        runner.must(["tuna_export", "out.jsonl.replies.db", "replies.jsonl"], before)
        for damage in STORE_DAMAGE:
            name = f"{command}, store {damage.__name__}"
            there = case_folder(root, name) / "there"
            shutil.copytree(before, there)
            damage(there / "out.jsonl.replies.db")
            check = same_as(before / "out.jsonl", "out.jsonl")
            cases.append(Case(name, [command, *words], there, check=check))
            name = f"tuna_export, store {damage.__name__}"
            there = case_folder(root, name) / "there"
            shutil.copytree(before, there)
            (there / "replies.jsonl").unlink()
            damage(there / "out.jsonl.replies.db")
            export = ["tuna_export", "out.jsonl.replies.db", "replies.jsonl"]
            check = (
                same_as(before / "replies.jsonl", "replies.jsonl") if damage is flipped else None
            )
            expect = "either" if damage in (empty, flipped) else "error"
            cases.append(Case(name, export, there, expect, check or nothing_wrong))
    return cases


def hidden_store_cases(root, material, server):
    "Rubbish where a command keeps finished records"
    end = ["out.jsonl", "--base-url", server.url]
    commands = {
        "tuna_sample": [material / "records.json", "sampler", *end],
        "tuna_prm_rank": [material / "samples.jsonl", material / "prm", "out.jsonl"],
    }
    for command, words in commands.items():
        for damage in (empty, json_object, folder):
            name = f"{command}, hidden store {damage.__name__}"
            there = case_folder(root, name)
            (there / ".out.jsonl.store").write_text("rubbish")
            damage(there / ".out.jsonl.store")
            yield Case(name, [command, *words], there)


def training_words(material, out="trained"):
    "A training of some seconds with four checkpoints"
    words = ["tuna_train", material / "model", material / "many.jsonl", out]
    return [*words, "--batch-size", "4", "--epochs", "4", "--save-every", "0.25"]


def wait_for_checkpoint(running, there, seconds=60):
    "Wait until a checkpoint is complete; False if the process ends or the time is over"
    end = time.monotonic() + seconds
    while time.monotonic() < end and running.wait(0) is None:
        if [*there.glob("checkpoint-*/trainer_state.json")]:
            return True
        time.sleep(0.01)
    return False


def interrupted_training(runner, root, words):
    "A folder in which a training was killed behind its first checkpoint"
    there = case_folder(root, "interrupted")
    running = runner.start(Case("interrupted", words, there))
    found = wait_for_checkpoint(running, there / "trained")
    running.kill()
    running.wait(10)
    return there if found else None


def checkpoint_cases(runner, root, material):
    "Every damage to every file of a checkpoint"
    words = training_words(material)
    whole = case_folder(root, "whole")
    runner.must(words, whole)
    before = interrupted_training(runner, root, words)
    if not before:
        failed = Case("interrupted training", words, whole)
        return [Outcome(failed, "silent", "no checkpoint was found before the end")]
    checkpoint = next((before / "trained").glob("checkpoint-*")).relative_to(before)
    files = [path.name for path in (before / checkpoint).iterdir() if path.is_file()]
    places = [checkpoint / name for name in sorted(files)] + [Path("trained/trained_on.json")]
    check = same_as(whole / "trained" / "model.safetensors", "trained/model.safetensors")
    cases = [Case("checkpoint as it was", words, copy_of(root, before), "result", check)]
    for place in places:
        for damage in TEXT_DAMAGE if place.suffix == ".json" else BINARY_DAMAGE:
            there = copy_of(root, before)
            damage(there / place)
            name = f"{place.name} {damage.__name__}"
            cases.append(Case(name, words, there, check=check))
    for damage in TEXT_DAMAGE:
        there = copy_of(root, whole)
        damage(there / "trained" / "trained_on.json")
        name = f"finished, trained_on.json {damage.__name__}"
        cases.append(Case(name, words, there, check=check))
    return runner.run_all(cases)


def copy_of(root, source):
    "A copy of a folder"
    there = case_folder(root, source.name) / "there"
    shutil.copytree(source, there)
    return there


def damaged_files(runner, root, material):
    "Group 4: damaged stores and checkpoints"
    with ScriptedServer() as server:
        cases = store_cases(runner, root, material, server)
        cases.extend(hidden_store_cases(root, material, server))
        outcomes = runner.run_all(cases)
    return outcomes + checkpoint_cases(runner, root, material)
