"""Flips, shifts, windows, stencils and cosine transforms of distributed tensors are those of the logical tensor."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import distdl_ops
import linop
import linop.testing
from distdl_ops import (
    AgreementError,
    At,
    Copies,
    Cyclic,
    DistributedSpace,
    Grid,
    ParallelCost,
    Replicated,
    Split,
    World,
    traffic,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import Euclidean, LinearOperator, SpaceError, cost

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

CONTINUATIONS = ("zero", "periodic", "reflect", "edge")
"""What may lie beyond the ends of an axis, where a result has the tensor's shape."""


def some_axes(draw: st.DrawFn, shape: tuple[int, ...]) -> list[int]:
    """Draw one axis or more, each once, counted from either end."""
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
    return [axis - draw(st.sampled_from([0, len(shape)])) for axis in axes]


def rolls(draw: st.DrawFn, shape: tuple[int, ...]) -> Arguments:
    axes = some_axes(draw, shape)
    return (draw(st.lists(st.integers(-9, 9), min_size=len(axes), max_size=len(axes))), axes), {}


def windows(draw: st.DrawFn, shape: tuple[int, ...]) -> Arguments:
    count = draw(st.integers(1, len(shape)))
    sizes = [draw(st.integers(1, 4)) for _ in range(count)]
    steps = [draw(st.integers(1, 3)) for _ in range(count)]
    taper = draw(st.sampled_from([None, np.arange(1.0, 1 + sizes[-1])]))
    return (sizes, steps), {"taper": taper}


def laplacians(draw: st.DrawFn, shape: tuple[int, ...]) -> Arguments:
    axes = some_axes(draw, shape)
    numbers = st.lists(st.sampled_from([1.0, -2.0, 0.5]), min_size=len(axes), max_size=len(axes))
    options = {"weights": draw(numbers), "spacing": draw(numbers), "boundary": draw(st.sampled_from(CONTINUATIONS))}
    return (axes,), options


def directions(draw: st.DrawFn, shape: tuple[int, ...]) -> Arguments:
    field = np.arange(float(np.prod(shape))).reshape(shape) % 5 - 2
    components = [draw(st.sampled_from([2.0, -1.0, field, np.ones((1,) * len(shape))])) for _ in shape]
    scheme = draw(st.sampled_from(["forward", "backward", "central"]))
    return (components,), {"scheme": scheme, "boundary": draw(st.sampled_from(CONTINUATIONS)), "spacing": 0.5}


def smoothings(draw: st.DrawFn, shape: tuple[int, ...]) -> Arguments:
    axes = some_axes(draw, shape)
    widths = [draw(st.sampled_from([1, 3, 5])) for _ in axes]
    return (widths, axes), {"boundary": draw(st.sampled_from(CONTINUATIONS))}


def kernels(draw: st.DrawFn, shape: tuple[int, ...]) -> Arguments:
    count, length = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3, 5]))
    axis = draw(st.integers(0, len(shape) - 1))
    given_kernels = np.arange(float(count * length)).reshape(count, length) - 3
    return (given_kernels, [1.5 * k for k in range(count)], axis), {}


DRAWN: dict[str, Callable[[st.DrawFn, tuple[int, ...]], Arguments]] = {
    "Flip": lambda draw, shape: ((some_axes(draw, shape),), {}),
    "Roll": rolls,
    "Symmetrise": lambda draw, shape: ((draw(st.integers(0, len(shape) - 1)),), {}),
    "Windows": windows,
    "Laplacian": laplacians,
    "DirectionalDerivative": directions,
    "Smoothing": smoothings,
    "NonStationaryConvolution": kernels,
    "DCT": lambda draw, shape: ((some_axes(draw, shape),), {"inverse": draw(st.booleans())}),
    "FractionalShift": lambda draw, shape: (
        (draw(st.sampled_from([0.5, -1.25, 2.0])), draw(st.integers(0, len(shape) - 1))),
        {},
    ),
}


def serial_twin(name: str, shape: tuple[int, ...], dtype: str, arguments: Arguments) -> LinearOperator:
    """Return the operator of `linop` on the logical tensor."""
    return getattr(linop, name)(Euclidean(shape, dtype), *arguments[0], **arguments[1])  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", DRAWN)
@given(data=st.data())
def test_equals_the_serial_operator(name: str, data: st.DataObject, assert_laid_out: Any) -> None:
    """From any layout (uneven, empty, cyclic, on one rank) to any: the serial matrix, laid out, or refused alike."""
    size = data.draw(world_sizes())
    shape = tuple(data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=3)))
    dtype = data.draw(st.sampled_from(linop.testing.DTYPES))
    domain = data.draw(drafts(data.draw(grids(size)), shape, dtype, roles=(At, Split, Cyclic, Replicated), once=True))
    if Copies() in domain.roles.values():  # more grid axes than tensor axes
        domain.roles.update({axis: Replicated() for axis, role in domain.roles.items() if role == Copies()})
    arguments = DRAWN[name](data.draw, shape)
    codomain: Draft | None = None
    try:
        result = serial_twin(name, shape, dtype, arguments).codomain.shape
        roles = (At, Split, Cyclic, Replicated) if name == "DirectionalDerivative" else (At, Split, Cyclic, Copies)
        once = name == "DirectionalDerivative"
        codomain = data.draw(
            st.none() | grids(size).flatmap(lambda axes: drafts(axes, result, dtype, roles=roles, once=once))
        )
        if codomain is not None and once and Copies() in codomain.roles.values():
            codomain = None
    except SpaceError:
        pass

    def main(world: World) -> str:
        X = domain.on(world)
        make = getattr(distdl_ops, f"Distributed{name}")
        Y = None if codomain is None else codomain.on(world)
        try:
            expected = serial_twin(name, shape, dtype, arguments)
        except SpaceError:
            with pytest.raises(SpaceError, match=r"Distributed\w+ on ") as caught:
                make(X, *arguments[0], **arguments[1])
            return str(caught.value)
        A = make(X, *arguments[0], **arguments[1], codomain=Y)
        assert Y is None or A.codomain == Y
        assert A.exact or not expected.exact
        assert_laid_out(A, expected)
        assert isinstance(cost(A), ParallelCost | linop.Cost)
        return ""

    assert len(set(on_ranks(size, main))) == 1


