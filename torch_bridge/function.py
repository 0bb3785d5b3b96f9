r"""A linear operator as a differentiable function.

For :math:`y = A x` and a cotangent g, automatic differentiation needs :math:`A^* g` with respect to the pairing of
coordinates, which is ``A.dual``; a tangent t goes to :math:`A t`. Both are linear again, so derivatives of any order
are made of the same two maps, and no tensor need be kept for them. Torch's complex gradients follow the convention that
the adjoint conjugates, as ours does.

Between several ranks, :math:`A x` depends on what the others hold. So it requires a gradient on every rank, also where
the own part of x does not: the adjoint is collective, and no rank may be missing. A *token*, a number that is always
zero, stands in the graph for the other ranks; `torch_bridge.tied` hands it from operator to operator.

Ranks differentiate in an order of their own. So what they exchange says which *call* it belongs to: which function, in
the order in which its world's functions were made, which application of it, and, in a backward pass, of which one.

A tensor in flight, between `distdl_ops.Start` and `distdl_ops.Finish`, is represented by a *placeholder*: a tensor
without entries. Its cotangent is the placeholder of the movement back.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch

from distdl_ops import DistributedSpace, InFlight, World
from distdl_ops.worlds.call import Call, Number
from linop import LinearOperator, Product, Space, arrays
from linop.arguments import checked
from linop.arrays import Vector
from torch_bridge import compiled
from torch_bridge.token import ANYONE, block_of

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
    adjoint_of : Function, optional
        The function whose backward passes it carries out.

    Attributes
    ----------
    operator : LinearOperator
        As given.
    world : World or None
        The ranks that take part; None where there is one only.
    """

    def __init__(self, operator: LinearOperator, *, adjoint_of: Function | None = None) -> None:
        self.operator = operator
        self._sources, self._targets = _parts(operator.domain), _parts(operator.codomain)
        self._domain, self._codomain = _structure(operator.domain), _structure(operator.codomain)
        self.world = _world((*self._sources, *self._targets))
        self._complex = any(map(_is_complex, (*self._sources, *self._targets)))
        self.compiled_name = compiled.name(self)
        self._calls: Number = (0, 0)
        self._number: Number = (0, 0)
        self._order: int = 0
        if adjoint_of is not None:  # it belongs to that one's calls
            self._number, self._order = adjoint_of._number, adjoint_of._order + 1
        elif self.world is not None:
            self._number = self.world.number_function()

    def __call__(self, x: Vector, *, place: str = "") -> Vector:
        """Return ``A x``, as one node of the graph.

        Parameters
        ----------
        x : tensor or tuple of tensors
            The vector.
        place : str, optional
            Where in a program this call is: what else must be the same on all ranks.
        """
        parts = self._prepare(x)
        if torch.compiler.is_compiling():
            tokens = () if self.world is None else (ANYONE,)
            results = tuple(compiled.apply([*parts, *tokens], self.compiled_name))
        elif self.world is None:
            results = _Apply.apply(self, None, None, *parts)  # type: ignore[no-untyped-call]
        else:
            block = block_of(self.world)
            token = block.token if block else ANYONE
            token, *outputs = _Apply.apply(self, self.next_call(place), token, *parts)  # type: ignore[no-untyped-call]
            if block:
                block.token = token
            results = tuple(outputs)
        return results[0] if self._codomain is None else _join(iter(results), self._codomain)

    @functools.cached_property
    def dual(self) -> Function:
        """The function of the dual operator, which the backward pass applies."""
        return Function(self.operator.dual, adjoint_of=self)

    def next_call(self, place: str = "") -> Call | None:
        """Return what tells the next application from all others, on all ranks; None where there is one rank."""
        if self.world is None:
            return None
        failures, count = self._calls
        now = self.world.failures  # ranks that disagreed may have counted otherwise: they begin anew
        self._calls = now, count + 1 if failures == now else 1
        return Call(self._number, self._calls, place, self._order)

    def run(self, parts: Iterable[torch.Tensor], call: Call | None) -> list[torch.Tensor]:
        """Apply the operator to numbers, in their own precision, whatever autocast says, as a part of a call."""
        parts = tuple(parts)
        x = _join(map(_held, self._sources, parts), self._domain)
        if self.world is None or call is None:
            y = self._applied(x, parts[0].device.type)
        else:
            caller = self.world.caller
            before, caller.call = caller.call, call
            try:
                y = self._applied(x, parts[0].device.type)
            finally:
                caller.call = before
        return [_given(space, vector, parts[0]) for space, vector in zip(self._targets, arrays.leaves(y), strict=True)]

    def in_backward_pass(self, device: torch.device) -> AbstractContextManager[None]:
        """Return a block in which the world may be used by the thread that torch runs this device's backward passes in.

        The thread that the world belongs to waits for it, meanwhile.
        """
        if self.world is None or device.type == "cpu":
            return nullcontext()
        return self.world.caller.lent()

    def _applied(self, x: Vector, device: str) -> Vector:
        """Apply the operator."""
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.operator(x)
        return self.operator(x)

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
    def forward(function: Function, call: Call | None, token: torch.Tensor | None, *parts: torch.Tensor) -> Parts:
        results = function.run(parts, call)
        return tuple(results) if token is None else (torch.zeros_like(token), *results)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Parts) -> None:  # noqa: ARG004
        ctx.function, ctx.call, token = inputs[:3]
        ctx.token = token is not None
        ctx.chained = ctx.token and not token.is_leaf

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        dual = ctx.function.dual
        if not ctx.token:
            return None, None, None, *_Apply.apply(dual, None, None, *cotangents)  # type: ignore[no-untyped-call]
        with dual.in_backward_pass(cotangents[1].device):
            token, *gradients = _Apply.apply(dual, ctx.call.backward, _anyones(cotangents[0]), *cotangents[1:])  # type: ignore[no-untyped-call]
        return None, None, token if ctx.chained else None, *gradients

    @staticmethod
    def jvp(ctx: Any, _: None, __: None, token: torch.Tensor | None, *tangents: torch.Tensor) -> Parts:  # noqa: ARG004
        results: Parts = _Apply.apply(ctx.function, ctx.call, ANYONE if ctx.token else None, *tangents)  # type: ignore[no-untyped-call]
        return results

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        function: Function,
        call: Call | None,
        token: torch.Tensor | None,
        *parts: torch.Tensor,
    ) -> tuple[Parts, tuple[int | None, ...]]:
        token = token if token is None or in_dims[2] is None else token.sum()
        moved = function.batched(info.batch_size, in_dims[3:], parts)
        results: Parts = _Apply.apply(function, call, token, *moved)  # type: ignore[no-untyped-call]
        return results, tuple([0] * len(results) if token is None else [None, *[0] * (len(results) - 1)])


