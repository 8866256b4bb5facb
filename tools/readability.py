"""How dense is the code, and how do the notebooks read? Prints each measure beside its goal.

    python tools/readability.py            # the table
    python tools/readability.py --places   # and where each missed measure is worst

The exit status is 1 if a measure is worse than its limit: the goal or, where that is not reached
yet, the value of today, so that nothing gets worse.
"""

import ast
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# measure: (goal, what the best of fastcore, miniai, claudette, nanochat, trl, torchtune have)
GOALS = {
    "comprehensions / 100 lines": (4.5, "0.3 to 4.5"),
    "nested comprehensions / 100 lines": (0.2, "0 to 0.2"),
    "lambdas / 100 lines": (0.5, "0.02 to 0.5"),
    "lambdas bound to a name": (0, "0 to 5"),
    "one-letter assignment targets, %": (25, "4 to 35"),
    "lines over 100 characters, %": (1, "1 to 11"),
    "tuple assignments / 100 lines": (0.6, "0.1 to 1.2"),
    "calls with 6 or more positional arguments / 1000": (2, "0.8 to 7"),
    "private top-level definitions used once": (120, "few"),
    "private names imported from another module": (0, "0"),
    "private top-level names defined in 2 or more modules": (10, "few"),
    "semicolons": (0, "0"),
    "import circles": (0, "0"),
    "longest function body, lines": (40, "20 to 100"),
    "chapters: code cells with an output, % (lowest chapter)": (40, "58 to 70"),
    "chapters: most cells in one": (110, "60 to 120"),
    "chapters without a figure or diagram": (0, "0"),
    "chapters without an exercise": (0, "0"),
}

# goals that are not reached yet, with the value that nothing may be worse than
LIMITS = {
    "chapters: code cells with an output, % (lowest chapter)": 13,
    "chapters: most cells in one": 118,
    "chapters without a figure or diagram": 3,
    "chapters without an exercise": 7,
}


def is_source(path):
    return not path.name.startswith("_modidx") and path.name != "__init__.py"


def count_lines(text):
    return [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def body_length(function, lines):
    first = function.body[0]
    start = (
        function.body[1].lineno
        if ast.get_docstring(function) and len(function.body) > 1
        else first.lineno
    )
    return len([line for line in lines[start - 1 : function.end_lineno] if line.strip()])


def find_circles(imports):
    "Modules that import each other in a loop, imports inside functions included"
    circles, done = set(), set()

    def visit(module, path):
        if module in path:
            circles.add(tuple(sorted(path[path.index(module) :])))
            return
        if module in done:
            return
        for other in imports.get(module, ()):
            visit(other, path + [module])
        done.add(module)

    for module in imports:
        visit(module, [])
    return circles


def imported_modules(node, package, module, modules):
    "Full names of the package's modules that an import statement names"
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names if alias.name in modules}
    if node.level:
        base = module.split(".")[: -node.level] if node.level else []
        base = ".".join(base + ([node.module] if node.module else []))
    else:
        base = node.module or ""
    if not base.startswith(package):
        return set()
    found = {f"{base}.{alias.name}" for alias in node.names} & modules
    return found or ({base} & modules)


