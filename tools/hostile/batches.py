"""Group 3: result files of the Batch API with bad lines, and batches with odd states"""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler

from hostile.cases import Case, case_folder
from hostile.material import RECORDS, wrong_samples
from hostile.servers import WORDS, QuietServer, seeded, send


def lines_of(data):
    "The lines of a result file, as objects"
    return [json.loads(line) for line in data.splitlines()]


def file_of(lines):
    "A result file of objects and of raw lines"
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return b"\n".join(rows) + b"\n"


def first_line(change):
    "Damage of the first line alone"

    def damage(data):
        first, *rest = lines_of(data)
        return file_of([change(first), *rest])

    return damage


def other_text(line):
    "The same line with another text"
    text = json.dumps(line)
    return json.loads(re.sub(r'"content": "[^"]*"', '"content": "quite another"', text))


FILES = {
    "no JSON": first_line(lambda line: b"{nonsense"),
    "not UTF-8": first_line(lambda line: b'{"custom_id": "\xff"}'),
    "a list": first_line(lambda line: []),
    "a number": first_line(lambda line: 7),
    "null": first_line(lambda line: None),
    "deep": first_line(lambda line: b"[" * 100_000),
    "no custom_id": first_line(lambda line: {k: v for k, v in line.items() if k != "custom_id"}),
    "custom_id a number": first_line(lambda line: {**line, "custom_id": 3}),
    "custom_id a list": first_line(lambda line: {**line, "custom_id": ["a"]}),
    "custom_id unknown": first_line(lambda line: {**line, "custom_id": "nobody"}),
    "no response": first_line(lambda line: {"custom_id": line["custom_id"]}),
    "response a text": first_line(lambda line: {**line, "response": "ok"}),
    "response a list": first_line(lambda line: {**line, "response": [1]}),
    "error a text": first_line(lambda line: {**line, "response": None, "error": "oh"}),
    "status a text": first_line(
        lambda line: {**line, "response": {**line["response"], "status_code": "200"}}
    ),
    "body null": first_line(lambda line: {**line, "response": {"status_code": 200, "body": None}}),
    "body a list": first_line(lambda line: {**line, "response": {"status_code": 200, "body": [1]}}),
    "lone surrogate": first_line(
        lambda line: json.dumps(line).replace('"content": "', '"content": "half \\ud83d').encode()
    ),
    "every line twice": lambda data: data + data,
    "other texts behind": lambda data: data + file_of(map(other_text, lines_of(data))),
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "CRLF and byte order mark": lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
    "reversed": lambda data: file_of(lines_of(data)[::-1]),
}
STATES = {
    "unknown status": {"status": "paused"},
    "status null": {"status": None},
    "expired without output": {"status": "expired", "output_file_id": None},
    "completed without output": {"status": "completed", "output_file_id": None},
    "failed without a reason": {"status": "failed", "errors": None},
    "failed with a text": {"status": "failed", "errors": "no"},
    "output file is gone": {"output_file_id": "file-nowhere"},
}


def answer(prompt, seed):
    "A sampled answer"
    return " ".join(seeded(prompt, seed).sample(WORDS, 5))


class DamagingProxy:
    "Passes requests on to the loopback server and damages what comes back until it is healed"

    def __init__(self, damage_file=None, state=None):
        from tuna_nb.mini.server import serve

        self.damage_file = damage_file
        self.state = state
        self.healed = False
        self.server = serve({"sampler": answer})
        self.http = QuietServer(("127.0.0.1", 0), self.handler_class())
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        "Stop both servers"
        self.http.shutdown()
        self.http.server_close()
        self.server.close()

    def damage(self, method, path, content):
        "The content of a reply, damaged if it is a result file or the state of an ended batch"
        if self.healed:
            return content
        is_file = re.fullmatch(r"/v1/files/[^/]+/content", path)
        if self.damage_file and is_file and b'"response"' in content:
            return self.damage_file(content)
        if self.state and method == "GET" and re.fullmatch(r"/v1/batches/[^/]+", path):
            batch = json.loads(content)
            if batch["status"] in ("completed", "expired", "failed"):
                return json.dumps({**batch, **self.state}).encode()
        return content

    def handler_class(self):
        "A handler that passes requests on"
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                names = ("Content-Type", "Authorization")
                headers = {name: self.headers[name] for name in names if self.headers[name]}
                upstream = HTTPConnection("127.0.0.1", proxy.server.port, timeout=60)
                upstream.request(self.command, self.path, body, headers)
                reply = upstream.getresponse()
                path = self.path.partition("?")[0]
                content = proxy.damage(self.command, path, reply.read())
                send(self, reply.status, {"Content-Type": reply.headers["Content-Type"]}, content)
                upstream.close()

            do_GET = do_POST = do_DELETE = pass_on  # noqa: N815, the names that http.server calls

            def log_message(self, *args):
                pass

        return Handler


def check(case):
    "Are all records sampled, each with its own answers?"
    return wrong_samples(case.folder / "out.jsonl", least=len(RECORDS) - 1)


def run_damaged(runner, root, material, name, server):
    "A run with the damage, and one after the server has healed"
    words = ["tuna_sample", material / "records.json", "sampler", "out.jsonl"]
    words += ["--base-url", server.url, "--batch", "--n", "2"]
    folder = case_folder(root, name)
    first = runner.run(Case(name, words, folder, check=check))
    server.healed = True
    again = runner.run(Case(f"{name}, again after it healed", words, folder, "result", check))
    server.close()
    return [first, again]


def damaged_batches(runner, root, material):
    "Group 3: batch files"
    jobs = [(f"line: {name}", {"damage_file": damage}) for name, damage in FILES.items()]
    jobs += [(f"batch: {name}", {"state": state}) for name, state in STATES.items()]

    def run(job):
        name, damage = job
        return run_damaged(runner, root, material, name=name, server=DamagingProxy(**damage))

    with ThreadPoolExecutor(6 * runner.workers) as pool:
        pairs = list(pool.map(run, jobs))
    return [outcome for pair in pairs for outcome in pair]
