"""The page of torch's functions is made of the rules, and has all of them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("torch")
pytestmark = pytest.mark.serial


@pytest.fixture(scope="module")
def page() -> ModuleType:
    path = Path(__file__).parents[2] / "docs" / "_ext" / "functions.py"
    spec = importlib.util.spec_from_file_location("functions_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_function_is_on_the_page(page: ModuleType) -> None:
    """Every function that has a rule, changes its argument by one, or is called as it is, has a place in a table."""
    from torch_bridge.tensors.call import DIRECT, IN_PLACE, RULES, function_name

    text = "\n".join(page.lines_of_functions())
    for function in [*RULES, *DIRECT, *(f for f, fresh in IN_PLACE.items() if fresh in RULES)]:
        name = page.shown(function_name(function))
        assert not name or f"``{name}``" in text, name


def test_each_rule_says_what_it_needs(page: ModuleType) -> None:
    """Each family has a title, and each rule a sentence."""
    for family, says in page.families():
        assert family in page.TITLES
        assert says or not family, sorted(page.families()[family, says])


def test_the_measurements_are_of_all_functions(page: ModuleType) -> None:
    """What is right is tested, and nothing is neither right nor refused."""
    assert page.MEASURED
    for tested, right, refused, _, _ in page.MEASURED.values():
        assert right <= tested <= right + refused
