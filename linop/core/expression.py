"""What all operators that are made of others have in common, whatever their depth.

No function here calls itself for the parts of an expression, which may be 10 000 levels deep. What follows for it from
its parts is found for the parts first (`derived`). It is applied, written and pickled with a list of what is left.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, final

from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.spaces import Space
from linop.writing import Pieces, written

T = TypeVar("T")

SHALLOW = 30
"""Up to how many levels an expression applies its parts directly, which is faster."""

Steps: TypeAlias = Generator[tuple[LinearOperator, Vector], Vector, Vector]
"""An application in steps: yields an operator and a vector, is sent the image, and returns the result."""

if TYPE_CHECKING:
    derived = property
else:

    class derived(Generic[T]):  # noqa: N801  (used as property is)
        """A property that follows from the same property of the parts: found once, and for the parts first."""

        def __init__(self, function: Callable[[Any], T]) -> None:
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, node: Any, owner: type) -> Any:
            if node is None:
                return self
            name, todo = self._name, [node]
            while todo:
                last = todo[-1]
                unknown = [part for part in last._parts if name not in part.__dict__ and _derives(part, name)]
                if unknown:
                    todo.extend(unknown)
                else:
                    last.__dict__[name] = getattr(type(last), name)._function(last)
                    todo.pop()
            return node.__dict__[name]


def _derives(part: LinearOperator, name: str) -> bool:
    """Say whether an operator finds a property from its parts."""
    return isinstance(part, Expression) and isinstance(getattr(type(part), name), derived)


class Expression(LinearOperator):
    """An operator that is made of others. Abstract."""

    @property
    @abstractmethod
    def _parts(self) -> tuple[LinearOperator, ...]:
        """The operators that it is made of, in the order in which they are written; see `linop.parts`."""

    def _steps(self, x: Vector) -> Steps:
        """Apply the expression step by step: yield each part that is applied, with its argument; or write `_apply`."""
        yield from ()
        return self._apply(x)

    def _apply(self, x: Vector) -> Vector:
        return applied(self, x)

    @property
    @abstractmethod
    def dual(self) -> LinearOperator:
        """The adjoint, made of those of the parts."""

    @abstractmethod
    def _pieces(self) -> Pieces:
        """Return how it is written: texts, and its parts between them."""

    @final
    def __str__(self) -> str:
        return written(self, lambda part: part._pieces() if isinstance(part, Expression) else str(part))

    # -- pickling ------------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: not what is found again from the parts."""
        state = super().__getstate__()
        return {
            name: value for name, value in state.items() if not isinstance(getattr(type(self), name, None), derived)
        }

    @final
    def __reduce__(self) -> tuple[Any, ...]:
        """Return the expressions in a list, each after its parts, and how they are put together again."""
        nodes: list[tuple[type, dict[str, Any]]] = []
        numbers: dict[int, int] = {}
        todo: list[Expression] = [self]
        while todo:
            node = todo[-1]
            state = node.__getstate__()
            unknown = [part for part in _expressions(tuple(state.values())) if id(part) not in numbers]
            if unknown:
                todo.extend(unknown)
                continue
            if id(node) not in numbers:
                numbers[id(node)] = len(nodes)
                nodes.append((type(node), {name: _replaced(value, numbers) for name, value in state.items()}))
            todo.pop()
        return _assembled, (nodes,)


class _Number(int):
    """The number of an expression in a pickled list."""


def _expressions(values: tuple[Any, ...]) -> list[Expression]:
    """Return the expressions in a tuple, and in those inside it."""
    found: list[Expression] = []
    for value in values:
        if isinstance(value, Expression):
            found.append(value)
        elif isinstance(value, tuple):
            found.extend(_expressions(value))
    return found


def _replaced(value: Any, numbers: dict[int, int]) -> Any:
    """Return what stands for a value in a pickled list: for an expression, its number."""
    if isinstance(value, Expression):
        return _Number(numbers[id(value)])
    return tuple(_replaced(each, numbers) for each in value) if type(value) is tuple else value


