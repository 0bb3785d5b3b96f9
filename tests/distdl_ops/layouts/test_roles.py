"""A role knows its own geometry: nobody asks which class it is."""

import ast
from pathlib import Path

import pytest

import distdl_ops
from distdl_ops import At, Copies, Replicated, Role, Split
from distdl_ops.movement.movement import NAMES, name_of_pair

pytestmark = pytest.mark.serial

ROLES = {"At", "Split", "Copies", "Replicated", "Cyclic"}


def asked(node: ast.AST) -> bool:
    """Say whether an expression is a question after the class of a role."""
    is_question = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
    return is_question and bool(ROLES & {name.id for name in ast.walk(node) if isinstance(name, ast.Name)})


def test_only_the_table_of_names_knows_the_classes_of_roles() -> None:
    """No other file of the package asks ``isinstance`` of a role: a new one is one file."""
    folder = Path(distdl_ops.__file__).parent
    files = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        if any(map(asked, ast.walk(ast.parse(path.read_text()))))
    }
    assert files == set()


class Mine(Role):
    """A role of one's own that splits the first tensor axis."""

    axis = 0


@pytest.mark.parametrize("other", [At(0), Split(1), Copies(), Replicated()])
def test_a_role_that_splits_has_the_names_of_a_split(other: Role) -> None:
    """Whatever its class: movements from it and to it are called as those of `Split`."""
    assert name_of_pair(Mine(), other) == NAMES[Split, type(other)]
    assert name_of_pair(other, Mine()) == NAMES[type(other), Split]
