"""Memory and speed of sampling and ranking by number of records, with faults, against a loopback
server in a process of its own.

    python benchmarks/streaming.py [--records 20000 200000] [--what prob ctx sample prm]
        [--faults 0.05] [--out benchmarks/streaming.json]

Each run is a process of its own, which runs a command on 20 records first, so that libraries are
loaded, and then on all of them. Its peak is the largest resident memory that Linux counted
(VmHWM), and `start_mb` what it had before the second command. The server answers every request
at once, a share of them only at the second attempt (status 500 at the first)."""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tuna_nb.utils.core import provenance, write_jsonl, write_text

CONCURRENCY = 32
WORDS = [f"word{number}" for number in range(500)]


def choices(request, rng):
    "Choices of a completion: 20 to 30 words each, with a log-probability for each"
    for index in range(request.get("n", 1)):
        tokens = [f" {rng.choice(WORDS)}" for _ in range(rng.randint(20, 30))]
        logps = {"tokens": tokens, "token_logprobs": [-rng.random() for _ in tokens]}
        yield {
            "index": index,
            "text": "".join(tokens),
            "finish_reason": "stop",
            "logprobs": logps if "logprobs" in request else None,
        }


def verdict(rng):
    "A judge's reply about four responses; one in 50 cannot be read"
    if rng.random() < 0.02:
        return "I cannot say."
    order = rng.sample(range(4), 4)
    marks = [f"Response {k}: [{15 - 3 * i}]" for i, k in enumerate(order)]
    reference = "A reference of some words, as judges write them. " * 4
    head = ["The instruction is open-ended.", "###Response 4:", reference, ""]
    return "\n".join([*head, *marks, f"rank: {order}"])


def answer(path, body):
    "The body of a reply, always the same to the same request"
    request = json.loads(body)
    rng = random.Random(body)
    if path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": verdict(rng)}
        found = [{"index": 0, "message": message, "finish_reason": "stop"}]
    else:
        found = list(choices(request, rng))
    usage = {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}
    return {"id": "x", "object": "x", "model": request["model"], "choices": found, "usage": usage}


def serve(conn, faults):
    "A small HTTP server that answers until its process is ended"
    failed = set()
    counts = {"requests": 0, "faults": 0}

    async def client(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            counts["requests"] += 1
            digest = hashlib.blake2b(body, digest_size=8).digest()
            is_fault = digest[0] < 256 * faults and digest not in failed
            if is_fault:
                failed.add(digest)
                counts["faults"] += 1
                reply = {"error": {"message": "a fault on purpose"}}
            else:
                reply = answer(lines[0].split()[1], body)
            data = json.dumps(reply).encode()
            status = "500 Internal Server Error" if is_fault else "200 OK"
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(data)}\r\n\r\n".encode()
                + data
            )
            await writer.drain()

    async def quiet(reader, writer):
        try:
            await client(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main():
        server = await asyncio.start_server(quiet, "127.0.0.1", 0)
        conn.send(server.sockets[0].getsockname()[1])
        while not conn.poll():
            await asyncio.sleep(0.1)
        conn.send(counts)

    asyncio.run(main())


class Server:
    "The server's process"

    def __init__(self, faults):
        self.faults = faults

    def __enter__(self):
        context = multiprocessing.get_context("spawn")
        self.conn, far = multiprocessing.Pipe()
        self.process = context.Process(target=serve, args=(far, self.faults), daemon=True)
        self.process.start()
        self.url = f"http://127.0.0.1:{self.conn.recv()}/v1"
        return self

    def __exit__(self, *exc):
        self.conn.send(None)
        self.counts = self.conn.recv()
        self.process.join(10)


JOB = r"""
import gc, json, sys, time
from machine import status_mb
what, data, out, url, limit, prm = sys.argv[1:]
from tuna_nb.commands.rank import tuna_ctx_rank, tuna_prob_rank, tuna_sample
from tuna_nb.commands.train import tuna_prm_rank

def run(out, limit):
    asked = {'base_url': url, 'concurrency': CONCURRENCY, 'limit': limit}
    if what == 'prob':
        tuna_prob_rank(data, 'teacher', out, **asked)
    if what == 'ctx':
        tuna_ctx_rank(data, 'judge', out, **asked)
    if what == 'sample':
        tuna_sample(data, 'sampler', out, **asked)
    if what == 'prm':
        tuna_prm_rank(data, prm, out, limit=limit)

run(out + '.first.jsonl', 20)
gc.collect()
with open('/proc/self/clear_refs', 'w') as f:
    f.write('5')
start = status_mb('VmRSS')
began = time.perf_counter()
run(out, limit=int(limit))
seconds = time.perf_counter() - began
print('figures', json.dumps({'start': start, 'peak': status_mb('VmHWM'), 'seconds': seconds}))
""".replace("CONCURRENCY", str(CONCURRENCY))


def write_data(path, n):
    "Records with four responses"
    rng = random.Random(0)

    def records():
        for number in range(n):
            texts = [" ".join(rng.choices(WORDS, k=25)) for _ in range(4)]
            asked = f"question {number}: " + " ".join(rng.choices(WORDS, k=10))
            record = {"id": str(number), "instruction": asked, "input": ""}
            yield {**record, "output": "an answer", "responses": texts}

    write_jsonl(path, records())


def measure(what, data, folder, n, faults, prm):
    "Memory and seconds of one run"
    out = folder / f"{what}{n}.jsonl"
    with Server(faults) as server:
        command = [sys.executable, "-c", JOB, what, str(data), str(out), server.url, str(n), prm]
        here = str(Path(__file__).parent)
        paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        env = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{what} with {n} records ended with status {done.returncode}")
    found = json.loads(done.stdout.split("figures ")[1])
    with open(out, "rb") as f:
        lines = sum(1 for _ in f)
    result = {
        "records": n,
        "written": lines,
        "output_mb": round(out.stat().st_size / 2**20),
        "start_mb": round(found["start"]),
        "above_start_mb": round(found["peak"] - found["start"]),
        "seconds": round(found["seconds"], 1),
        **server.counts,
    }
    for path in folder.glob(f"*{what}{n}.jsonl*"):
        path.unlink()
    print(what, result, flush=True)
    return result


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--records", type=int, nargs="+", default=[20000, 200000])
    ap.add_argument("--what", nargs="+", default=["prob", "ctx", "sample"])
    ap.add_argument("--faults", type=float, default=0.05, help="share of requests that fail once")
    ap.add_argument("--prm", default="", help="folder of a proxy ranking model, for prm")
    ap.add_argument("--folder", help="for data and results (a temporary one)")
    ap.add_argument("--out", default="benchmarks/streaming.json", help="file for the figures")
    args = ap.parse_args()
    os.environ.update(TUNA_PROGRESS="0", OPENAI_API_KEY="k", OMP_NUM_THREADS="1")
    began = time.strftime("%Y-%m-%d")
    found = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        data = folder / "data.jsonl"
        write_data(data, max(args.records))
        for what in args.what:
            runs = []
            for n in args.records:
                runs.append(measure(what, data, folder, n, args.faults, args.prm))
            found[what] = runs
    result = {"concurrency": CONCURRENCY, "faults": args.faults, "began": began}
    result |= {"runs": found, "origin": provenance()}
    write_text(args.out, json.dumps(result, indent=1) + "\n")
    print(f"figures: {args.out}")


if __name__ == "__main__":
    main()