def _restored(value: Any, nodes: list[Any]) -> Any:
    """Return the value for which something stands in a pickled list."""
    if isinstance(value, _Number):
        return nodes[value]
    return tuple(_restored(each, nodes) for each in value) if type(value) is tuple else value


def _assembled(nodes: list[tuple[type[Expression], dict[str, Any]]]) -> Expression:
    """Return the last of the expressions of a list, put together from the ones before."""
    made: list[Expression] = []
    for kind, state in nodes:
        node = object.__new__(kind)
        node.__dict__.update({name: _restored(value, made) for name, value in state.items()})
        made.append(node)
    return made[-1]


# -- applying ----------------------------------------------------------------------------------------------------------


def applied(expression: Expression, x: Vector) -> Vector:
    """Return the image of a vector, of an expression of any depth."""
    waiting = [expression._steps(x)]
    image: Vector = None
    while True:
        try:
            operator, x = waiting[-1].send(image)
        except StopIteration as end:
            image = end.value
            waiting.pop()
            if not waiting:
                return image
            continue
        if isinstance(operator, Expression):
            waiting.append(operator._steps(x))
            image = None
        else:
            image = operator._apply(x)


# -- rows: sums and products -------------------------------------------------------------------------------------------


SHORT = 16
"""Up to how many operators a row is written out at once."""


class Row(Expression):
    """An expression of operators in a row: a sum or a product. Abstract.

    Two rows are joined in constant time: unless they are short, they are written out when somebody asks for what stands
    in them.
    """

    _row: tuple[LinearOperator, ...]  # empty until it is written out
    _sides: tuple[LinearOperator, LinearOperator]  # the two rows that this one is joined of, until then
    _ends: tuple[LinearOperator, LinearOperator]

    def _hold(self, row: tuple[LinearOperator, ...]) -> None:
        """Let this be the row of these operators."""
        self._row = row
        self._levels = levels_above(row)

    @classmethod
    def _joined(cls, left: LinearOperator, right: LinearOperator, domain: Space, codomain: Space) -> Self:
        """Return the row of two rows, one after the other; any other operator is a row of itself."""
        joined = object.__new__(cls)
        joined.domain, joined.codomain = domain, codomain
        before = left._row if type(left) is cls else (left,)
        after = right._row if type(right) is cls else (right,)
        if before and after and len(before) + len(after) <= SHORT:
            joined._row = before + after
        else:
            first = left.first if isinstance(left, cls) else left
            last = right.last if isinstance(right, cls) else right
            joined._row, joined._sides, joined._ends = (), (left, right), (first, last)
        joined._levels = max(
            left._levels if type(left) is cls else left._levels + 1,
            right._levels if type(right) is cls else right._levels + 1,
        )
        return joined

    @property
    def first(self) -> LinearOperator:
        """The operator at the beginning."""
        return self._row[0] if self._row else self._ends[0]

    @property
    def last(self) -> LinearOperator:
        """The operator at the end."""
        return self._row[-1] if self._row else self._ends[1]

    @property
    def _parts(self) -> tuple[LinearOperator, ...]:
        return self._row or self._written_out()

    def _written_out(self) -> tuple[LinearOperator, ...]:
        """Write out what stands in the row, once."""
        row: list[LinearOperator] = []
        todo: list[LinearOperator] = [self]
        while todo:
            part = todo.pop()
            if not isinstance(part, type(self)):
                row.append(part)
                continue
            sides = part.__dict__.get("_sides", ())  # read first: another thread may write the row out meanwhile
            if part._row:
                row += part._row
            else:
                todo += reversed(sides)
        self._row = tuple(row)
        self._sides = self._ends  # lets go of the rows between
        return self._row

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the row as it is written out."""
        state = {**super().__getstate__(), "_row": self._parts}
        return {name: value for name, value in state.items() if name not in ("_sides", "_ends")}


def levels_above(parts: Iterable[LinearOperator]) -> int:
    """Return how many operators are applied inside each other, of an expression of these parts."""
    return 1 + max(part._levels for part in parts)
