#!/bin/sh
# One word for each job. The first run makes a virtual environment and installs everything into it, later runs start at once.
#   ./go mini [options of tuna_mini]    the whole paper in miniature; says where the report is
#   ./go test [options of nbdev_test]   the tests: every notebook, two at a time
#   ./go setup [--hooks]                the installation alone; with --hooks also Git's: ruff before a commit, notebooks merged as notebooks
# TUNA_VENV: folder of the environment (.venv).  PYTHON: interpreter to make it with (the first of 3.11 to 3.13 that is found).
# TUNA_REAL_DATA: folder of the public data sets, for the parts that use them.  OMP_NUM_THREADS: threads of each of the two test workers (1).
set -eu

case "${1:-}" in mini|test|setup) job=$1; shift ;; *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;; esac

here=$(cd "$(dirname "$0")" && pwd)
if [ -n "${TUNA_REAL_DATA:-}" ]; then
    TUNA_REAL_DATA=$(cd "$TUNA_REAL_DATA" && pwd) || { echo "TUNA_REAL_DATA is no folder" >&2; exit 1; }
    export TUNA_REAL_DATA
fi
cd "$here"
venv=${TUNA_VENV:-.venv}
python=$venv/bin/python

find_python() {
    for p in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if "$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then echo "$p"; return; fi
    done
    echo "tuna_nb needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian: apt install python3-venv); name one with PYTHON=..." >&2
    exit 1
}

setup() {
    want=$({ pwd; cat settings.ini setup.py pyproject.toml; } | cksum)
    if [ -x "$python" ] && [ "$(cat "$venv/tuna-ready" 2>/dev/null)" = "$want" ]; then return; fi
    echo "Installing into $venv: once, some minutes"
    if ! "$python" -m pip --version >/dev/null 2>&1; then base=$(find_python); "$base" -m venv --clear "$venv"; fi
    quiet=-q; if [ -t 1 ]; then quiet=; fi
    # PyTorch first, so that nothing after it chooses another build
    "$python" -m pip show -q torch 2>/dev/null || "$python" -m pip install $quiet torch==2.13.0
    "$python" -m pip install $quiet -e '.[dev]'
    echo "$want" >"$venv/tuna-ready"
}

setup
PATH=$(cd "$venv/bin" && pwd):$PATH; export PATH
case $job in
    mini) exec tuna_mini "$@" ;;
    test) # offline, and one thread for each of the two workers unless told otherwise
        export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=false TUNA_PROGRESS=0 PYTHONUNBUFFERED=1
        export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
        exec python tools/test_nbs.py "$@" ;;
    setup)
        if [ "${1:-}" = --hooks ]; then
            hook=$(git rev-parse --git-path hooks)/pre-commit
            if [ -e "$hook" ] && ! cmp -s tools/pre-commit "$hook"; then
                echo "$hook is there already: add a call of tools/pre-commit to it" >&2
                exit 1
            fi
            mkdir -p "$(dirname "$hook")"
            cp tools/pre-commit "$hook"
            nbdev_install_hooks
        fi
        echo "Ready: $venv" ;;
esac
