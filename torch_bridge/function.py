r"""A linear operator as a differentiable function.

For :math:`y = A x` and a cotangent g, automatic differentiation needs :math:`A^* g` with respect to the pairing of
coordinates, which is ``A.dual``; a tangent t goes to :math:`A t`. Both are linear again, so derivatives of any order
are made of the same two maps, and no tensor need be kept for them. Torch's complex gradients follow the convention that
the adjoint conjugates, as ours does.

Between several ranks, :math:`A x` depends on what the others hold. So it requires a gradient on every rank, also where
the own part of x does not: the adjoint is collective, and no rank may be missing. A *token*, a number that is always
zero, stands in the graph for the other ranks; `torch_bridge.tied` threads it through several operators.

A tensor in flight, between `distdl_ops.Start` and `distdl_ops.Finish`, is a *ticket* here: a tensor without entries,
in whose place the cotangent is a ticket of the journey back.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, final

import torch

from distdl_ops import DistributedSpace, InFlight, World
from linop import LinearOperator, Product, Space, arrays
from linop.arguments import checked
from linop.arrays import Vector
from torch_bridge import compiled
from torch_bridge.thread import ANYONE, thread_of

Parts = tuple[torch.Tensor, ...]
"""The tensors that a vector consists of."""

Structure = tuple["Structure", ...] | None
"""Whether a vector is an array (None) or a tuple, and of what."""

COMPLEX = {torch.float16: torch.complex32, torch.float32: torch.complex64, torch.float64: torch.complex128}
"""The complex dtype of each precision. Torch's compiler knows no function for it."""


