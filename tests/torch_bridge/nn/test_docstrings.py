"""What a family says of its parameters, each of its layers says."""

import inspect

import pytest

from torch_bridge import nn
from torch_bridge.nn.docstrings import documented

pytestmark = pytest.mark.serial


def test_every_parameter_is_in_the_docstring() -> None:
    """Of every layer: those of its family as well as its own."""
    layers = [layer for name in nn.__all__ if inspect.isclass(layer := getattr(nn, name))]
    assert len(layers) > 40
    for layer in layers:
        told = (inspect.getdoc(layer) or "").partition("Parameters\n")[2].partition("Examples\n")[0]
        words = told.replace(",", " ").replace("*", "").split()
        assert set(inspect.signature(layer).parameters) <= set(words), layer


def test_words_sections_example() -> None:
    """The sections of the family stand between the words and the example of the layer; without docstrings, nothing."""

    class Family:
        """A family.

        Parameters
        ----------
        p : float
            The same for all.

        Examples
        --------
        Of the family.
        """

    @documented
    class Member(Family):
        """One of them.

        Examples
        --------
        Of this one.
        """

    @documented
    class Plain(Member):
        """Another one."""

    class Silent(Family):
        pass

    Silent.__doc__ = None
    sections = "Parameters\n----------\np : float\n    The same for all."
    assert Member.__doc__ == f"One of them.\n\n{sections}\n\nExamples\n--------\nOf this one."
    assert Plain.__doc__ == f"Another one.\n\n{sections}"
    assert documented(Silent).__doc__ is None
