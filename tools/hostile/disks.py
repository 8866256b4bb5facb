"""Groups 5 and 6: a full disk, and folders that cannot be written"""

import os
import subprocess
from contextlib import contextmanager

from hostile.cases import Case, case_folder, skipped
from hostile.material import wrong_model, wrong_ranking, wrong_samples
from hostile.servers import ScriptedServer


class MountError(Exception):
    "This machine does not let us mount"


@contextmanager
def small_disk(folder, size="256k"):
    "A file system in memory at `folder`"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as e:
        raise MountError(str(e)) from None
    if done.returncode:
        raise MountError(done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(disk, leave=0):
    "Fill a disk up to some bytes"
    space = os.statvfs(disk)
    free = space.f_bavail * space.f_frsize - leave
    with open(disk / "filler", "wb", buffering=0) as f:
        try:
            while free > 0:
                written = f.write(bytes(min(free, 4096)))
                free -= written
        except OSError:
            pass


def writing_commands(material, url, place):
    "Commands that write into `place`, with the checks of their results"
    data = material / "records.json"
    samples = material / "samples.jsonl"
    ranked = material / "ranked.jsonl"
    model = material / "model"
    out = place / "out.jsonl"
    remote = ["--base-url", url]
    training = ["--epochs", "1", "--batch-size", "2"]
    evaluation = ["--bench", "vicuna", "--data", material / "bench", "--limit", "2"]
    quick = ["table1", "--scale", "quick", "--out", place / "run"]

    def ranking(case):
        return wrong_ranking(out)

    def sampled(case):
        return wrong_samples(out)

    def trained(case):
        return wrong_model(place / "trained")

    def page_written(case):
        return None if any(place.rglob("report.html")) else "no report.html"

    def scores_written(case):
        return None if any(place.rglob("*scores*")) else "no scores"

    return {
        "tuna_prob_rank": ([data, "teacher", out, *remote], ranking),
        "tuna_sample": ([data, "sampler", out, *remote], sampled),
        "tuna_ctx_rank": ([samples, "judge", out, *remote], ranking),
        "tuna_prm_rank": ([samples, material / "prm", out], ranking),
        "tuna_export": ([material / "replies.db", out], lambda case: None),
        "tuna_sft": ([model, data, place / "trained", *training], trained),
        "tuna_train": ([model, ranked, place / "trained", *training], trained),
        "tuna_prm": ([model, ranked, place / "trained", *training, "--held-out", "0"], trained),
        "tuna_eval": ([model, place / "scores", *evaluation], scores_written),
        "tuna_ablate": (quick, page_written),
        "tuna_mini": (["--quick", "--out", place / "run"], page_written),
    }


def make_replies(runner, root, material, url):
    "A store of replies to export"
    if (material / "replies.db").exists():
        return
    there = case_folder(root, "replies")
    words = [material / "records.json", "teacher", "out.jsonl", "--base-url", url]
    runner.must(["tuna_prob_rank", *words], there)
    (there / "out.jsonl.replies.db").rename(material / "replies.db")


def full_disk(runner, root, material):
    "Group 5: each command on a disk without space, and again when there is some"
    outcomes = []
    with ScriptedServer() as server:
        make_replies(runner, root, material, server.url)
        names = list(writing_commands(material, server.url, root))
        for leave in (0, 20_000):
            for name in names:
                if leave and name in ("tuna_ablate", "tuna_mini"):
                    continue  # they work for a minute before they have much to write
                label = f"{name}, {leave} bytes free"
                disk = root / label.replace(" ", "_").replace(",", "")
                try:
                    with small_disk(disk, size="8m"):
                        commands = writing_commands(material, server.url, disk)
                        case = one_case(root, label, name, commands)
                        outcomes.extend(run_full(runner, case, disk, leave))
                except MountError as e:
                    return [skipped("full disk", f"a small disk cannot be mounted here: {e}")]
    return outcomes


def one_case(root, label, name, commands):
    "A case of one of `writing_commands`"
    words, check = commands[name]
    return Case(label, [name, *words], case_folder(root, label), check=check)


def run_full(runner, case, disk, leave):
    "A run on the full disk, and for the commands that ask a server one with space"
    fill(disk, leave)
    yield runner.run(case)
    if "--base-url" in case.words:
        (disk / "filler").unlink()
        case.name += ", then with space"
        case.expect = "result"
        yield runner.run(case)


def read_only(runner, root, material):
    "Group 6: a read-only disk, a file in the place of a folder, a folder in the place of a file"
    with ScriptedServer() as server:
        make_replies(runner, root, material, server.url)
        file = root / "a_file"
        file.write_text("")
        cases = unwritable_cases(root, material, server.url, file / "below", "below a file")
        taken = root / "taken"
        (taken / "out.jsonl").mkdir(parents=True)
        for name in ("trained", "scores", "run"):
            (taken / name).write_text("")
        cases += unwritable_cases(root, material, server.url, taken, "name is taken")
        disk = root / "disk"
        outcomes = []
        try:
            with small_disk(disk):
                subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
                on_disk = unwritable_cases(root, material, server.url, disk, "read-only disk")
                outcomes = runner.run_all(on_disk)
        except (MountError, subprocess.CalledProcessError) as e:
            outcomes = [skipped("read-only disk", f"it cannot be mounted here: {e}")]
        return outcomes + runner.run_all(cases)


def unwritable_cases(root, material, url, place, label):
    "All commands with their results in a place that cannot be written"
    cases = []
    for name, (words, _) in writing_commands(material, url, place).items():
        title = f"{name}, {label}"
        case = Case(title, [name, *words], case_folder(root, title), "error")
        cases.append(case)
    return cases
