"""Every dtype that may cross between ranks arrives as it was and is summed as it should be; all others are refused."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedSpace,
    Grid,
    Movement,
    Replicated,
    Role,
    Split,
    World,
    simulate,
)
from distdl_ops.testing import on_ranks
from distdl_ops.worlds.buffers import ITEMSIZE, addends, bits, nbytes
from linop import IntegerError, SpaceError, check_adjoint

ROLES = ("at", "last", "split", "halo", "copies", "replicated")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NUMPY = ("float16", "float32", "float64", "complex64", "complex128", *INTEGERS)
TORCH = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128", *INTEGERS[:5])
CASES = [(np, dtype) for dtype in NUMPY] + [(torch, dtype) for dtype in TORCH]


def role(name: str, size: int) -> Role:
    """Return a role along an axis of some ranks; the halo wraps around."""
    roles: dict[str, Role] = {
        "at": At(0),
        "last": At(size - 1),
        "split": Split(0),
        "halo": Split(0, [(k - 1, k + 2) for k in range(size)], "periodic", gaps=True),
        "copies": Copies(),
        "replicated": Replicated(),
    }
    return roles[name]


def cast(x: np.ndarray, library: Any, dtype: str) -> Any:
    """Return doubles in another library and dtype; of an unsigned one, their absolute values."""
    values = np.asarray(abs(x) if dtype.startswith("u") else x)
    if library is np:
        return values.astype(dtype)
    return torch.asarray(values.copy()).to(getattr(torch, dtype))


def doubles(x: Any) -> np.ndarray:
    """Return any array in double precision."""
    if isinstance(x, torch.Tensor):
        return x.to(torch.complex128 if x.is_complex() else torch.float64).numpy()
    return np.asarray(x).astype(np.complex128 if np.iscomplexobj(x) else np.float64)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(ROLES, repeat=2)))
def test_every_movement_of_every_dtype(ranks: int, source: str, target: str) -> None:
    """Small integers come out the same in every dtype, in the argument's dtype; so they do of the adjoint."""

    def main(world: World) -> list[str]:
        faults = []
        for field, dtypes in (("float64", False), ("complex128", True)):
            S = DistributedSpace(Grid(world, rows=ranks), (ranks + 1, 2), field, rows=role(source, ranks))
            A = Movement(S, S.with_roles(rows=role(target, ranks)))
            for B in (A, A.H):
                x = B.domain.integers(1, (2,))
                y, positive = B(x), B(abs(x))
                for library, dtype in CASES:
                    if dtype.startswith("complex") == dtypes:
                        z = cast(x, library, dtype)
                        found = B(z)
                        expected = positive if dtype.startswith("u") else y
                        if found.dtype != z.dtype or not np.array_equal(doubles(found), expected):
                            faults.append(f"{B} of {z.dtype}")
        return faults

    assert on_ranks(ranks, main) == [[]] * ranks


HALF = {"float16": (np, 10), "bfloat16": (torch, 7)}
"""Library, and bits after the leading one."""


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("target", ["at", "copies", "replicated", "split", "halo"])
def test_sums_of_half_precision_are_rounded_once(ranks: int, dtype: str, target: str) -> None:
    """The sum over ranks is the exact one, correctly rounded; summed in half precision, it would not be."""
    library, digits = HALF[dtype]
    generator = np.random.default_rng(ranks)
    significands = generator.integers(2**digits, 2 ** (digits + 1), (ranks, 400)) * generator.choice(
        [-1, 1], (ranks, 400)
    )
    terms = significands * 2.0 ** generator.integers(-3, 4, (ranks, 400)) / 2**digits  # their sum is a float32

    def main(world: World) -> tuple[bool, bool]:
        S = DistributedSpace(Grid(world, rows=ranks), (400,), np.float32, rows=Copies())
        A = Movement(S, S.with_roles(rows=role(target, ranks)))
        x = cast(terms[world.rank], library, dtype)
        one_by_one = sum((cast(term, library, dtype) for term in terms[1:]), cast(terms[0], library, dtype))
        rounded = A.codomain.from_global(cast(terms.sum(axis=0), library, dtype))
        naive = not np.array_equal(doubles(one_by_one), doubles(cast(terms.sum(axis=0), library, dtype)))
        return np.array_equal(doubles(A(x)), doubles(rounded)), naive

    assert on_ranks(ranks, main) == [(True, ranks > 2)] * ranks