@final
class Function:
    """What `as_function` returns.

    Parameters
    ----------
    operator : LinearOperator
        What it applies.

    Attributes
    ----------
    operator : LinearOperator
        As given.
    world : World or None
        The ranks that take part; None where there is one only.
    """

    def __init__(self, operator: LinearOperator) -> None:
        self.operator = operator
        self._sources, self._targets = _parts(operator.domain), _parts(operator.codomain)
        self._domain, self._codomain = _structure(operator.domain), _structure(operator.codomain)
        self.world = _world((*self._sources, *self._targets))
        self._complex = any(map(_is_complex, (*self._sources, *self._targets)))
        self.compiled_name = compiled.name(self)

    def __call__(self, x: Vector) -> Vector:
        """Return ``A x``, as one node of the graph."""
        parts = self._prepare(x)
        if torch.compiler.is_compiling():
            token = () if self.world is None else (ANYONE,)
            results = tuple(compiled.apply([*parts, *token], self.compiled_name))
        elif self.world is None:
            results = _Apply.apply(self, None, *parts)  # type: ignore[no-untyped-call]
        else:
            thread = thread_of(self.world)
            token, *found = _Apply.apply(self, thread.token if thread else ANYONE, *parts)  # type: ignore[no-untyped-call]
            if thread:
                thread.token = token
            results = tuple(found)
        return results[0] if self._codomain is None else _join(iter(results), self._codomain)

    @functools.cached_property
    def dual(self) -> Function:
        """The function of the dual operator, which the backward pass applies."""
        return Function(self.operator.dual)

    def run(self, parts: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Apply the operator to numbers, in their own precision, whatever autocast says."""
        parts = tuple(parts)
        x = _join(map(_held, self._sources, parts), self._domain)
        device = parts[0].device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                y = self.operator(x)
        else:
            y = self.operator(x)
        return [_given(space, found, parts[0]) for space, found in zip(self._targets, arrays.leaves(y), strict=True)]

    def empty(self, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return tensors with the shapes and dtypes of the result, for a compiler."""
        first = parts[0]
        batch = first.shape[: first.ndim - self._sources[0].ndim]
        return [first.new_empty((*batch, *space.shape), dtype=_dtype(space, _real(first))) for space in self._targets]

    def batched(self, size: int, dims: Iterable[int | None], parts: Iterable[torch.Tensor]) -> Parts:
        """Return parts whose first axis is that of a map over a batch; a part without it is the same for all."""
        return tuple(
            part if _flies(space) else part.expand(size, *part.shape) if dim is None else part.movedim(dim, 0)
            for space, part, dim in zip(self._sources, parts, dims, strict=True)
        )

    @property
    def arity(self) -> int:
        """Of how many parts a vector of the domain consists."""
        return len(self._sources)

    @property
    def layout(self) -> str:
        """Shapes and dtypes of the result, in words."""
        return " ".join(f"{space.shape}{space.dtype}" for space in self._targets)

    def _prepare(self, x: Vector) -> Parts:
        """Return the parts of a vector as tensors of one precision, complex where their spaces are.

        The gradients come back in the precision and field of the arguments.
        """
        if isinstance(x, torch.Tensor) and not self._complex and self._domain is None and x.is_floating_point():
            return (x,)
        parts = arrays.leaves(x)
        if not _fits(x, self._domain) or not all(isinstance(p, torch.Tensor) or arrays.is_array(p) for p in parts):
            self.operator(x)  # raises: on all ranks alike, where several are concerned
        parts = [part if isinstance(part, torch.Tensor) else torch.as_tensor(part) for part in parts]
        real = _real(parts[0])
        for part in parts[1:]:
            real = torch.promote_types(real, _real(part))
        if self._complex and real in (torch.float16, torch.bfloat16):
            real = torch.float32  # torch computes with no smaller complex numbers
        return tuple(
            part.to(COMPLEX[real] if part.is_complex() else _dtype(space, real))
            for space, part in zip(self._sources, parts, strict=True)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.operator,)

    def __deepcopy__(self, memo: object) -> Function:
        """Return the function itself: it never changes."""
        return self

    def __repr__(self) -> str:
        return f"as_function({self.operator!r})"


class _Apply(torch.autograd.Function):
    """Forward A, backward A*, forward mode A, vmap through the batch axes. No tensor is saved.

    Where there are several ranks, the token is the first of the outputs, too.
    """

    @staticmethod
    def forward(function: Function, token: torch.Tensor | None, *parts: torch.Tensor) -> Parts:
        results = function.run(parts)
        return tuple(results) if token is None else (torch.zeros_like(token), *results)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Parts) -> None:  # noqa: ARG004
        ctx.function, token = inputs[:2]
        ctx.token = token is not None
        ctx.threaded = ctx.token and not token.is_leaf

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        dual = ctx.function.dual
        if not ctx.token:
            return None, None, *_Apply.apply(dual, None, *cotangents)  # type: ignore[no-untyped-call]
        token, *gradients = _Apply.apply(dual, _anyones(cotangents[0]), *cotangents[1:])  # type: ignore[no-untyped-call]
        return None, token if ctx.threaded else None, *gradients

    @staticmethod
    def jvp(ctx: Any, _: None, token: torch.Tensor | None, *tangents: torch.Tensor) -> Parts:  # noqa: ARG004
        results: Parts = _Apply.apply(ctx.function, ANYONE if ctx.token else None, *tangents)  # type: ignore[no-untyped-call]
        return results

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], function: Function, token: torch.Tensor | None, *parts: torch.Tensor
    ) -> tuple[Parts, tuple[int | None, ...]]:
        token = token if token is None or in_dims[1] is None else token.sum()
        moved = function.batched(info.batch_size, in_dims[2:], parts)
        results: Parts = _Apply.apply(function, token, *moved)  # type: ignore[no-untyped-call]
        return results, tuple([0] * len(results) if token is None else [None, *[0] * (len(results) - 1)])


def _flies(space: Space) -> bool:
    """Say whether vectors of a space are in flight: tickets, here."""
    return isinstance(space, InFlight)


def _held(space: Space, part: torch.Tensor) -> Any:
    """Return the vector that a tensor is, without its graph; of a ticket, what is in flight."""
    return getattr(part, "departed", part) if _flies(space) else part.detach().resolve_conj().resolve_neg()


