"""How an array lies in memory is its own business: movements see its entries."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from distdl_ops import At, Copies, DistributedSpace, Grid, Movement, Replicated, Role, Split, World
from distdl_ops.testing import on_ranks

NUMPY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran order": np.asfortranarray,
    "transposed": lambda x: np.ascontiguousarray(x.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0),
    "stride 0": lambda x: np.broadcast_to(x[:1, :, :1], x.shape),
    "negative strides": lambda x: x[:, ::-1, ::-1, ::-1].copy()[:, ::-1, ::-1, ::-1],
    "every other entry": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=3)[::2, ..., ::2],
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "real part": lambda x: (x + 1j).real if x.dtype.kind == "f" else x,
    "not aligned": lambda x: np.frombuffer(b"1" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
}
"""Ways to hold the same entries; ``stride 0`` holds others."""

TORCH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "transposed": lambda x: x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
    "stride 0": lambda x: x[:1, :, :1].expand(*x.shape),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "every other entry": lambda x: x.repeat_interleave(2, 0).repeat_interleave(2, 3)[::2, ..., ::2],
    "conjugate view": lambda x: x.conj().resolve_conj().conj(),
    "negative view": lambda x: (-1j * x).conj().imag if not x.is_complex() else x,
    "as strided": lambda x: torch.cat([x.new_zeros(1), x.flatten()]).as_strided(x.shape, x.stride(), 1),
}


def roles(size: int) -> list[Role]:
    """Return a role of each kind, and a halo."""
    return [
        At(0),
        Split(0),
        Split(1),
        Split(0, [(2 * k - 1, 2 * k + 3) for k in range(size)], "periodic"),
        Copies(),
        Replicated(),
    ]


CASES = [(np, name) for name in NUMPY] + [(torch, name) for name in TORCH]


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize(("library", "name"), CASES, ids=[f"{lib.__name__}-{name}" for lib, name in CASES])
def test_any_strides(ranks: int, library: Any, name: str, dtype: str) -> None:
    """Between all roles, a view gives the bits that its copy in row-major order gives, and is left as it was."""

    def main(world: World) -> list[str]:
        grid, faults = Grid(world, rows=ranks), []
        for source, target in itertools.product(roles(ranks), repeat=2):
            S = DistributedSpace(grid, (2 * ranks, 3, 2), dtype, rows=source)
            A = Movement(S, S.with_roles(rows=target))
            x = S.integers(1, (2,))
            if library is np:
                view = NUMPY[name](x)
                plain = view.copy()
            else:
                view = TORCH[name](torch.asarray(x))
                plain = torch.asarray(view.resolve_conj().resolve_neg().numpy().copy())
            y, z = A(plain), A(view)
            same = y.shape == z.shape and y.dtype == z.dtype and bool((y == z).all())
            if not same or not bool((view == plain).all()):
                faults.append(f"{A} of {name}")
        return faults

    assert on_ranks(ranks, main) == [[]] * ranks


def test_views_are_what_they_say() -> None:
    """The strides are those meant: none of them is a plain array in disguise."""
    x = np.arange(1.0, 49).reshape(2, 4, 3, 2)
    plain = x.strides
    strides = {name: make(x).strides for name, make in NUMPY.items() if name not in ("read-only", "not aligned")}
    assert all(found != plain for found in strides.values())
    assert not NUMPY["read-only"](x).flags.writeable
    assert not NUMPY["not aligned"](x).flags.aligned
    t = torch.asarray(x)
    assert all(not TORCH[name](t).is_contiguous() for name in ("transposed", "channels last", "every other entry"))
    assert 0 in TORCH["stride 0"](t).stride()
    assert TORCH["conjugate view"](t.to(torch.complex64)).is_conj()
    assert TORCH["negative view"](t).is_neg()
    assert TORCH["as strided"](t).storage_offset() == 1
    for name in ("transposed", "channels last", "every other entry", "negative view", "as strided"):
        assert torch.equal(TORCH[name](t), t)


@pytest.mark.parametrize("library", [np, torch])
def test_embedding_of_any_strides(ranks: int, library: Any) -> None:
    """from_global and to_global see the entries, too."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks, 3), rows=Split(0))
        tensor = np.arange(6.0 * ranks).reshape(3, 2 * ranks).T
        x = S.from_global(library.asarray(tensor))
        return np.array_equal(np.from_dlpack(S.to_global(x)), tensor)

    assert all(on_ranks(ranks, main))