def _flies(space: Space) -> bool:
    """Say whether vectors of a space are in flight: placeholders, here."""
    return isinstance(space, InFlight)


def _held(space: Space, part: torch.Tensor) -> Any:
    """Return the vector that a tensor is, without its graph; of a placeholder, what is in flight."""
    return getattr(part, "departed", part) if _flies(space) else part.detach().resolve_conj().resolve_neg()


def _given(space: Space, vector: Any, like: torch.Tensor) -> torch.Tensor:
    """Return a vector as a tensor in the precision of another one; as a placeholder, what is in flight."""
    if _flies(space):
        placeholder = like.new_empty((*vector.batch, 0), dtype=_dtype(space, _real(like)))
        placeholder.departed = vector  # type: ignore[attr-defined]
        return placeholder
    # Torch forbids to change a view in place that comes out of a function; its `data` is none.
    return vector.to(_dtype(space, _real(like))).data  # type: ignore[no-any-return]


def _anyones(token: torch.Tensor) -> torch.Tensor:
    """Return the token, or, where it leads nowhere, one that requires a gradient on behalf of the other ranks."""
    return token if token.requires_grad else ANYONE


def _real(x: torch.Tensor) -> torch.dtype:
    """Return the dtype of the real part of a tensor; of whole numbers, double precision."""
    if x.is_complex():
        return next(real for real, pair in COMPLEX.items() if pair == x.dtype)
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
    return [inner for part in space.parts for inner in _parts(part)] if isinstance(space, Product) else [space]


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

    A tensor in flight is a placeholder, a tensor without entries that comes from `distdl_ops.Start` and goes into
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
