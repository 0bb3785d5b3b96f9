"""Operators of every kind that the bridge is tested with."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from linop import (
    IRFFT,
    RFFT,
    Block,
    BlockDiagonal,
    Conjugation,
    Euclidean,
    HStack,
    Identity,
    LinearOperator,
    Matrix,
    RealPart,
    VStack,
)

A = Matrix(np.arange(6.0).reshape(2, 3) - 2)
B = Matrix(np.array([[1.0, -2.0, 0.0], [3.0, 1.0, 4.0], [0.0, 2.0, -1.0]]))
REAL_PLANE = Euclidean(3, complex, field="real")

OPERATORS: dict[str, LinearOperator] = {
    "matrix": A,
    "chain": A @ (0.5 * B) @ B.H,
    "identity": Identity(Euclidean((2, 3))),
    "complex": Matrix(np.array([[1 + 2j, 3j], [2, 1 - 1j]])),
    "real to complex": RFFT(Euclidean(5)),
    "complex to real": IRFFT(REAL_PLANE, 5),
    "real part": RealPart(REAL_PLANE),
    "conjugation": Conjugation(REAL_PLANE),
    "tuple in": HStack(A, Matrix(np.ones((2, 4)))),
    "tuple out": VStack(A, B),
    "the same twice": VStack(Identity(Euclidean(3)), Identity(Euclidean(3))),
    "tuples": Block([[A, None], [B, Identity(Euclidean(3))]]),
    "nested tuples": BlockDiagonal(Block([[A, None], [B, Identity(Euclidean(3))]]), B),
    "mixed fields": BlockDiagonal(RFFT(Euclidean(4)), B),
    "nothing": Identity(Euclidean((0, 2))),
}


@pytest.fixture(params=list(OPERATORS))
def operator(request: pytest.FixtureRequest) -> LinearOperator:
    """Each of these operators in its turn."""
    return OPERATORS[request.param]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let ranks share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