@pytest.mark.parametrize("target", ["at", "copies", "split"])
def test_integers_are_summed_as_integers(ranks: int, target: str) -> None:
    """Sums beyond the digits of a double keep their last one; what does not fit is an error, the same on all ranks."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, rows=ranks), (ranks + 1,), rows=Copies())
        A = Movement(S, S.with_roles(rows=role(target, ranks)))
        large, small = A(np.full(ranks + 1, 2**60 + 1)), A(np.full(ranks + 1, 60, np.uint8))
        if ranks > 1:  # the last entry wraps, on the ranks that hold it
            for x in (np.array([*[1] * ranks, 200], np.uint8), torch.tensor([*[1] * ranks, -100], dtype=torch.int8)):
                with pytest.raises(IntegerError, match=r"does not fit into (torch\.)?u?int8"):
                    A(x)
        return bool(np.all(large == ranks * (2**60 + 1)) and np.all(small == 60 * ranks))

    assert all(on_ranks(ranks, main))


def test_a_space_in_single_precision_takes_bfloat16(ranks: int) -> None:
    """NumPy has no bfloat16; precision follows the argument, there and back, and what is paired is in double."""

    def main(world: World) -> list[bool]:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks,), np.float32, rows=Split(0))
        tensor = torch.arange(2 * ranks, dtype=torch.bfloat16)
        x = S.from_global(tensor)
        y = Movement(S, S.with_roles(rows=Replicated()))(x)
        squares = sum(k * k for k in range(2 * ranks))
        return [
            x.dtype == y.dtype == torch.bfloat16,
            torch.equal(y, tensor),
            torch.equal(S.to_global(x), tensor),
            S.dot(x, x) == squares,
            S.with_roles(rows=Replicated()).consistent(y),
        ]

    assert on_ranks(ranks, main) == [[True] * 5] * ranks


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64"])
def test_spaces_of_other_dtypes_are_checked_exactly(ranks: int, dtype: str) -> None:
    """The checks draw small integers in the space's own dtype, which is kept, and pass with ==."""

    def main(world: World) -> list[bool]:
        S = DistributedSpace(Grid(world, rows=ranks), (ranks + 1, 2), dtype, rows=Split(0))
        halo = role("halo", ranks)
        return [bool(check_adjoint(Movement(S, S.with_roles(rows=r)), mode="exact")) for r in (halo, Copies(), At(0))]

    assert on_ranks(ranks, main) == [[True] * 3] * ranks


UNKNOWN = (np.zeros(3, np.longdouble), torch.zeros(3, dtype=torch.float8_e4m3fn))
NO_NUMBERS = (np.zeros(3, bool), np.zeros(3, object), np.zeros(3, "M8[s]"), np.zeros(3, "U1"))


@pytest.mark.parametrize("x", UNKNOWN, ids=lambda x: str(x.dtype))
def test_other_dtypes_are_refused(ranks: int, x: Any) -> None:
    """The error names the operation, what it takes and what it found, and is the same on every rank."""

    def main(world: World) -> list[str]:
        operations = [
            lambda: world.broadcast(x, 0, "an operation"),
            lambda: world.reduce(x, x, 0, "an operation"),
            lambda: world.allreduce(x, x, "an operation"),
            lambda: world.exchange([((world.rank + 1) % ranks, x)], [((world.rank - 1) % ranks, x)], "an operation"),
        ]
        told = []
        for operation in operations:
            with pytest.raises(TypeError) as caught:
                operation()
            told.append(str(caught.value))
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        with pytest.raises((TypeError, SpaceError), match=f"found.* dtype {x.dtype}"):
            Movement(S, S)(x)
        return told

    for told in on_ranks(ranks, main):
        assert told == [f"an operation: expected entries of one of {', '.join(ITEMSIZE)}, found dtype {x.dtype}"] * 4


