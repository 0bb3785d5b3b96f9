"""Tables of torch's functions, made of the rules of distributed tensors, and of what was measured.

``.. torch-functions::`` writes what each function needs, by family; ``.. torch-measured::`` how many functions of
torch's sample database are right, beside those that DTensor's test of the same database expects to fail.
"""

from collections import defaultdict
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

TITLES = {
    "attention": "Attention",
    "entrywise": "Entry by entry",
    "indexing": "Indices and tables",
    "norms": "Normalisations",
    "padding": "Padding, rolling, flipping",
    "products": "Products",
    "random": "Random numbers",
    "reductions": "Sums, extrema, order",
    "resampling": "Resampling",
    "shapes": "Shapes",
    "softmax": "Softmax and losses",
    "whole": "Axes that are whole: matrices, Fourier transforms, recurrences, data-dependent shapes",
    "windows": "Convolutions and poolings",
    "": "The tensor as an object, and lists of tensors: nothing is moved for the call itself",
}
"""Families, by the file of their rules."""

MEASURED: dict[str, tuple[int, int, int, int, int]] = {}
"""By family: functions tested, right in all cases, refused in some; cases right; what DTensor expects to fail."""


def families() -> dict[tuple[str, str], set[str]]:
    """Return names of functions, by the file of their rule and what the rule says of itself."""
    import torch_bridge.tensors
    from torch_bridge.tensors.call import DIRECT, IN_PLACE, RULES, function_name

    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for function, rule in [*RULES.items(), *((f, RULES[fresh]) for f, fresh in IN_PLACE.items() if fresh in RULES)]:
        says = (rule.__doc__ or "").strip().partition("\n")[0]
        found[rule.__module__.rpartition(".")[2], says].add(function_name(function))
    for function in DIRECT:
        found["", ""].add(function_name(function))
    assert torch_bridge.tensors
    return found


def lines_of_functions() -> list[str]:
    """Return the tables of the functions, as reStructuredText."""
    lines: list[str] = []
    found = families()
    for family, title in TITLES.items():
        lines += [f".. rubric:: {title}", "", ".. list-table::", "   :widths: 40 60", ""]
        for (of, says), names in sorted(found.items()):
            if of == family:
                plain = {shown(name) for name in names} - {""}
                lines += [f"   * - {says}", f"     - {', '.join(f'``{name}``' for name in sorted(plain))}"]
        lines.append("")
    return lines


def shown(name: str) -> str:
    """Return how a function is called on the page: methods and functions of one name are one."""
    return "" if " at 0x" in name else name.removeprefix("torch.").removeprefix("Tensor.")


def lines_of_measurements() -> list[str]:
    """Return the table of what was measured, as reStructuredText."""
    heads = ["family", "tested", "right", "refused", "cases right", "DTensor expects to fail"]
    rows = [[family, *map(str, numbers)] for family, numbers in MEASURED.items()]
    totals = [str(sum(column)) for column in zip(*MEASURED.values(), strict=True)]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [heads, *rows, ["all", *totals]]:
        lines += [f"   {'* ' if k == 0 else '  '}- {entry}" for k, entry in enumerate(row)]
    return lines


class Table(SphinxDirective):
    """Writes what a function returns."""

    lines: Any = None

    def run(self) -> list[nodes.Node]:
        """Return the parsed lines."""
        node = nodes.container()
        self.state.nested_parse(StringList(type(self).lines(), self.get_source_info()[0]), 0, node)
        return node.children


class TorchFunctions(Table):
    """Writes the tables of functions."""

    lines = staticmethod(lines_of_functions)


class TorchMeasured(Table):
    """Writes the table of what was measured."""

    lines = staticmethod(lines_of_measurements)


def setup(app: Any) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("torch-functions", TorchFunctions)
    app.add_directive("torch-measured", TorchMeasured)
    return {"parallel_read_safe": True}
