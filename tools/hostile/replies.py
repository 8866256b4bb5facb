"""Group 2: hostile replies of a server to the completions and the chat API"""

import json
from dataclasses import dataclass

from hostile.cases import Case, case_folder
from hostile.material import RECORDS, read_lines, wrong_ranking, wrong_samples
from hostile.servers import ScriptedServer, honest_reply, prompt_of

HALF = "half an answ"  # a text that a server broke off
TARGET = "Name a fruit"  # the record whose replies are hostile; the others get honest ones
DEEP = 100_000


@dataclass
class Reply:
    "A hostile reply"

    make: callable  # Gives status, headers and content from the path and an honest reply
    apis: str = "completions chat judge"
    must_say: str = ""  # What standard error has to say
    must_keep: str = ""  # A text that has to be in the result
    must_not_keep: str = ""  # A text that must not be there as if it were whole


def changed(**fields):
    "The honest reply with other fields in every choice"

    def make(path, reply):
        reply["choices"] = [{**choice, **fields} for choice in reply["choices"]]
        return 200, {}, reply

    return make


def with_text(text, **fields):
    "The honest reply with another text in every choice, in either API"

    def make(path, reply):
        for choice in reply["choices"]:
            choice.update(fields)
            if "message" in choice:
                choice["message"]["content"] = text
                entries = [{"token": str(text), "logprob": -1.0, "bytes": None}]
                choice["logprobs"] = {"content": entries}
            else:
                choice["text"] = text
                choice["logprobs"] = {"tokens": [text], "token_logprobs": [-1.0]}
        return 200, {}, reply

    return make


def with_message(**message):
    "The honest chat reply with another message"

    def make(path, reply):
        for choice in reply["choices"]:
            choice["message"] = {"role": "assistant", **message}
        return 200, {}, reply

    return make


def with_logprobs(change):
    "The honest reply with changed numbers and tokens"

    def make(path, reply):
        for choice in reply["choices"]:
            found = choice["logprobs"]
            if "content" in found:
                tokens = [entry["token"] for entry in found["content"]]
                values = [entry["logprob"] for entry in found["content"]]
            else:
                tokens, values = found["tokens"], found["token_logprobs"]
            tokens, values = change(tokens, values)
            if "content" in found:
                pairs = zip(tokens, values, strict=False)
                entries = [{"token": token, "logprob": value} for token, value in pairs]
                choice["logprobs"] = {"content": entries}
            else:
                choice["logprobs"] = {"tokens": tokens, "token_logprobs": values}
        return 200, {}, reply

    return make


def fixed(content, status=200, **headers):
    "The same reply whatever was asked"
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda path, reply: (status, headers, content)


def without_index(path, reply):
    "All choices with the index of the first"
    for choice in reply["choices"]:
        choice["index"] = 0
    return 200, {}, reply


