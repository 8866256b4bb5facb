"""Run every command of the package with --help, and plain ones for real, in this environment.

The help must have a text for every argument and option, fit the terminal, and not depend on the
version of fastcore: what is printed for 80 columns goes to standard output, so that two
environments can be compared.
"""

import inspect
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points, version
from pathlib import Path

from fastcore.docments import docments

bin_folder = Path(sys.executable).parent


def run(name, *args, columns=80):
    "Standard output of a command that ends well"
    env = dict(os.environ, COLUMNS=str(columns))
    done = subprocess.run([bin_folder / name, *args], capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{name} {' '.join(args)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def options_without_text(command):
    "Arguments and options that `--help` shows without a text"
    missing = []
    for name, param in docments(command, full=True, returns=False).items():
        # the options behind **kwargs are listed one by one
        if param.kind != inspect.Parameter.VAR_KEYWORD and not param.docment:
            missing.append(name)
    return missing


def main():
    commands = {}
    for entry in sorted(entry_points(group="console_scripts")):
        if entry.value.startswith("tuna_nb."):
            commands[entry.name] = entry.load()
    if not commands:
        sys.exit("no commands of tuna_nb are installed here")
    for name, command in commands.items():
        if missing := options_without_text(command):
            sys.exit(f"{name}: no help for {', '.join(missing)}")
    cases = [(name, columns) for name in commands for columns in (40, 80, 120)]
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda case: run(case[0], "--help", columns=case[1]), cases)
        for (name, columns), text in zip(cases, texts, strict=True):
            lines = text.splitlines()
            wide = [line for line in lines if len(line) > columns and " " in line.strip()]
            if wide:
                sys.exit(f"{name} --help at {columns} columns: a line of {len(wide[0])}: {wide[0]}")
            if columns == 80:
                print(f"== {name}\n{text}")
    listed = json.loads(run("tuna_ablate", "--list", "--json"))
    if "table1" not in listed:
        sys.exit(f"tuna_ablate --list --json: {listed}")
    print(f"{len(commands)} commands with fastcore {version('fastcore')}", file=sys.stderr)


if __name__ == "__main__":
    main()
