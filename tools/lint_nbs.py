"House rules that nbdev does not check. Prints each breach; the exit status is 1 if there is one."

import ast
import re
import sys
from pathlib import Path

from execnb.nbio import read_nb
from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.process import extract_directives

directives = {
    "default_exp",
    "export",
    "exports",
    "exporti",
    "hide",
    "hide_line",
    "slow",
    "cuda",
    "eval:",
    "echo:",
    "fig-alt:",
    "output:",
    "code-fold:",
    "code-summary:",
    "fig-cap:",
    "label:",
    "warning:",
}
max_width, max_height = 5 * 72, 3 * 72  # points of a figure
in_outputs = {
    "an address": r" at 0x[0-9a-f]+",
    "a path of this machine": r'(^|[\s\'"(=:])/'
    r"(home|tmp|root|Users|private|var|opt|work|usr|mnt|data)/|\b[A-Z]:\\\\",
    "a timing": r"Wall time|CPU times|\bit/s\b|\bs/it\b|\b\d+(\.\d+)? ?ms\b|\b(elapsed|took) \d",
    "a progress bar": r"\d%\|",
}


def text_of(o):
    "Everything a reader would see of one output, as text"
    d = o.get("data", {})
    return "\n".join(
        "".join(t) for t in (o.get("text", ""), *(d[k] for k in d if k.startswith("text/")))
    )


def svg_size(svg):
    "Width and height in points"
    return [
        float(re.search(rf'<svg[^>]*?\b{k}="([\d.]+)pt"', svg, flags=re.DOTALL)[1])
        for k in ("width", "height")
    ]


def lint_title(nb):
    c = nb.cells[0]
    if c.cell_type != "markdown" or not c.source.startswith("# "):
        return (yield 0, "the first cell is not a title")
    for line in c.source.splitlines()[1:]:
        if line.strip() and not line.startswith(">"):
            yield 0, f"title cell holds prose that the docs drop: {line[:40]!r}"


def lint_output(o):
    "One output of one cell"
    if o["output_type"] == "error":
        yield "stored output is an error"
    if o.get("name") == "stderr":
        yield "output on stderr"
    for what, pat in in_outputs.items():
        if m := re.search(pat, text_of(o), flags=re.MULTILINE):
            yield f"{what} in an output: {m[0].strip()!r}"
    d = o.get("data", {})
    if any(k in d for k in ("image/png", "image/jpeg")):
        yield "bitmap figure; use svg"
    if svg := "".join(d.get("image/svg+xml", "")):
        w, h = svg_size(svg)
        if w > max_width or h > max_height:
            yield f"figure of {w / 72:.1f} x {h / 72:.1f} in; at most 5 x 3"
        if "<dc:date>" in svg:
            yield "dated figure; fill outputs with tools/run_nbs.py"


def lint_code(c):
    "One code cell"
    s = c.source
    for d in extract_directives(c, remove=False).keys() - directives:
        yield f"unknown directive {d!r}"
    if re.search(
        r"^\s*#\s*(?!\|)\W?\s*(export|exports|hide|eval:|slow|cuda|default_exp)\b\s*(false)?$",
        s,
        flags=re.MULTILINE,
    ):
        yield "directive without #|"
    if "#| export" in s and re.search(r"^\s*[%!]", s, flags=re.MULTILINE):
        yield "magic or shell command in an exported cell"
    if not re.search(r"^\s*[%!]", s, flags=re.MULTILINE):
        yield from lint_imports(ast.parse(s))
    for o in c.get("outputs", []):
        yield from lint_output(o)


def lint_imports(tree):
    "Imports stand in cells of their own; the last cell's export is the one exception"
    kinds = {isinstance(o, (ast.Import, ast.ImportFrom)) for o in tree.body}
    if len(kinds) == 2 and "nbdev_export" not in ast.unparse(tree):
        yield "import beside other code"
    for o in ast.walk(tree):
        if isinstance(o, ast.ImportFrom) and o.names[0].name == "*":
            yield f"star import of {o.module}"


def lint(p):
    nb = read_nb(p)
    if not nb.cells:
        return (yield 0, "empty notebook")
    yield from lint_title(nb)
    code = [c for c in nb.cells if c.cell_type == "code"]
    if not code or "nbdev_export(" not in code[-1].source:
        yield len(nb.cells) - 1, "last cell does not export"
    if not any(c.get("outputs") for c in code):
        yield 0, "no stored outputs: run tools/run_nbs.py"
    for i, c in enumerate(nb.cells):
        if "id" not in c:
            yield i, "cell has no id"
        if c.cell_type == "code":
            for msg in lint_code(c):
                yield i, msg


def lint_modules(lib):
    "Every module comes from a notebook that still exists"
    for p in sorted(lib.rglob("*.py")):
        if p.name in ("__init__.py", "_modidx.py"):
            continue
        src = re.search(
            r"DO NOT EDIT! File to edit: (\S+)\.$",
            p.read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )
        if not src or not (p.parent / src[1]).exists():
            yield f"{p.relative_to(lib.parent)}: no notebook exports it"


if __name__ == "__main__":
    cfg = get_config()
    bad = [
        f"{p.relative_to(cfg.config_path)} cell {i}: {m}"
        for p in [Path(o).absolute() for o in sys.argv[1:]] or sorted(nbglob(as_path=True))
        for i, m in lint(p)
    ]
    bad += lint_modules(cfg.lib_path)
    for o in bad:
        print(o)
    sys.exit(bool(bad))
