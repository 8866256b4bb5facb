"""All of the docs build up to Quarto: nbdev's processors, then what the site would show a reader.

The sidebar lists each page once; every page has a title and a description; every link inside the
site leads to a page, and to a heading of it where it names one; every picture exists. Links of
README.md, CONTRIBUTING.md and recipes/ are checked against the files of the repository.
`--self-test` shows that broken pages are found.
"""

import os
import re
import sys
import unicodedata
import warnings

os.environ.update(HF_HUB_OFFLINE="1", TUNA_PROGRESS="0")
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import yaml
from execnb.nbio import mk_cell, new_nb, read_nb
from fastcore.xtras import working_directory
from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.processors import FilterDefaults
from nbdev.quarto import refresh_quarto_yml


def pages(contents):
    "The sidebar's pages in reading order"
    for o in contents:
        if isinstance(o, str):
            yield o
        else:
            yield from pages(o["contents"])


def check_sidebar(cfg, files):
    link = cfg.nbs_path / "_quarto.yml"
    if not link.is_symlink() or os.readlink(link) != "../_quarto.yml":
        yield "nbs/_quarto.yml is not a link to ../_quarto.yml"
    shown = list(
        pages(yaml.safe_load(link.read_text(encoding="utf-8"))["website"]["sidebar"]["contents"])
    )
    have = [p.relative_to(cfg.nbs_path).as_posix() for p in files]
    yield from (f"_quarto.yml: the sidebar lacks {o}" for o in have if o not in shown)
    yield from (
        f"_quarto.yml: the sidebar has {o}, which does not exist" for o in shown if o not in have
    )
    yield from (
        f"_quarto.yml: the sidebar has {o} twice" for o in {o for o in shown if shown.count(o) > 1}
    )


# What a page says


def markdown_of(nb):
    "All Markdown and HTML of a processed notebook that a reader sees"
    for c in nb.cells:
        if c.cell_type == "markdown":
            yield c.source
        for o in c.get("outputs", []):
            for kind in ("text/markdown", "text/html"):
                yield "".join(o.get("data", {}).get(kind, ""))


def bare(md):
    "Markdown without code, formulas and comments, in which nothing is a link or a heading"
    md = re.sub(r"(?ms)^(```+|~~~+).*?^\1\s*$|<!--.*?-->|<style>.*?</style>", "", md)
    return re.sub(r"\$\$.*?\$\$|(?<!\\)\$[^$\n]+\$", "", md, flags=re.DOTALL)


def slug(title):
    "The identifier that pandoc gives a heading"
    t = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    t = re.sub(r"[`*]|<[^>]+>", "", t)
    t = "".join(c for c in unicodedata.normalize("NFC", t.lower()) if c.isalnum() or c in "_-. \t")
    return re.sub(r"^[^a-zà-ɏα-ω]+", "", re.sub(r"\s+", "-", t.strip())) or "section"


def anchors(texts):
    "All that a link into a page may name"
    seen, out = {}, set()
    for md in texts:
        out |= set(re.findall(r'\bid="([^"]+)"', md))
        for title in re.findall(r"(?m)^#{1,6}\s+(.+?)\s*$", bare(md)):
            if m := re.search(r"\{[^}]*#([\w.-]+)[^}]*\}", title):
                out.add(m[1])
                continue
            s = slug(re.sub(r"\s*\{[^}]*\}$", "", title))
            out.add(f"{s}-{seen[s]}" if s in seen else s)
            seen[s] = seen.get(s, 0) + 1
    return out


def links(texts):
    "Targets of links and of pictures"
    for md in texts:
        code_free = re.sub(r"(`+).*?\1", lambda m: "`x`", bare(md), flags=re.DOTALL)
        yield from re.findall(r'\]\(\s*<?([^()\s>]+)>?(?:\s+"[^"]*")?\s*\)', code_free)
        yield from re.findall(r'\b(?:href|src)="([^"]+)"', md)


nested = re.compile(r"\[[^\[\]]*(?<!!)\[[^\]]*\]\([^)]*\)[^\[\]]*\]\(")  # but for a picture
in_code = re.compile(r"\[`[^`]+`\]\(https?://[^)]+\)")


def bad_links(name, texts, code=()):
    "Links inside links, and links in code, both of which a reader sees as raw Markdown"
    for md in texts:
        for m in nested.finditer(bare(md)):
            yield f"{name}: a link inside a link: {m[0][:70]}"
        for fence in re.findall(r"(?ms)^(?:```+|~~~+).*?^(?:```+|~~~+)\s*$", md):
            code = [*code, fence]
    for source in code:
        for m in in_code.finditer(source):
            yield f"{name}: a link in code: {m[0][:70]}"


def notebook_of(html):
    "The notebook of a page; nbdev leaves out the number that its name begins with"
    return next(
        (
            p
            for p in html.parent.glob("*.ipynb")
            if re.sub(r"^\d+[a-zA-Z0-9]*_", "", p.stem) == html.stem
        ),
        html,
    )


