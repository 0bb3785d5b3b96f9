"""A table of torch's functions, made of the rules of distributed tensors: ``.. torch-functions::``."""

from collections import defaultdict
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


def families() -> dict[tuple[str, str], set[str]]:
    """Return names of functions, by the file of their rule and what the rule says of itself."""
    import torch_bridge.tensors
    from torch_bridge.tensors.call import DIRECT, IN_PLACE, RULES, function_name

    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for function, rule in RULES.items():
        family = rule.__module__.rpartition(".")[2]
        says = (rule.__doc__ or "").strip().partition("\n")[0]
        found[family, says].add(function_name(function))
    for function, fresh in IN_PLACE.items():
        rule = RULES.get(fresh)
        if rule is not None:
            family, says = rule.__module__.rpartition(".")[2], (rule.__doc__ or "").strip().partition("\n")[0]
            found[family, says].add(function_name(function))
    for function in DIRECT:
        found["~", "These need nothing to be moved."].add(function_name(function))
    assert torch_bridge.tensors
    return found


class TorchFunctions(SphinxDirective):
    """Writes the tables."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each family."""
        lines: list[str] = []
        for family in sorted({family for family, _ in families()}):
            lines += [
                f".. rubric:: {'what is not of numbers' if family == '~' else family}",
                "",
                ".. list-table::",
                "   :widths: 40 60",
                "",
            ]
            for (of, says), names in sorted(families().items()):
                if of == family:
                    plain = sorted(
                        {name.removeprefix("torch.").removeprefix("Tensor.") for name in names if " at 0x" not in name}
                    )
                    lines += [
                        f"   * - {says or 'its own composition'}",
                        f"     - {', '.join(f'``{name}``' for name in plain)}",
                    ]
            lines.append("")
        node = nodes.container()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), 0, node)
        return node.children


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("torch-functions", TorchFunctions)
    return {"parallel_read_safe": True}