def half_of_body(path, reply):
    "Half of the body and the length of the whole"
    data = json.dumps(reply).encode()
    return 200, {"Content-Length": len(data)}, data[: len(data) // 2]


def with_number(text):
    "The honest reply with a number that Python's json has to read from so many digits"

    def make(path, reply):
        return 200, {}, json.dumps({**reply, "created": 0}).replace('"created": 0', text)

    return make


def huge_logprob(path, reply):
    "A log-probability of 400 digits"
    logged = json.dumps(with_logprobs(lambda t, v: (t, [-77] * len(t)))(path, reply)[2])
    return 200, {}, logged.replace("-77", "-" + "9" * 400)


def to_other_host(path, reply):
    "A redirect with the prompt to another host"
    return 307, {"Location": "http://127.0.0.2:9/v1/elsewhere"}, ""


def to_itself(path, reply):
    "A redirect in a circle"
    return 307, {"Location": path}, ""


ODD_REASONS = {
    reason: Reply(with_text(HALF, finish_reason=reason), must_not_keep=HALF)
    for reason in ("error", "abort", "insufficient_system_resource", "SAFETY", "model_length")
}
ODD_REASONS |= {
    "max_tokens": Reply(with_text(HALF, finish_reason="max_tokens"), must_not_keep=HALF),
    "MAX_TOKENS": Reply(with_text(HALF, finish_reason="MAX_TOKENS"), must_not_keep=HALF),
    "number": Reply(with_text(HALF, finish_reason=7), must_not_keep=HALF),
    "null": Reply(changed(finish_reason=None)),
    "choice with error": Reply(
        with_text(HALF, finish_reason="stop", error={"code": 502, "message": "upstream fell over"}),
        must_not_keep=HALF,
    ),
}
LOGPROBS = {
    "positive": lambda tokens, values: (tokens, [3.0] * len(tokens)),
    "booleans": lambda tokens, values: (tokens, [True] * len(tokens)),
    "null tokens": lambda tokens, values: ([None] * len(tokens), values),
    "null values": lambda tokens, values: (tokens, [None] * len(tokens)),
    "start only": lambda tokens, values: (tokens[:1], values[:1]),
    "none": lambda tokens, values: ([], []),
    "NaN": lambda tokens, values: (tokens, [float("nan")] * len(tokens)),
    "minus infinity": lambda tokens, values: (tokens, [float("-inf")] * len(tokens)),
    "texts": lambda tokens, values: (tokens, ["-1"] * len(tokens)),
    "one too many": lambda tokens, values: ([*tokens, " more"], [*values, -1.0]),
}
REPLIES = {
    "lone surrogate": Reply(with_text("half \ud83d"), apis="completions chat judge"),
    "NUL and line separators": Reply(with_text("a\x00b\u2028c\x85d")),
    "content parts": Reply(
        with_message(content=[{"type": "text", "text": "apple pear"}]),
        apis="sampler",
        must_keep="apple pear",
    ),
    "reasoning only": Reply(with_message(content=None, reasoning_content="hm"), apis="chat judge"),
    "refusal": Reply(with_message(content=None, refusal="I will not"), apis="chat judge"),
    "content is a number": Reply(with_message(content=7), apis="chat judge"),
    "content is an object": Reply(with_message(content={"a": 1}), apis="chat judge"),
    "no message": Reply(changed(message=None, text=None)),
    "error with status 200": Reply(
        fixed({"error": {"message": "the moon is full", "code": 503}}), must_say="the moon is full"
    ),
    "error text with status 200": Reply(
        fixed({"error": "the moon is full"}), must_say="the moon is full"
    ),
    "status 400 about n": Reply(
        fixed({"error": {"message": "Field 'n': Value must be between 1 <= value <= 1"}}, 400),
        apis="completions chat",
    ),
    "status 500": Reply(fixed({"error": {"message": "the moon is full"}}, 500)),
    "status 999": Reply(fixed("", 999)),
    "status 204": Reply(fixed("", 204)),
    "empty body": Reply(fixed("")),
    "null": Reply(fixed("null")),
    "list": Reply(fixed("[]")),
    "text": Reply(fixed('"ok"')),
    "no choices": Reply(fixed({"choices": []})),
    "choices null": Reply(fixed({"choices": None})),
    "choices of text": Reply(fixed({"choices": ["red"]})),
    "one index for all": Reply(without_index, apis="completions chat"),
    "index is a text": Reply(changed(index="first")),
    "index is negative": Reply(changed(index=-1)),
    "web page": Reply(fixed("<html>Welcome</html>", Content_Type="text/html")),
    "wrong content type": Reply(
        lambda path, reply: (200, {"Content-Type": "text/html"}, reply), apis="chat judge"
    ),
    "not UTF-8": Reply(fixed(b'{"choices": [{"text": "\xff\xfe"}]}')),
    "not gzip": Reply(fixed(b"plain", Content_Encoding="gzip")),
    "half of the body": Reply(half_of_body),
    "deep JSON": Reply(fixed("[" * DEEP)),
    "deep field": Reply(with_number('"created": ' + "[" * DEEP + "]" * DEEP)),
    "5,000 digits": Reply(with_number('"created": ' + "1" * 5000)),
    "usage of 400 digits": Reply(
        lambda path, reply: (
            200,
            {},
            {**reply, "usage": {"prompt_tokens": 10**400, "completion_tokens": 10**400}},
        )
    ),
    "usage is odd": Reply(
        lambda path, reply: (
            200,
            {},
            {**reply, "usage": {"prompt_tokens": "many", "completion_tokens": -3}},
        )
    ),
    "logprob of 400 digits": Reply(huge_logprob, apis="completions"),
    "redirect to another host": Reply(to_other_host),
    "redirect in a circle": Reply(to_itself),
    **{
        f"Retry-After {value}": Reply(fixed({"error": "later"}, 429, Retry_After=value))
        for value in ("1e9", "inf", "nan", "-5", "Fri, 31 Dec 2199 23:59:59 GMT", "soon")
    },
    **{f"finish reason {name}": reply for name, reply in ODD_REASONS.items()},
    **{
        f"logprobs {name}": Reply(with_logprobs(change), apis="completions")
        for name, change in LOGPROBS.items()
    },
}


def server_of(hostile):
    "A server that is hostile about one record"

    def reply(path, body):
        honest = honest_reply(path, body)
        return hostile.make(path, honest) if TARGET in prompt_of(body) else (200, {}, honest)

    return ScriptedServer(reply)


def command_of(api, material, url):
    "A command that uses this API"
    data = material / "records.json"
    patience = ["--timeout", "5", "--max-wait", "20"]
    end = ["out.jsonl", "--base-url", url, *patience]
    chat = ["--n", "2", "--kind", "chat"]
    return {
        "completions": ["tuna_prob_rank", data, "teacher", *end, "--n", "2"],
        "chat": ["tuna_sample", data, "sampler", *end, *chat],
        "sampler": ["tuna_sample", data, "sampler", *end, *chat, "--max-trials", "0"],
        "judge": ["tuna_ctx_rank", material / "samples.jsonl", "judge", *end],
    }[api]


def check_of(api, hostile):
    "The check of a result: the honest records are there, the hostile one is right or left out"
    wrong_file = wrong_samples if api in ("chat", "sampler") else wrong_ranking

    def check(case):
        out = case.folder / "out.jsonl"
        if wrong := wrong_file(out, least=len(RECORDS) - 1):
            return wrong
        if hostile.must_say and hostile.must_say not in (case.folder / "stderr").read_text():
            return f"standard error does not say {hostile.must_say!r}"
        for record in read_lines(out):
            if record["instruction"] != TARGET:
                continue
            kept = record["responses"]
            if hostile.must_keep and hostile.must_keep not in kept:
                return f"kept {kept!r:.80} in place of {hostile.must_keep!r}"
            reasons = record.get("finish_reasons") or record.get("finish_reason")
            is_marked = reasons and "length" in str(reasons)
            if hostile.must_not_keep in kept and hostile.must_not_keep and not is_marked:
                return f"{hostile.must_not_keep!r} is kept as a whole answer"
        if hostile.must_keep and len(read_lines(out)) < len(RECORDS):
            return f"{hostile.must_keep!r} is left out"
        return None

    return check


def check_said(hostile):
    "The check of an error: it gives the server's reason"

    def check(case):
        said = (case.folder / "stderr").read_text(errors="replace")
        if hostile.must_say and hostile.must_say not in said:
            return f"the error does not say {hostile.must_say!r}: {said[-150:]}"
        return None

    return check


def hostile_replies(runner, root, material):
    "Group 2: hostile replies × APIs; most of the time is spent waiting, so many run at a time"
    cases = []
    servers = []
    for kind, hostile in REPLIES.items():
        for api in hostile.apis.split():
            server = server_of(hostile)
            servers.append(server)
            name = f"{kind}, {api}"
            words = command_of(api, material, server.url)
            expect = "result" if hostile.must_keep else "either"
            check = check_of(api, hostile)
            folder = case_folder(root, name)
            case = Case(name, words, folder, expect, check, check_said(hostile))
            case.timeout = 90  # a reply that fails is asked for again for 45 s
            cases.append(case)
    outcomes = runner.run_all(cases, workers=12 * runner.workers)
    for server in servers:
        server.__exit__()
    return outcomes
