"""Modules import downwards only, and never in a circle; imports inside functions count too.

A module may import from lower layers and from its own. A new module belongs into `LAYERS`. The
exit status is 1 if an import points upwards, 2 if a module has no layer.
"""

import ast
import sys
from pathlib import Path

PACKAGE = "tuna_nb"

# Folders and modules from the lowest layer to the highest
LAYERS = [
    ["utils", "paper.numbers"],
    ["models", "judge", "training"],
    ["formats"],
    ["data", "loss", "loss_explorer", "losses"],
    ["benchmarks", "scoring", "prob_ranking", "diverse_sampling", "contextual_ranking"],
    ["pairwise_ranking", "sliding_windows", "weighted_pairs", "train"],
    ["reward_model", "reward_backend"],
    ["eval"],
    ["paper"],
    ["experiments"],
    ["ablations"],
    ["mini"],
    ["commands"],
]

# Its folder's modules may not import each other across these
ROOMS = ("models", "judge", "training")


def layer_of(module):
    "Number of the layer of a module, by its full name or the folder that it lies in"
    for name in (module, module.partition(".")[0]):
        for number, layer in enumerate(LAYERS):
            if name in layer:
                return number
    return None


def imports_of(path, module, modules):
    "Modules of the package that a file imports, with the line of the import"
    folder = module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if node.level:
                base = folder[: len(folder) - node.level + 1]
                name = ".".join([*base, name] if name else base)
            elif name == PACKAGE or name.startswith(f"{PACKAGE}."):
                name = name[len(PACKAGE) + 1 :]
            else:
                continue
            for alias in node.names:
                inner = f"{name}.{alias.name}" if name else alias.name
                found = inner if inner in modules else name
                if found in modules:
                    yield found, node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name.removeprefix(f"{PACKAGE}.")
                if name != alias.name and name in modules:
                    yield name, node.lineno


def find_circle(imports):
    "Modules that import each other in a loop, [] if there are none"
    done = set()

    def visit(module, path):
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(imports[module]):
            circle = visit(other, [*path, module])
            if circle:
                return circle
        done.add(module)
        return []

    for module in sorted(imports):
        circle = visit(module, [])
        if circle:
            return circle
    return []


def main():
    root = Path(__file__).parent.parent / PACKAGE
    files = {}
    for path in sorted(root.rglob("*.py")):
        if not path.name.startswith("_"):
            files[".".join(path.relative_to(root).with_suffix("").parts)] = path
    homeless = [module for module in files if layer_of(module) is None]
    for module in homeless:
        print(f"{module} has no layer: add it to LAYERS of tools/check_layers.py")
    if homeless:
        return 2
    faults = []
    imports = {module: set() for module in files}
    for module, path in files.items():
        own, room = layer_of(module), module.partition(".")[0]
        for other, line in imports_of(path, module, files):
            imports[module].add(other)
            where = f"{path.relative_to(root.parent)}:{line}"
            other_room = other.partition(".")[0]
            if layer_of(other) > own:
                faults.append(f"{where}: {module} imports {other}, which lies above it")
            elif room in ROOMS and other_room in ROOMS and room != other_room:
                faults.append(f"{where}: {module} imports {other} of a neighbouring folder")
    circle = find_circle(imports)
    if circle:
        faults.append(f"a circle of imports: {' -> '.join(circle)}")
    for fault in faults:
        print(fault)
    print(f"{len(files)} modules, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