def measure_code(root, package):
    counts, places = Counter(), defaultdict(list)
    files = [path for path in sorted((root / package).rglob("*.py")) if is_source(path)]
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in files}
    modules, imports, privates = set(names.values()), defaultdict(set), defaultdict(list)

    def where(path, node):
        return f"{path.relative_to(root)}:{node.lineno}"

    for path in files:
        text = path.read_text(encoding="utf-8")
        tree, lines = ast.parse(text), text.splitlines()
        code = count_lines(text)
        counts["lines"] += len(code)
        counts["long"] += sum(len(line) > 100 for line in code)
        for node in tree.body:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and node.name.startswith("_"):
                privates[node.name].append(path)
                if len(re.findall(rf"\b{node.name}\b", text)) == 2:
                    counts["used once"] += 1
        for node in ast.walk(tree):
            if isinstance(node, COMPREHENSIONS):
                counts["comprehensions"] += 1
                inner = [
                    o for o in ast.walk(node) if o is not node and isinstance(o, COMPREHENSIONS)
                ]
                if inner or len(node.generators) > 1:
                    counts["nested"] += 1
                    places["nested comprehensions / 100 lines"].append(where(path, node))
            elif isinstance(node, ast.Lambda):
                counts["lambdas"] += 1
            elif isinstance(node, ast.Assign):
                if isinstance(node.value, ast.Lambda):
                    counts["bound lambdas"] += 1
                    places["lambdas bound to a name"].append(where(path, node))
                if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                    counts["tuples"] += 1
            elif isinstance(node, ast.Call):
                counts["calls"] += 1
                if len([a for a in node.args if not isinstance(a, ast.Starred)]) >= 6:
                    counts["positional"] += 1
                    places["calls with 6 or more positional arguments / 1000"].append(
                        where(path, node)
                    )
            elif isinstance(node, FUNCTIONS):
                length = body_length(node, lines)
                if length > counts["longest"]:
                    counts["longest"], places["longest function body, lines"] = (
                        length,
                        [where(path, node)],
                    )
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                counts["targets"] += 1
                counts["one letter"] += len(node.id) == 1 and node.id != "_"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports[names[path]] |= imported_modules(node, package, names[path], modules) - {
                    names[path]
                }
            if isinstance(node, ast.ImportFrom) and (
                node.level or (node.module or "").startswith(package)
            ):
                hidden = [
                    a.name
                    for a in node.names
                    if a.name.startswith("_") and not a.name.startswith("__")
                ]
                counts["private imports"] += len(hidden)
                places["private names imported from another module"] += [where(path, node)] * bool(
                    hidden
                )
        statements = re.sub(r"(\"\"\"|''')[\s\S]*?\1|(\"|').*?\2|#.*", "", text)
        counts["semicolons"] += statements.count(";")
    shared = [name for name, where_defined in privates.items() if len(set(where_defined)) > 1]
    circles = find_circles(imports)
    places["import circles"] = [" <-> ".join(circle) for circle in circles]
    lines = counts["lines"]
    return {
        "comprehensions / 100 lines": 100 * counts["comprehensions"] / lines,
        "nested comprehensions / 100 lines": 100 * counts["nested"] / lines,
        "lambdas / 100 lines": 100 * counts["lambdas"] / lines,
        "lambdas bound to a name": counts["bound lambdas"],
        "one-letter assignment targets, %": 100 * counts["one letter"] / counts["targets"],
        "lines over 100 characters, %": 100 * counts["long"] / lines,
        "tuple assignments / 100 lines": 100 * counts["tuples"] / lines,
        "calls with 6 or more positional arguments / 1000": 1000
        * counts["positional"]
        / counts["calls"],
        "private top-level definitions used once": counts["used once"],
        "private names imported from another module": counts["private imports"],
        "private top-level names defined in 2 or more modules": len(shared),
        "semicolons": counts["semicolons"],
        "import circles": len(circles),
        "longest function body, lines": counts["longest"],
    }, places


def measure_chapters(root):
    shares, sizes, plain, idle = {}, {}, [], []
    for path in sorted((root / "nbs").glob("0[0-9]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
        shown = [
            c
            for c in code
            if not re.search(r"^#\|\s*(hide|export\b|default_exp)", "".join(c["source"]), re.M)
        ]
        shares[path.name] = (
            100 * sum(bool(cell.get("outputs")) for cell in shown) / max(1, len(shown))
        )
        sizes[path.name] = len(cells)
        pictured = any(
            any("image" in kind for kind in output.get("data", {}))
            for cell in code
            for output in cell.get("outputs", [])
        )
        if not (pictured or "![" in text or "```{mermaid}" in text):
            plain.append(path.name)
        if not re.search(r"^#+ .*(exercise|try it)", text, re.M | re.I):
            idle.append(path.name)
    lowest, largest = min(shares, key=shares.get), max(sizes, key=sizes.get)
    return {
        "chapters: code cells with an output, % (lowest chapter)": shares[lowest],
        "chapters: most cells in one": sizes[largest],
        "chapters without a figure or diagram": len(plain),
        "chapters without an exercise": len(idle),
    }, {
        "chapters: code cells with an output, % (lowest chapter)": [
            f"{k} {v:.0f}" for k, v in shares.items()
        ],
        "chapters: most cells in one": [f"{k} {v}" for k, v in sizes.items()],
        "chapters without a figure or diagram": plain,
        "chapters without an exercise": idle,
    }


def main():
    root = Path(__file__).parent.parent
    measures, places = measure_code(root, "tuna_nb")
    chapters, chapter_places = measure_chapters(root)
    measures.update(chapters)
    places.update(chapter_places)
    met, worse = 0, []
    for name, (goal, others) in GOALS.items():
        value = measures[name]
        sign = -1 if "with an output" in name else 1  # the one measure that should be large
        reached = sign * value <= sign * goal
        met += reached
        if sign * value > sign * LIMITS.get(name, goal):
            worse.append(name)
        mark = "ok  " if reached else "MISS"
        print(f"{mark} {name:58s} {value:8.1f}   goal {goal:g}   others {others}")
        if "--places" in sys.argv and not reached:
            for place in places.get(name, [])[:12]:
                print("       ", place)
    print(f"{met} of {len(GOALS)} goals reached")
    for name in worse:
        print(f"{name}: {measures[name]:.1f} is worse than {LIMITS.get(name, GOALS[name][0]):g}")
    return bool(worse)


if __name__ == "__main__":
    sys.exit(main())
