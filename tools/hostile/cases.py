"""Cases, their processes, and the judgement on what a process did"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from threading import Lock

VERDICTS = {
    "clean": "one line and exit status 1 or 2",
    "right": "exit status 0 and a right result",
    "refused": "a clean line where a result was due",
    "untidy": "exit status 1 or 2 with more than one line, or none",
    "traceback": "a traceback, or death by a signal",
    "hang": "no end in time",
    "silent": "exit status 0 and a wrong result, or something lost",
    "skipped": "not possible on this machine",
}
BAD = ("refused", "untidy", "traceback", "hang", "silent")
NOISE = re.compile(r"\.py:\d+|Warning:|^\s*at 0x|^Exception ignored")


def nothing_wrong(case):
    "The check of cases without a result to look at"
    return ""


@dataclass
class Case:
    "One process with one hostile input"

    name: str
    words: list  # A command line, or hostile.MODULE:FUNCTION and its arguments
    folder: Path  # Where it runs
    expect: str = "either"  # error, result, or either
    check: callable = nothing_wrong  # Gives what is wrong with the result, or None
    check_error: callable = nothing_wrong  # The same after a clean error
    env: dict = field(default_factory=dict)  # None removes a variable
    timeout: float = 75.0
    fresh: bool = False  # Start a new interpreter, not a fork
    logs: Path | None = None  # Where its output files go; by default into its folder


@dataclass
class Outcome:
    "What became of a case"

    case: Case
    verdict: str
    said: str
    seconds: float = 0.0


def case_folder(root, name):
    "A new folder for a case"
    folder = root / re.sub(r"[^\w.-]+", "_", name)[:80]
    return Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=root))


class Running:
    "A process under way"

    def __init__(self, case, context, lock):
        self.case = case
        logs = case.logs or case.folder
        self.out = logs / "stdout"
        self.err = logs / "stderr"
        self.start = time.monotonic()
        self.lock = lock
        if case.fresh:
            self.process = self.start_fresh()
        else:
            from hostile.child import child

            files = (str(self.out), str(self.err))
            arguments = (list(map(str, case.words)), str(case.folder), case.env, *files)
            self.process = context.Process(target=child, args=arguments)
            with lock:
                self.process.start()

    def start_fresh(self):
        "The console script in a new interpreter"
        name, *words = map(str, self.case.words)
        env = dict(os.environ)
        for variable, value in self.case.env.items():
            if value is None:
                env.pop(variable, None)
            else:
                env[variable] = value
        program = Path(sys.executable).parent / name
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            return subprocess.Popen(
                [program, *words],
                cwd=self.case.folder,
                env=env,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def kill(self):
        "End the process and its children at once"
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.process.kill()

    def wait(self, seconds):
        "Exit status, None if the process still runs after so many seconds"
        if not self.case.fresh:
            wait_for_any([self.process.sentinel], max(0.0, seconds))
            with self.lock:  # a start in another thread also looks for ended children
                self.process.join(0)
                return self.process.exitcode
        try:
            return self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return None

    def finish(self):
        "Exit status; None, and the process is killed, if it takes too long"
        status = self.wait(self.case.timeout - (time.monotonic() - self.start))
        if status is None:
            self.kill()
            self.wait(10)
        return status

    def outcome(self):
        "Wait for the end and judge"
        status = self.finish()
        seconds = time.monotonic() - self.start
        stderr = self.err.read_text(errors="replace") if self.err.exists() else ""
        return Outcome(self.case, *judge(self.case, status, stderr), seconds)


def where_raised(stderr):
    "The last place in the package that a traceback names"
    places = re.findall(r'File "[^"]*/(tuna_nb/[^"]+)", line (\d+), in (\S+)', stderr)
    return " at {}:{} in {}".format(*places[-1]) if places else ""


def untidy(lines):
    "What is wrong with the lines of an error, or None"
    if not lines:
        return "no line at all"
    noisy = [line for line in lines if NOISE.search(line)]
    if noisy:
        return f"noise: {noisy[0][:200]}"
    if not re.match(r"[\w.:]+: \S", lines[-1]):
        return f"the last line is {lines[-1][:200]!r}"
    if len(lines) > 20:
        return f"{len(lines)} lines: {lines[0][:200]}"
    return None


def judge(case, status, stderr):
    "Verdict and a line on it"
    lines = [line for line in stderr.splitlines() if line.strip()]
    last = lines[-1][:300] if lines else ""
    if status is None:
        return "hang", f"no end after {case.timeout:.0f} s; last line: {last}"
    if "Traceback (most recent call last)" in stderr:
        return "traceback", last + where_raised(stderr)
    if status == 0:
        if case.expect == "error":
            return "silent", f"accepted; last line: {last}"
        wrong = case.check(case)
        return ("silent", wrong) if wrong else ("right", last)
    if status not in (1, 2):
        return "traceback", f"exit status {status}; last line: {last}"
    if status == 2:  # argparse prints how the command is used, then one line
        lines = lines[-1:]
    if wrong := untidy(lines):
        return "untidy", wrong
    if wrong := case.check_error(case):
        return "silent", wrong
    return ("refused" if case.expect == "result" else "clean"), last


class Runner:
    "Starts processes from a fork server that has imported the package"

    def __init__(self, root, workers):
        self.root = root
        self.workers = workers
        self.context = get_context("forkserver")
        self.context.set_forkserver_preload(["hostile.preload"])
        self.lock = Lock()

    def start(self, case):
        "Start a case"
        return Running(case, self.context, self.lock)

    def run(self, case):
        "Run a case to its end"
        return self.start(case).outcome()

    def run_all(self, cases, workers=None):
        "Run cases, some at a time"
        with ThreadPoolExecutor(workers or self.workers) as pool:
            return list(pool.map(self.run, cases))

    def must(self, words, folder, **more):
        "Run something that has to work; what it printed on standard output"
        case = Case(" ".join(map(str, words[:1])), words, folder, timeout=240, **more)
        outcome = self.run(case)
        if outcome.verdict != "right":
            raise RuntimeError(f"{words}: {outcome.verdict}: {outcome.said}")
        return (folder / "stdout").read_text()


def skipped(name, reason):
    "The outcome of a case that cannot run here"
    return Outcome(Case(name, [], Path()), "skipped", reason)
