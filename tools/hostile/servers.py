"""Loopback servers: an honest one, and one whose replies are made up by a function"""

import hashlib
import json
import random
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["red", "blue", "green", "cat", "dog", "horse", "apple", "pear", "plum", "one", "two"]


def seeded(*parts):
    "Random numbers that depend on the parts alone"
    return random.Random(hashlib.sha256(repr(parts).encode()).digest())


def verdict_text(prompt):
    "A judge's reply: the ranking of the responses in the prompt, by a fixed order"
    count = len(re.findall(r"(?m)^###Response \d+:", prompt))
    order = list(range(count))
    seeded(prompt).shuffle(order)
    return f"The ranking is:\nrank: {order}"


def prompt_of(body):
    "The text of a request of either API"
    if "messages" in body:
        return "\n\n".join(message["content"] for message in body["messages"])
    return body["prompt"]


def texts_for(body):
    "One honest text for each choice that is asked for"
    prompt = prompt_of(body)
    if "###Response 0:" in prompt:
        return [verdict_text(prompt)]
    texts = []
    for choice in range(body.get("n") or 1):
        draw = seeded(prompt, body.get("seed"), choice)
        texts.append(" ".join(draw.sample(WORDS, 5)))
    return texts


def chat_choice(index, text):
    "A choice of the chat API with log-probabilities"
    entries = [
        {"token": token, "logprob": -0.5 - len(token) / 10, "bytes": list(token.encode())}
        for token in re.findall(r"\s*\S+", text)
    ]
    return {
        "index": index,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": entries},
    }


def completion_choice(index, text):
    "A choice of the completions API with log-probabilities"
    tokens = re.findall(r"\s*\S+", text)
    return {
        "index": index,
        "finish_reason": "stop",
        "text": text,
        "logprobs": {
            "tokens": tokens,
            "token_logprobs": [-0.5 - len(token) / 10 for token in tokens],
        },
    }


def honest_reply(path, body):
    "A right reply of either API, as an object"
    chat = path.endswith("/chat/completions")
    make = chat_choice if chat else completion_choice
    choices = [make(index, text) for index, text in enumerate(texts_for(body))]
    n_tokens = sum(len(choice_tokens(choice)) for choice in choices)
    if not body.get("logprobs"):
        for choice in choices:
            choice["logprobs"] = None
    usage = {"prompt_tokens": 9, "completion_tokens": n_tokens, "total_tokens": 9 + n_tokens}
    kind = "chat.completion" if chat else "text_completion"
    head = {"id": "x", "object": kind, "created": 1, "model": body.get("model")}
    return {**head, "choices": choices, "usage": usage}


def choice_tokens(choice):
    "The tokens of a choice of either API"
    logprobs = choice["logprobs"]
    return logprobs.get("tokens") or logprobs["content"]


class QuietServer(ThreadingHTTPServer):
    "A server that says nothing when the other side hangs up"

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, address):
        pass


class ScriptedServer:
    "`reply(path, body)` gives status, headers, and an object, text or bytes"

    def __init__(self, reply=None, delay=0.0):
        self.reply = reply or (lambda path, body: (200, {}, honest_reply(path, body)))
        self.delay = delay
        self.bodies = []
        self.http = QuietServer(("127.0.0.1", 0), self.handler_class())
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def handler_class(self):
        "A handler that asks this server's function"
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802, the name that http.server calls
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.bodies.append(body)
                time.sleep(server.delay)
                status, headers, content = server.reply(self.path, body)
                send(self, status, headers, content)

            def log_message(self, *args):
                pass

        return Handler

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.http.shutdown()
        self.http.server_close()


def send(handler, status, headers, content):
    "Send a reply; a Content-Length that is too large cuts the connection after the body"
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    fields = {"Content-Type": "application/json", "Content-Length": len(data), **headers}
    try:
        handler.send_response(status)
        for name, value in fields.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(data)
        handler.wfile.flush()
    except OSError:
        pass  # the other side hung up
    if int(fields["Content-Length"]) != len(data):
        handler.close_connection = True