@pytest.mark.parametrize("x", NO_NUMBERS, ids=lambda x: str(x.dtype))
def test_what_is_no_number_is_refused(ranks: int, x: Any) -> None:
    """Before anything is sent, the same on every rank."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        with pytest.raises(SpaceError, match="expected real entries, found dtype") as caught:
            Movement(S, S)(x)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_traffic_counts_the_bytes_of_the_entries(ranks: int) -> None:
    """Half precision takes two bytes an entry, also where NumPy has no such dtype."""

    def main(world: World) -> list[int]:
        counted = []
        for library, dtype in CASES:
            x = cast(np.ones(5), library, dtype)
            before = world.traffic.bytes
            world.exchange([((world.rank + 1) % ranks, x)], [((world.rank - 1) % ranks, x + x)], "test").finish()
            counted.append(world.traffic.bytes - before)
            assert nbytes(x) == 5 * ITEMSIZE[dtype]
        return counted

    assert on_ranks(ranks, main) == [[5 * ITEMSIZE[dtype] for _, dtype in CASES]] * ranks


# -- the memory of buffers ---------------------------------------------------------------------------------------------


@pytest.mark.serial
@pytest.mark.parametrize(("library", "dtype"), CASES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
def test_bits_are_the_buffers_own_memory(library: Any, dtype: str, shape: tuple[int, ...]) -> None:
    """What is received into the bit patterns is in the buffer: there is no copy in between."""
    buffer, other = (cast(np.full(shape, value), library, dtype) for value in (1.0, 3.0))
    memory, land = bits(buffer)
    assert memory.nbytes == nbytes(buffer)
    assert land is None
    memory[...] = bits(other)[0]
    assert np.array_equal(doubles(buffer), np.full(shape, 3.0))
    memory, land = addends(buffer)
    memory[...] = 5
    if land is not None:
        land()
    assert np.array_equal(doubles(buffer), np.full(shape, 5.0))


@pytest.mark.serial
def test_buffers_in_another_order_are_refused() -> None:
    """Their entries do not lie in their memory in the order in which they are sent."""
    for function in (bits, addends):
        with pytest.raises(ValueError, match="a buffer must be in row-major order, found strides"):
            function(np.zeros((3, 2)).T)
        with pytest.raises(TypeError, match="Tensor on cpu gives no access"):
            function(torch.zeros(3, dtype=torch.complex64).conj())


@pytest.mark.serial
def test_pieces_of_another_size_are_not_stretched() -> None:
    """Simulated ranks compare what is sent with what is expected."""

    def exchanged(world: World) -> None:
        received = np.zeros(3)
        world.exchange([(1 - world.rank, np.ones(1 + 2 * world.rank))], [(1 - world.rank, received)], "test").finish()

    def summed(world: World) -> None:
        x = np.zeros(3, np.float32 if world.rank else np.float64)
        world.allreduce(x, x.copy(), "test")

    with pytest.raises(AgreementError, match=r"rank 1: test: rank 0 has 1 entries of float64, rank 1 has 3"):
        simulate(2, exchanged)
    with pytest.raises(
        AgreementError, match=r"rank 1: test: rank 0 has 3 entries of float64, rank 1 has .* of float32"
    ):
        simulate(2, summed)


class OnDevice:
    """An array whose memory the host does not see, of a library that is just large enough."""

    device = "device"

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    dtype = property(lambda self: self.values.dtype)
    shape = property(lambda self: self.values.shape)
    ndim = property(lambda self: self.values.ndim)

    def __array_namespace__(self, api_version: str | None = None) -> type["Library"]:
        return Library

    def __dlpack__(self, **_: object) -> object:
        raise BufferError("not in host memory")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def to_device(self, device: str, stream: None = None) -> np.ndarray:  # noqa: ARG002
        assert device == "cpu"
        return self.values.copy()

    def __setitem__(self, key: Any, value: "OnDevice") -> None:
        self.values[key] = value.values


class Library:
    """The functions for it."""

    float32 = np.dtype(np.float32)

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: Any, device: str) -> OnDevice:  # noqa: ARG004
        return OnDevice(np.empty(shape, dtype))

    @staticmethod
    def asarray(values: np.ndarray, device: str) -> OnDevice:  # noqa: ARG004
        return OnDevice(values.copy())

    @staticmethod
    def astype(x: OnDevice, dtype: Any) -> OnDevice:
        return OnDevice(x.values.astype(dtype))

    @staticmethod
    def reshape(x: OnDevice, shape: tuple[int, ...]) -> OnDevice:
        return OnDevice(x.values.reshape(shape))


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128", "int64"])
def test_arrays_on_a_device_go_through_host_memory(ranks: int, dtype: str) -> None:
    """What arrives is brought back to the device; it is said once that it goes this way."""

    def main(world: World) -> tuple[list[Any], list[str]]:
        def buffer(value: int) -> OnDevice:
            return OnDevice(np.full((2, 3), value, dtype))

        x, y, z, received = buffer(world.rank + 1), buffer(world.rank + 1), buffer(world.rank + 1), buffer(0)
        world.broadcast(x, ranks - 1, "test")
        world.allreduce(buffer(world.rank + 1), y, "test")
        world.reduce(buffer(world.rank + 1), z if world.rank == 0 else None, 0, "test")
        world.exchange(
            [((world.rank + 1) % ranks, buffer(world.rank))], [((world.rank - 1) % ranks, received)], "test"
        ).finish()
        return [np.unique(b.values).tolist() for b in (x, y, z if world.rank == 0 else y, received)]

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        results = on_ranks(ranks, main)
    total = ranks * (ranks + 1) // 2
    assert results == [[[ranks], [total], [total], [(rank - 1) % ranks]] for rank in range(ranks)]
    messages = [str(warning.message) for warning in said]
    assert messages == ["arrays on device go through host memory on their way between ranks"]
