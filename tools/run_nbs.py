"""Run notebooks top to bottom in place, so that stored outputs are what a fresh run gives.

Cells that `nbdev_test` skips keep their outputs. Run twice, the bytes are the same.
"""

import os
import re
import sys
from pathlib import Path

os.environ.update(
    HF_HUB_OFFLINE="1",
    TUNA_PROGRESS="0",
    TOKENIZERS_PARALLELISM="false",
    HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
)

from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from fastcore.script import Param, call_parse
from fastcore.xtras import working_directory
from nbdev.clean import clean_nb
from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.process import extract_directives

svg_date = re.compile(r"\s*<dc:date>.*?</dc:date>", flags=re.DOTALL)


def is_skipped(c, flags):
    "Would `nbdev_test` leave cell `c` out?"
    if c.cell_type != "code" or "nbdev_export(" in c.source:
        return True
    d = extract_directives(c, remove=False)
    return d.get("eval:", [""])[0].lower() == "false" or bool(flags & d.keys())


def undate(c):
    "Take the date of drawing out of figures"
    for o in c.get("outputs", []):
        d = o.get("data", {})
        if "image/svg+xml" in d:
            d["image/svg+xml"] = svg_date.sub("", "".join(d["image/svg+xml"])).splitlines(
                keepends=True
            )


def run_nb(p, flags):
    nb = read_nb(p)
    sh = CaptureShell(p, mpl_format="svg")
    sh._run(
        "import matplotlib\n"
        "matplotlib.rcdefaults()\n"
        "matplotlib.rcParams['svg.hashsalt'] = 'tuna_nb'\n"
        "del matplotlib"
    )  # settings of the notebook before do not stay
    for c in nb.cells:
        if not is_skipped(c, flags):
            c.outputs = []
    with working_directory(p.parent):
        sh.run_all(nb, exc_stop=True, preproc=lambda c: is_skipped(c, flags))
    for c in nb.cells:
        undate(c)
    clean_nb(nb)
    write_nb(nb, p)


@call_parse
def main(
    paths: Param("Notebooks; all of them if none is named", str, nargs="*"),
    flags: str = "",  # Test flags to run too, such as slow
):
    "Run notebooks in place and store what they print"
    cfg = get_config()
    sys.path.insert(0, str(cfg.config_path))
    skip = set(cfg.tst_flags.split()) - set(flags.split())
    for p in [Path(o).absolute() for o in paths] or sorted(nbglob(as_path=True)):
        run_nb(p, skip)
        print(p.name, flush=True)