@pytest.mark.serial  # on four ranks
@pytest.mark.parametrize(
    ("name", "arguments", "rows"),
    [
        ("Roll", (1, 0), 1),
        ("Flip", (0,), 3),
        ("Laplacian", (), 2),
        ("Smoothing", (3, 0), 2),
        ("DirectionalDerivative", ([1.0, 1.0],), 2),
        ("NonStationaryConvolution", ([[1.0, 2.0, 3.0]], [0.0], 0), 2),
        ("Windows", ([3, 5], 1), 3),  # ten windows: 3, 3, 2 and 2
    ],
)
def test_what_is_sent(name: str, arguments: tuple[Any, ...], rows: int) -> None:
    """A rank sends rows that others need, once each: a neighbour's halo, or what lies elsewhere afterwards."""

    def main(world: World) -> int:
        X = DistributedSpace(Grid(world, p=4), (12, 5), p=Split(0))
        A = getattr(distdl_ops, f"Distributed{name}")(X, *arguments)
        said, before = traffic(A)[world.rank], world.traffic.bytes
        A._apply(X.integers(0))
        assert world.traffic.bytes - before == said.bytes
        return max(one.bytes for one in traffic(A))

    assert set(on_ranks(4, main)) == {8 * 5 * rows}


@pytest.mark.parametrize("name", DRAWN)
def test_batches_and_gradients(ranks: int, name: str) -> None:
    """Batch axes are carried along, and torch's gradient is the adjoint."""
    from torch_bridge import as_function

    arguments: dict[str, tuple[Any, ...]] = {
        "Roll": (2, 0),
        "Windows": (2, 1),
        "DirectionalDerivative": ([1.0, 2.0],),
        "Smoothing": (3,),
        "NonStationaryConvolution": ([[1.0, 2.0, 0.0]], [0.0], 0),
        "FractionalShift": (0.5, 0),
        "Symmetrise": (0,),
    }
    given_arguments = arguments.get(name, ())

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=ranks), (7, 3), p=Split(0))
        A = getattr(distdl_ops, f"Distributed{name}")(X, *given_arguments)
        serial = getattr(linop, name)(Euclidean((7, 3)), *given_arguments)
        x = np.arange(42.0).reshape(2, 7, 3)
        np.testing.assert_allclose(A.codomain.to_global(A(X.from_global(x))), serial(x), rtol=1e-13, atol=1e-12)
        t = torch.from_numpy(X.from_global(x[0]).copy()).requires_grad_()
        as_function(A)(t).sum().backward()
        assert t.grad is not None
        np.testing.assert_allclose(t.grad.numpy(), A.H(np.ones(A.codomain.shape)), rtol=1e-13, atol=1e-13)

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("Flip", (0,), (1,)),
        ("Roll", (1,), (2,)),
        ("Symmetrise", (0,), (1,)),
        ("Windows", (2, 1), (2, 2)),
        ("Laplacian", (0,), (1,)),
        ("DirectionalDerivative", ([1.0, 2.0],), ([1.0, 3.0],)),
        ("Smoothing", (3,), (5,)),
        ("NonStationaryConvolution", ([[1.0, 2.0, 0.0]], [0.0]), ([[1.0, 2.0, 1.0]], [0.0])),
        ("DCT", (0,), (1,)),
        ("FractionalShift", (0.5,), (0.25,)),
    ],
)
def test_ranks_with_other_arguments(name: str, right: tuple[Any, ...], wrong: tuple[Any, ...]) -> None:
    """Another argument on one rank: all ranks raise. So they do for copies, and codomains of another shape."""

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=world.size), (6, 5), p=Split(0))
        make = getattr(distdl_ops, f"Distributed{name}")
        if world.size > 1:
            with pytest.raises(AgreementError, match="the ranks disagree"):
                make(X, *(wrong if world.rank else right))
            with pytest.raises(SpaceError, match=rf"Distributed{name} on .* once, found p=Copies\(\)"):
                make(X.with_roles(p=Copies()), *right)
        with pytest.raises(SpaceError, match=rf"Distributed{name} on .*expected a codomain of shape"):
            make(X, *right, codomain=DistributedSpace(X.grid, (3, 3, 3), p=Split(0)))

    on_ranks(3, main)
