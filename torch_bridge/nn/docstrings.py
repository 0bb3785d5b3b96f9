"""What a family of layers says of its parameters, in the docstring of each of its layers."""

from __future__ import annotations

import inspect
from typing import TypeVar

C = TypeVar("C", bound=type)

BEGIN, END = "Parameters\n----------", "Examples\n--------"


def documented(layer: C) -> C:
    """Put the sections of a family's docstring between the words and the example of one of its classes.

    There, `help` and the reference show them, and they are written once.

    Parameters
    ----------
    layer : type
        A final class, whose base, or one of its bases, documents the parameters.

    Returns
    -------
    type
        The same class.

    Examples
    --------
    >>> from torch_bridge.nn.pool import MaxPool, MaxPool2d
    >>> kernel = "kernel_size, stride, padding"
    >>> kernel in MaxPool.__doc__ and kernel in MaxPool2d.__doc__
    True
    """
    if layer.__doc__:  # optimised code has none
        told = (inspect.cleandoc(base.__doc__ or "") for base in layer.__mro__[1:])
        family = next(text for text in told if BEGIN in text)
        words, _, example = inspect.cleandoc(layer.__doc__).partition(END)
        sections = BEGIN + family.partition(BEGIN)[2].partition(END)[0]
        rest = [END + example] if example else []
        layer.__doc__ = "\n\n".join([words.rstrip(), sections.rstrip(), *rest])
    return layer
