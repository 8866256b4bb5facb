"""What runs in the children of the fork server: commands and calls of the installed package.

The fork server imports `hostile.preload` once, so a child starts in milliseconds. A child is a
process of its own, with its own folder, environment, output files and exit status.
"""

import os
import sys
from importlib import import_module
from importlib.metadata import entry_points


def console_scripts():
    "Functions of the package's commands by name, as MODULE:FUNCTION"
    points = entry_points(group="console_scripts")
    return {point.name: point.value for point in points if point.value.startswith("tuna_nb.")}


SCRIPTS = console_scripts()


def run_script(name, words):
    "Run a command of the package as its console script does"
    from tuna_nb.utils.cli import run_command

    module, _, function = SCRIPTS[name].partition(":")
    command = getattr(import_module(module), function)
    sys.argv = [name, *words]
    run_command(command.__wrapped__, command.example, failure=command.failure)


def run_call(target, words):
    "Call MODULE:FUNCTION of this package of tools; the package's own error becomes one line"
    from tuna_nb.utils.core import TunaError

    module, _, function = target.partition(":")
    try:
        getattr(import_module(module), function)(*words)
    except TunaError as e:
        sys.exit(f"{target}: {e}")


def child(words, folder, env, out, err):
    "Body of a child: `words` are a command line, or hostile.MODULE:FUNCTION and its arguments"
    os.setsid()
    for name, value in env.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for path, descriptor in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    os.chdir(folder)
    name, *rest = words
    if name in SCRIPTS:
        run_script(name, rest)
    else:
        run_call(name, rest)
