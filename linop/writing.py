"""How expressions of any depth are written: as texts, and as formulas.

A function that calls itself for the parts of an expression would be as deep as that. `text` makes functions of which
each class registers its own, as `functools.singledispatch` does; what is registered returns a text, or texts and
operators in the order in which they are written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from linop.keyed import Keyed

F = TypeVar("F", bound=Callable[..., Any])


class Register(Protocol):
    """What registers a function for a class: the one that is given, or that its first argument's annotation names."""

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(self, kind: type, function: F, /) -> F: ...


class Plus(str):
    """Between two terms: it becomes a minus where the next one begins with it."""

    __slots__ = ()


PLUS = Plus(" + ")

Pieces: TypeAlias = Iterable[str | Keyed]
"""How an expression is written: texts, and operators between them."""


def written(operator: Any, pieces_of: Callable[[Any], str | Pieces]) -> str:
    """Return how an expression is written, in time that depends on the length of the text only."""
    texts: list[str] = []
    waiting: list[Iterator[str | Any]] = [iter((operator,))]
    while waiting:
        piece = next(waiting[-1], None)
        if piece is None:
            waiting.pop()
            continue
        if not isinstance(piece, str):
            found = pieces_of(piece)
            if not isinstance(found, str):
                waiting.append(iter(found))
                continue
            piece = found
        if texts and type(texts[-1]) is Plus and piece.startswith("-"):
            texts[-1], piece = " - ", piece[1:]
        texts.append(piece)
    return "".join(texts)


class Text(Protocol):
    """A function that writes an operator, for which classes register."""

    register: Register
    dispatch: Any

    def __call__(self, operator: Any, /) -> str:
        """Return the text."""


def text(default: Callable[..., str | Pieces]) -> Text:
    """Make a function that writes expressions of the one that writes any operator; see `query`.

    A registered function returns a text, or texts and operators in the order in which they are written.

    Examples
    --------
    >>> from linop import Diagonal, Scale
    >>> @text
    ... def plain(operator):
    ...     return "D"
    >>> @plain.register(Scale)
    ... def _(operator):
    ...     return (f"{operator.scalar} ", operator.operator)
    >>> plain(2 * Diagonal([1.0]))
    '2.0 D'
    """
    functions = functools.singledispatch(default)

    @functools.wraps(default)
    def write(operator: Any, /) -> str:
        return written(operator, lambda part: functions.dispatch(type(part))(part))

    write.register = functions.register  # type: ignore[attr-defined]
    write.dispatch = functions.dispatch  # type: ignore[attr-defined]
    write.registry = functions.registry  # type: ignore[attr-defined]
    return write  # type: ignore[return-value]
