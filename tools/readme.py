"Write README.md from nbs/index.ipynb without Quarto. `--check` only compares."

import os
import re
import sys

from execnb.nbio import read_nb
from nbdev.config import get_config
from nbdev.processors import FilterDefaults, add_links


class Readme(FilterDefaults):
    "The site's processors, less the links to its pages"

    def base_procs(self):
        return [o for o in super().base_procs() if o is not add_links]

    def xtra_procs(self):
        return []


def relink(s, folder):
    "Relative targets of links, seen from the top folder"

    def f(m):
        return (
            m[0]
            if re.match(r"\w+:|#", m[2])
            else f"{m[1]}({os.path.normpath(os.path.join(folder, m[2]))})"
        )

    return re.sub(r"(\])\(([^()\s]+)\)", f, s)


def out2md(o):
    d = o.get("data", {})
    if "text/markdown" in d:
        return "".join(d["text/markdown"])
    if "image/svg+xml" in d:
        raise SystemExit(
            "README: a figure in a cell of index.ipynb has no file to link to; "
            "use ![](images/name.svg)"
        )
    text = "".join(o.get("text") or d.get("text/plain", [])).rstrip()
    return "".join("    " + line for line in text.splitlines(keepends=True))


def cell2md(c, folder):
    if c.cell_type == "raw":
        return ""
    if c.cell_type == "markdown":
        return relink(c.source, folder)
    src = "\n".join(line for line in c.source.splitlines() if not line.startswith("#|"))
    shown = [] if "#| echo: false" in c.source else [f"```python\n{src}\n```"]
    return "\n\n".join([*shown, *filter(None, map(out2md, c.get("outputs", [])))])


def readme():
    cfg = get_config()
    nb = read_nb(cfg.nbs_path / cfg.readme_nb)
    Readme()(nb)
    fm = nb.frontmatter_
    head = f"# {fm['title']}\n\n{fm.get('description', '')}".rstrip()
    return (
        "\n\n".join(
            o for o in [head] + [cell2md(c, cfg.nbs_path.name).strip("\n") for c in nb.cells] if o
        )
        + "\n"
    )


if __name__ == "__main__":
    p, txt = get_config().config_path / "README.md", readme()
    if "--check" in sys.argv:
        sys.exit(
            0
            if p.read_text(encoding="utf-8") == txt
            else "README.md is out of date: run tools/readme.py"
        )
    p.write_text(txt, encoding="utf-8")
