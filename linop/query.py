"""Questions about expressions of any depth.

A function that asks itself about the parts of an expression would be as deep as that. `query` makes functions
of which each class registers its own, as `functools.singledispatch` does, and which keep a list of who waits for what.
A registered function that needs an answer yields the operator that it is about, and is sent the answer::

    @cost.register
    def _(operator: Sum) -> Answer[Cost]:
        total = Cost()
        for term in operator.terms:
            total += yield term
        return total

One that needs none is an ordinary function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, overload

from linop.core.operator import LinearOperator
from linop.writing import Register

T = TypeVar("T")
A_co = TypeVar("A_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


class Asked(NamedTuple):
    """A question about an operator."""

    functions: Any
    operator: LinearOperator
    options: dict[str, Any]


Answer: TypeAlias = Generator[LinearOperator | Asked, T, T]
"""What a registered function returns that needs answers about other operators."""

Reply: TypeAlias = Generator[LinearOperator | Asked, Any, T]
"""The same of one that needs answers to other questions, too."""

Known = dict[tuple[int, int] | None, tuple[LinearOperator, Any]]
"""Answers by questions and the identities of operators, which are kept, so that no other object takes them."""


class Query(Protocol[A_co]):
    """A function of an operator, for which classes register."""

    register: Register
    dispatch: Any
    about: Callable[..., Asked]
    keeping: Callable[[Known], Callable[[LinearOperator], Any]]

    def __call__(self, operator: LinearOperator, /, **options: Any) -> A_co:
        """Return the answer for an operator."""


@overload
def query(default: Callable[..., Generator[Any, Any, T]]) -> Query[T]: ...


@overload
def query(default: Callable[..., T]) -> Query[T]: ...


def query(default: Callable[..., Any]) -> Query[Any]:
    """Make a question of the function that answers it for any operator; see the module.

    An operator that occurs several times in an expression is asked about once. Processes that share an operator must
    pass the same options, where these have defaults. A registered function that needs the
    answer to another question yields ``other.about(operator)``; with options, they are that question's.

    Examples
    --------
    >>> from linop import Diagonal, Scale
    >>> @query
    ... def levels(operator):
    ...     return 0
    >>> @levels.register(Scale)
    ... def _(operator):
    ...     return 1 + (yield operator.operator)
    >>> levels(Diagonal([1.0])), levels(2 * Diagonal([1.0]))
    (0, 1)
    """
    functions = functools.singledispatch(default)
    usual: Mapping[str, Any] = getattr(default, "__kwdefaults__", None) or {}

    @functools.wraps(default)
    def ask(operator: LinearOperator, /, **options: Any) -> Any:
        if usual:  # how many samples, which seed: processes that differ would go different ways
            operator._agree(default.__name__, tuple({**usual, **options}.items()))
        return _answer(Asked(functions, operator, options), {})

    def about(operator: LinearOperator, /, **options: Any) -> Asked:
        """Return the question about an operator, to be yielded."""
        return Asked(functions, operator, options)

    def keeping(known: Known) -> Callable[[LinearOperator], Any]:
        """Return the same question, which keeps its answers for the next time."""
        return lambda operator: _answer(Asked(functions, operator, {}), known)

    for name, attribute in (
        ("register", functions.register),
        ("dispatch", functions.dispatch),
        ("registry", functions.registry),
    ):
        setattr(ask, name, attribute)
    ask.about, ask.keeping = about, keeping  # type: ignore[attr-defined]
    return ask  # type: ignore[return-value]


def _answer(asked: Asked, known: Known) -> Any:
    """Return the answer to a question, and remember it and those that it needed."""
    waiting: list[tuple[Asked, Answer[Any]]] = []
    first, value = asked, None
    while True:
        key = _key_of(asked, first)
        if key in known:
            value = known[key][1]
        else:
            value = asked.functions.dispatch(type(asked.operator))(asked.operator, **asked.options)
            if isinstance(value, Generator):
                waiting.append((asked, value))
                value = None
            elif key is not None:
                known[key] = asked.operator, value
        while waiting:
            asker, steps = waiting[-1]
            try:
                needed = steps.send(value)
            except StopIteration as end:
                value = end.value
                waiting.pop()
                if (key := _key_of(asker, first)) is not None:
                    known[key] = asker.operator, value
            else:
                asked = needed if isinstance(needed, Asked) else Asked(asker.functions, needed, asker.options)
                break
        else:
            return value


def _key_of(asked: Asked, first: Asked) -> tuple[int, int] | None:
    """Return by what an answer is known again; None where the options are not those of the first question."""
    usual = first.options if asked.functions is first.functions else {}
    return (id(asked.functions), id(asked.operator)) if asked.options == usual else None
