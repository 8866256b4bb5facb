"""Contextual ranking under load, faults and kills, against a loopback server in a process of its
own.

    python benchmarks/load.py [--requests 20000] [--out benchmarks/load.json] [--memory]

Five parts, all over real HTTP:
- throughput: answers a second from a server that takes 50 ms, beside the ceiling that the number
  of concurrent requests sets;
- complete: so many records judged while a fifth of the requests fail, each reply stored once;
- memory: peak of the process (Linux counts it) for 1,000 and for all records, of the client
  alone and with the ranked dataset;
- killed: the same run killed by SIGKILL at five random moments and resumed: is the file the
  same, was anything stored asked again?
- environment: cores and versions."""

import argparse
import http.client
import importlib.metadata
import json
import multiprocessing
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tuna_nb.mini.protocol import request_digest
from tuna_nb.mini.server import serve
from tuna_nb.models.cache import Store
from tuna_nb.models.endpoint import Endpoint
from tuna_nb.utils.core import provenance, read_json, write_jsonl, write_text

CONCURRENCY = 64


def verdict(prompt, seed=None):
    "A judge that always gives the same verdict on the same prompt"
    order = random.Random(prompt).sample(range(4), 4)
    marks = [f"Response {k}: [{15 - 3 * i}]" for i, k in enumerate(order)]
    return "\n".join(
        [
            "The instruction is open-ended.",
            "###Response 4:",
            "A reference of some words, as judges write them. " * 4,
            "",
            *marks,
            f"rank: {order}",
        ]
    )


def run_server(conn):
    "A server that obeys commands from a pipe"
    with serve({"judge": verdict}) as s:
        conn.send(s.url)
        while (cmd := conn.recv()) is not None:
            what, arg = cmd
            if what == "delay":
                s.delay = arg
            if what == "faults":
                s.faults(arg, seed=0)
            if what == "clear":
                s.requests = 0
                s.answered.clear()
                s.served.clear()
                s.seen.clear()
            conn.send(
                {
                    "requests": s.requests,
                    "seen": dict(s.seen),
                    "answered": dict(s.answered),
                    "served": dict(s.served),
                }
                if what == "stats"
                else "ok"
            )


class Server:
    "The server's process, and a line to it"

    def __enter__(self):
        self.conn, far = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=run_server, args=(far,), daemon=True
        )
        self.process.start()
        self.url = self.conn.recv()
        return self

    def tell(self, what, arg=None):
        self.conn.send((what, arg))
        return self.conn.recv()

    def __exit__(self, *exc):
        self.conn.send(None)
        self.process.join(10)


def latency(server, n=40):
    "Median seconds of one request after another, by the standard library alone"
    port = int(server.url.split(":")[2].split("/")[0])
    conn, took = http.client.HTTPConnection("127.0.0.1", port), []
    for i in range(n):
        start = time.perf_counter()
        conn.request(
            "POST",
            "/v1/chat/completions",
            json.dumps({"model": "judge", "messages": [{"role": "user", "content": str(i)}]}),
        )
        conn.getresponse().read()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def throughput(server, seconds=3, repeats=3):
    "Requests a second at several concurrencies, beside the ceiling"
    out = []
    for k in (4, 8, 16, 32):
        e, n, rates = Endpoint("judge", server.url, "k", concurrency=k), int(seconds * k / 0.05), []
        for i in range(repeats + 1):
            prompts = [f"{k} {i} {j}" for j in range(n if i else k)]
            start = time.perf_counter()
            e.each(prompts, lambda j, gens: None)
            if i:
                rates.append(n / (time.perf_counter() - start))
        out.append(
            {
                "concurrency": k,
                "requests": n,
                "per_second": round(statistics.median(rates), 1),
                "ceiling": k / 0.05,
                "share": round(statistics.median(rates) * 0.05 / k, 3),
            }
        )
        print(out[-1], flush=True)
    return out


JOB = r"""
import re,sys
from tuna_nb.commands.rank import tuna_ctx_rank
from tuna_nb.contextual_ranking import judge_prompt
from tuna_nb.utils.core import read_json
from tuna_nb.models.endpoint import Endpoint
what,data,out,url,limit = sys.argv[1:]
limit = int(limit)
if what=='rank':
    tuna_ctx_rank(data, 'judge', out, base_url=url, concurrency=CONCURRENCY, limit=limit)
else:
    def prompts():
        for i in range(limit):
            yield judge_prompt(f'question {i}', '', [f'answer {i} {k}' for k in range(4)])
    judge = Endpoint('judge', url, 'k', concurrency=CONCURRENCY, store=out+'.replies.db')
    judge.each(prompts(), lambda i, gens: None)
print('peak', int(re.search(r'VmHWM:\s+(\d+)', open('/proc/self/status').read())[1])//1024)
""".replace("CONCURRENCY", str(CONCURRENCY))