def _given(space: Space, found: Any, like: torch.Tensor) -> torch.Tensor:
    """Return a vector as a tensor in the precision of another one; as a ticket, what is in flight."""
    if _flies(space):
        ticket = like.new_empty((*found.batch, 0), dtype=_dtype(space, _real(like)))
        ticket.departed = found  # type: ignore[attr-defined]
        return ticket
    # Torch forbids to change a view in place that comes out of a function; its `data` is none.
    return found.to(_dtype(space, _real(like))).data  # type: ignore[no-any-return]


def _anyones(token: torch.Tensor) -> torch.Tensor:
    """Return the token, or, where it leads nowhere, one that requires a gradient on behalf of the other ranks."""
    return token if token.requires_grad else ANYONE


def _real(x: torch.Tensor) -> torch.dtype:
    """Return the dtype of the real part of a tensor; of whole numbers, double precision."""
    if x.is_complex():
        return next(real for real, found in COMPLEX.items() if found == x.dtype)
    return x.dtype if x.is_floating_point() or x.dtype == torch.bool else torch.float64


def _dtype(space: Space, real: torch.dtype) -> torch.dtype:
    """Return the dtype of vectors of a space in a precision."""
    return COMPLEX.get(real, real) if _is_complex(space) else real


def _is_complex(space: Space) -> bool:
    """Say whether the vectors of a space are complex arrays."""
    return space.dtype.kind == "c"


def _parts(space: Space) -> list[Space]:
    """Return the spaces of the arrays that a vector consists of."""
    space = space.unweighted
    return [found for part in space.parts for found in _parts(part)] if isinstance(space, Product) else [space]


def _structure(space: Space) -> Structure:
    """Return which vectors of a space are tuples, and of what."""
    space = space.unweighted
    return tuple(map(_structure, space.parts)) if isinstance(space, Product) else None


def _fits(x: Vector, structure: Structure) -> bool:
    """Say whether a vector consists of such arrays and tuples."""
    if structure is None or type(x) is not tuple:
        return structure is None and type(x) is not tuple
    return len(x) == len(structure) and all(map(_fits, x, structure))


def _join(parts: Iterator[torch.Tensor], structure: Structure) -> Vector:
    """Return a vector that consists of these tensors."""
    return next(parts) if structure is None else tuple(_join(parts, inner) for inner in structure)


def _world(spaces: Iterable[Space]) -> World | None:
    """Return the ranks that spaces are spread over; None where there is one at most."""
    worlds = [space.grid.world for space in spaces if isinstance(space, DistributedSpace)]
    return next((world for world in worlds if world.size > 1), None)


@checked
def as_function(operator: LinearOperator) -> Function:
    """Return a function of a vector that applies a linear operator, and whose gradient is the operator's adjoint.

    However the operator is composed, torch sees one function. A call is collective where the operator is: all ranks
    call it, and all ranks run its backward pass. A rank that holds nothing passes a tensor of size zero, which keeps
    its place in the graph.

    Parameters
    ----------
    operator : LinearOperator
        The operator, from any of this project's packages.

    Returns
    -------
    callable
        Takes a tensor of shape ``(*batch, *operator.domain.shape)`` to one of ``(*batch, *operator.codomain.shape)``;
        where a space is a `Product`, a tuple of them. The result has the argument's precision (single, where half
        precision meets complex numbers), and never shares memory with it. It requires a gradient where the argument
        does; between several ranks always, for what another rank holds may.

    A tensor in flight is a ticket, a tensor without entries that comes from `distdl_ops.Start` and goes into
    `distdl_ops.Finish`, once. What is computed between the two is computed while messages travel, and so is its
    backward pass, which autograd takes in the opposite order.

    Raises
    ------
    SpaceError
        When the argument is no vector of the domain; raised by the function, on all ranks.

    Examples
    --------
    >>> import torch
    >>> from linop import Matrix
    >>> f = as_function(Matrix([[1.0, 2.0], [0.0, 3.0]]))
    >>> x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    >>> f(x).sum().backward()
    >>> x.grad.tolist()
    [1.0, 5.0]
    """
    return Function(operator)
