"""Group 8: odd environment variables"""

from hostile.cases import Case, case_folder
from hostile.material import RECORDS, wrong_model, wrong_samples
from hostile.servers import ScriptedServer

# Variables, and whether a new interpreter is needed to notice them; a proxy must be refused or
# tried, everything else must not matter to who asks no more than a loopback server
ENVIRONMENTS = {
    "no HOME": ({"HOME": None}, True, "result"),
    "HOME is missing": ({"HOME": "/nonexistent/home"}, True, "result"),
    "LC_ALL=C": ({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}, True, "result"),
    "ASCII output": ({"PYTHONIOENCODING": "ascii"}, True, "either"),
    "unknown locale": ({"LC_ALL": "xx_YY.UTF-8"}, True, "result"),
    "TMPDIR is missing": ({"TMPDIR": "/nonexistent"}, True, "result"),
    "HF_HOME is a file": ({"HF_HOME": "/dev/null/hub"}, True, "result"),
    "COLUMNS=40": ({"COLUMNS": "40"}, False, "result"),
    "COLUMNS=0": ({"COLUMNS": "0"}, False, "result"),
    "COLUMNS=wide": ({"COLUMNS": "wide"}, False, "result"),
    "proxy is nonsense": ({"HTTP_PROXY": "nonsense", "http_proxy": "nonsense"}, False, "either"),
    "proxy of an unknown kind": ({"ALL_PROXY": "gopher://x:1", "NO_PROXY": ""}, False, "either"),
    "SOCKS proxy": ({"ALL_PROXY": "socks5://127.0.0.1:9"}, False, "either"),
    "proxy with a bad port": ({"http_proxy": "http://x:abc"}, False, "either"),
    "SSL_CERT_FILE is missing": ({"SSL_CERT_FILE": "/nonexistent.pem"}, False, "either"),
    "SSL_CERT_FILE is no certificate": ({"SSL_CERT_FILE": "/etc/hostname"}, False, "either"),
    "key with a line break": ({"OPENAI_API_KEY": "sk\nx"}, False, "either"),
    "key with a Greek letter": ({"OPENAI_API_KEY": "sk-λ"}, False, "either"),
    "no key": ({"OPENAI_API_KEY": None}, False, "result"),
    "OPENAI_BASE_URL is nonsense": ({"OPENAI_BASE_URL": "nonsense"}, False, "result"),
    "TUNA_REAL_DATA is missing": ({"TUNA_REAL_DATA": "/nonexistent"}, False, "either"),
    "TUNA_PROGRESS=maybe": ({"TUNA_PROGRESS": "maybe"}, False, "result"),
}
OF_TRAINING = {
    "WORLD_SIZE=abc": ({"WORLD_SIZE": "abc"}, False, "error"),
    "WORLD_SIZE=0": ({"WORLD_SIZE": "0"}, False, "error"),
    "WORLD_SIZE=-1": ({"WORLD_SIZE": "-1"}, False, "error"),
    "RANK=abc": ({"RANK": "abc"}, False, "either"),
    "LOCAL_RANK=abc": ({"LOCAL_RANK": "abc"}, False, "either"),
    "OMP_NUM_THREADS=abc": ({"OMP_NUM_THREADS": "abc"}, True, "either"),
    "ACCELERATE_MIXED_PRECISION=odd": ({"ACCELERATE_MIXED_PRECISION": "odd"}, False, "either"),
}


def command_lines(material, url):
    "Commands with their checks: one asks a server, one prints, one trains"
    records = material / "records.json"
    training = [material / "model", records, "trained", "--epochs", "1", "--batch-size", "4"]

    def sampled(case):
        return wrong_samples(case.folder / "out.jsonl", least=len(RECORDS))

    def printed(case):
        return "" if (case.folder / "stdout").stat().st_size > 100 else "nothing is printed"

    def trained(case):
        return wrong_model(case.folder / "trained")

    return {
        "tuna_sample": ([records, "sampler", "out.jsonl", "--base-url", url], sampled),
        "tuna_ablate": (["--list"], printed),
        "tuna_sft": (training, trained),
    }


def odd_environments(runner, root, material):
    "Group 8: odd environments"
    cases = []
    with ScriptedServer() as server:
        lines = command_lines(material, server.url)
        chosen = [("tuna_sample", ENVIRONMENTS), ("tuna_sft", OF_TRAINING)]
        printing = {k: v for k, v in ENVIRONMENTS.items() if "COLUMNS" in k or "LC" in k}
        for command, environments in [*chosen, ("tuna_ablate", printing)]:
            words, check = lines[command]
            for name, (env, fresh, expect) in environments.items():
                title = f"{name}, {command}"
                case = Case(title, [command, *words], case_folder(root, title), expect, check)
                case.env = env
                case.fresh = fresh
                cases.append(case)
        return runner.run_all(cases)