def check_links(page, texts, top, anchors_of, site=()):
    "Links of one page that lead nowhere; `site` are addresses that are pages of this site, too"
    for url in links(texts):
        for base in site:
            if url.startswith(base):
                url = os.path.relpath(top / url.removeprefix(base), page.parent)
        if re.match(r"[a-z][a-z0-9+.-]*:|//", url, flags=re.I):
            continue
        path, _, at = unquote(url).partition("#")
        target = page if not path else (page.parent / path).resolve()
        if target.suffix == ".html" and not target.exists():
            target = notebook_of(target)
        if not target.exists():
            yield f"{page.name}: {url} leads nowhere"
        elif site and top not in target.parents:
            yield f"{page.name}: {url} leaves the site"
        elif at and target.suffix in (".ipynb", ".md") and at not in anchors_of(target):
            yield f"{page.name}: {url}: no such heading"


# A notebook on its way to the site


@lru_cache(None)
def processed(p):
    "The notebook as Quarto gets it, or why not"
    nb = read_nb(p)
    with working_directory(p.parent):
        FilterDefaults()(nb)
    return nb


def check_page(p):
    """What keeps a page from being built

    The docs build runs the cells with imports and exports: those hold nothing else, and each
    documented name comes out.
    """
    try:
        nb = processed(p)
    except Exception as e:
        return (yield f"{p.name}: {e} {e.__cause__ or ''}")
    for c in nb.cells:
        if (
            c.cell_type == "code"
            and re.search(r"^show_doc\(", c.source, flags=re.MULTILINE)
            and not c.get("outputs")
        ):
            yield f"{p.name}: no documentation from {c.source.splitlines()[-1]}"
    code = [c.source for c in nb.cells if c.cell_type == "code" and "echo: false" not in c.source]
    yield from bad_links(p.name, markdown_of(nb), code)
    yield from check_title(p.name, getattr(nb, "frontmatter_", {}))


def read_pages(files):
    "For each page what is wrong with it by itself, and its texts"
    found = []
    for p in files:
        faults = list(check_page(p))
        found.append((p, faults, [] if faults else list(markdown_of(processed(p)))))
        print(p.stem, flush=True)
    return found


def check_title(name, front):
    for k in ("title", "description"):
        if not str(front.get(k) or "").strip():
            yield f"{name}: no {k}"


def check_all_links(texts_of, cfg):
    "Links of all pages, of the README and of the recipes that lead nowhere"

    @lru_cache(None)
    def anchors_of(p):
        return anchors(texts_of[p] if p in texts_of else [p.read_text(encoding="utf-8")])

    site = [f"{cfg.doc_host}{cfg.doc_baseurl}/"]
    for p, texts in texts_of.items():
        yield from check_links(p, texts, cfg.nbs_path, anchors_of, site)
    root = cfg.config_path
    for p in root / "README.md", root / "CONTRIBUTING.md", *(root / "recipes").glob("*.md"):
        yield from check_links(p, [p.read_text(encoding="utf-8")], root, anchors_of)


def self_test(tmp):
    "Each kind of breach is found, and what is right is not"
    (tmp / "a.ipynb").write_text("")
    (tmp / "pic.svg").write_text("")
    texts = [
        "# One\n\n## Two words, *three*\n\n## Two words, three\n\n"
        '[x](a.ipynb#here) ![p](pic.svg) `[no](link)` <a id="q"></a>',
        "```\n[no](either)\n```\n$[a](b)$",
    ]
    got = anchors(texts)
    assert got == {"one", "two-words-three", "two-words-three-1", "q"}, got
    assert slug("`name` & 2. β") == "name-2.-β" and slug("06") == "section"

    def find(*texts):
        page = tmp / "page.ipynb"
        found = check_links(page, texts, tmp, lambda path: {"here"}, ["https://me/"])
        return [fault.split(": ", 1)[1] for fault in found]

    assert find(*texts) == [], find(*texts)
    assert find("[x](b.ipynb) ![p](none.svg)") == [
        "b.ipynb leads nowhere",
        "none.svg leads nowhere",
    ]
    assert find("[x](a.ipynb#there)", "[y](https://me/a.html#there)") == [
        "a.ipynb#there: no such heading",
        "a.html#there: no such heading",
    ]
    assert find("[x](../up.md)") == ["../up.md leads nowhere"] and find('<img src="gone.png">') == [
        "gone.png leads nowhere"
    ]
    raw = ["[[`a`](x)](y)\n\n[`b`](z)", "```\n# [`c`](https://w)\n```"]
    assert len(list(bad_links("p", raw, ["x = 1 # [`d`](https://v)"]))) == 3
    assert list(bad_links("p", ["[`b`](z) ![p](q) [[1](a)] [![pic](a)](b)"], ["a[0](b)"])) == []
    assert list(check_title("p", {"title": "T", "description": " "})) == ["p: no description"]
    nb = new_nb([mk_cell("# T\n\n> D"), mk_cell("text", cell_type="markdown")])
    assert list(markdown_of(nb))[-1] == "text"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as d:
        self_test(Path(d).resolve())
    if "--self-test" in sys.argv:
        sys.exit(0)
    warnings.filterwarnings("error", message="Found cells containing imports")
    cfg, files = get_config(), [p.resolve() for p in sorted(nbglob(as_path=True))]
    sys.path.insert(0, str(cfg.config_path))
    refresh_quarto_yml()
    bad = list(check_sidebar(cfg, files))
    texts_of = {}
    # One task for each process: a notebook that has run is the process's main module from then on
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(read_pages, [files[::2], files[1::2]]):
            for p, faults, texts in found:
                bad += faults
                texts_of[p] = texts
    if not bad:  # links need all pages
        bad += check_all_links(texts_of, cfg)
    for o in bad:
        print(o)
    sys.exit(bool(bad))