def job(what, data, out, url, limit):
    "A process that ranks or asks"
    return subprocess.Popen(
        [sys.executable, "-c", JOB, what, str(data), str(out), url, str(limit)],
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(p):
    "Peak memory of a process that ended well, in MB"
    said, _ = p.communicate()
    if p.returncode:
        raise SystemExit(f"a job ended with status {p.returncode}")
    return int(said.split("peak ")[1])


def stored_digests(path):
    "Requests whose replies are in a store, as the server names them"
    store = Store(path)
    try:
        return {
            request_digest(json.loads(r)["body"])
            for (r,) in store._sql("select request from reply")
        }
    finally:
        store.close()


def complete(server, tmp, data, n):
    "All records, once, with a fifth of the requests failing"
    server.tell("clear")
    server.tell("faults", 0.2)
    start = time.perf_counter()
    finish(job("rank", data, tmp / "whole.jsonl", server.url, n))
    stats, seconds = server.tell("stats"), time.perf_counter() - start
    store = Store(tmp / "whole.jsonl.replies.db")
    res = {
        "records": n,
        "ranked": len(read_json(tmp / "whole.jsonl")),
        "replies_stored": len(store),
        "requests_seen": stats["requests"],
        "faults": stats["served"],
        "answered_more_than_once": sum(v > 1 for v in stats["answered"].values()),
        "seconds": round(seconds, 1),
    }
    store.close()
    print(res, flush=True)
    return res


def killed(server, tmp, data, n, seconds, kills=5):
    "The same, killed and resumed"
    server.tell("clear")
    server.tell("faults", 0.2)
    out, db, rng, held, waits = (
        tmp / "killed.jsonl",
        tmp / "killed.jsonl.replies.db",
        random.Random(0),
        [],
        [],
    )
    for _ in range(kills):
        p = job("rank", data, out, server.url, n)
        waits.append(round(rng.uniform(0.05, 0.3) * seconds, 1))
        time.sleep(waits[-1])
        p.send_signal(signal.SIGKILL)
        p.communicate()
        if p.returncode != -signal.SIGKILL:
            raise SystemExit("a job was over before it could be killed; use more requests")
        time.sleep(1)
        held.append((stored_digests(db) if db.exists() else set(), server.tell("stats")["seen"]))
    finish(job("rank", data, out, server.url, n))
    last = server.tell("stats")
    again = sum(last["seen"][d] > then[d] for stored, then in held for d in stored)
    twice = sum(v - 1 for v in last["answered"].values())
    res = {
        "kills": kills,
        "killed_after_seconds": waits,
        "stored_at_kill": [len(s) for s, _ in held],
        "same_bytes": out.read_bytes() == (tmp / "whole.jsonl").read_bytes(),
        "stored_requests_asked_again": again,
        "answers_lost_in_flight": twice,
        "most_in_flight": kills * CONCURRENCY,
    }
    print(res, flush=True)
    return res


def memory(server, tmp, data, n):
    "Peak memory by number of requests, in MB"
    server.tell("faults", 0)
    res = {
        what: {
            str(k): finish(job(what, data, tmp / f"{what}{k}.jsonl", server.url, k))
            for k in (1000, n)
        }
        for what in ("ask", "rank")
    }
    print(res, flush=True)
    return res


def faults(server, tmp, data, n):
    "Everything but memory"
    server.tell("delay", 0.05)
    res = {"latency_of_one_request_s": round(latency(server), 4), "throughput": throughput(server)}
    server.tell("delay", 0.0)
    res["complete"] = complete(server, tmp, data, n)
    res["killed"] = killed(server, tmp, data, n, res["complete"]["seconds"])
    return res


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--requests", type=int, default=20000, help="records to judge (20000)")
    ap.add_argument("--out", default="benchmarks/load.json", help="file for the figures")
    ap.add_argument(
        "--memory",
        action="store_true",
        help="measure memory alone, and leave the other figures of the file as they are",
    )
    a = ap.parse_args()
    os.environ.update(TUNA_PROGRESS="0", OPENAI_API_KEY="k", OMP_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as d, Server() as server:
        tmp, data = Path(d), Path(d) / "data.jsonl"
        write_jsonl(
            data,
            [
                {
                    "id": str(i),
                    "instruction": f"question {i}",
                    "input": "",
                    "output": "x",
                    "responses": [f"answer {i} {k}" for k in range(4)],
                }
                for i in range(a.requests)
            ],
        )
        res = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "openai": importlib.metadata.version("openai"),
            "concurrency": CONCURRENCY,
        }
        if a.memory:
            res = json.loads(Path(a.out).read_text())
        else:
            res |= faults(server, tmp, data, a.requests)
        res["memory_mb"] = memory(server, tmp, data, a.requests)
        res["origin"] = provenance()
    write_text(a.out, json.dumps(res, indent=1) + "\n")
    print(f"figures: {a.out}")


if __name__ == "__main__":
    main()
