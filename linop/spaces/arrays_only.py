"""What an operator on arrays asks of its spaces: arrays of a shape, in one process, with or without weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from linop.arguments import refuse
from linop.errors import ArgumentTypeError, SpaceError
from linop.spaces.euclidean import Euclidean
from linop.spaces.space import Space

SPREAD = (
    "{name} holds numbers for one process; on spaces over several, write DistributedDiagonal(entries, space), another "
    "Distributed..., or Local(domain, codomain, operator) of each process's part"
)
"""What to write in place of a local operator."""


def require_arrays(name: str, *spaces: object) -> None:
    """Raise unless these are spaces of arrays in one process: `Euclidean`, with weights or without.

    Raises
    ------
    TypeError
        When something is no space.
    SpaceError
        When a space has other vectors: tuples, or arrays that are spread over processes.
    """
    for space in spaces:
        if not isinstance(space, Space):
            raise ArgumentTypeError(f"{name}: expected a Space, found {space!r}")
        if not isinstance(space.unweighted, Euclidean):
            told = f"; {SPREAD.format(name=name)}" if space.spread else ""
            refuse(SpaceError(f"{name}: expected a space of arrays in one process, found {space}{told}"), space)


def require_one_process(name: str, *spaces: Space) -> None:
    """Raise, on all processes, where an operator with numbers of its own would lie on spaces over several processes.

    Raises
    ------
    SpaceError
        Naming what to write instead.
    """
    for space in spaces:
        if space.spread:
            refuse(SpaceError(f"{name} : {space}: {SPREAD.format(name=name)}"), space)


def require_real_space_of_complex(name: str, space: Space) -> None:
    """Raise unless this is a real space of complex arrays, where parts and conjugation are linear.

    Raises
    ------
    SpaceError
        Naming the operator and the space that would do.
    """
    require_arrays(name, space)
    if space.dtype.kind != "c":
        raise SpaceError(f"{name} : {space}: expected a real space of complex arrays, found arrays of {space.dtype}")
    if space.field != "real":
        raise SpaceError(
            f"{name} : {space}: not linear over the complex numbers; expected a real space of complex arrays, such as "
            f"Euclidean({space.shape}, {str(space.dtype)!r}, field='real')"
        )


def resolve_codomain(
    name: str, domain: Space, codomain: Space | None, shape: tuple[int, ...], dtype: Any = None
) -> Space:
    """Return the codomain of an operator whose results have a shape and dtype, or raise where the given one is another.

    Parameters
    ----------
    name : str
        Of the operator, for errors.
    domain : Space
        A space of arrays; see `require_arrays`. Its field is the codomain's.
    codomain : Space or None
        What the user asked for. By default the domain, where its shape and dtype are the result's, else an unweighted
        `Euclidean` space.
    shape : tuple of int
        Shape of a result.
    dtype : numpy dtype, optional
        Of a result; the domain's by default.

    Raises
    ------
    SpaceError
        Naming the operator, both spaces, what was found and what was expected.
    """
    dtype = domain.dtype if dtype is None else np.dtype(dtype)
    if codomain is None:
        return domain if (domain.shape, domain.dtype) == (shape, dtype) else Euclidean(shape, dtype, domain.field)
    require_arrays(name, codomain)
    found, expected = (codomain.shape, codomain.dtype.kind, codomain.field), (shape, dtype.kind, domain.field)
    if found != expected:
        raise SpaceError(
            f"{name} : {domain} -> {codomain}: expected a codomain of shape {shape} and dtype {dtype} over the field "
            f"{domain.field!r}, found shape {codomain.shape} of {codomain.dtype} over {codomain.field!r}"
        )
    return codomain
