"""Functions that need axes whole are those of one process: matrices, Fourier transforms, recurrent modules."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import holds, normal
from hypothesis import given

L = torch.linalg


def definite(x: Any) -> Any:
    """Return positive definite matrices."""
    return x @ x.mT + 4 * torch.eye(3).double()


CASES: dict[str, tuple[Any, ...]] = {
    "cholesky": (lambda x: L.cholesky(definite(x)), (2, 3, 3)),
    "determinants": (lambda x: (L.det(x), *L.slogdet(definite(x)), torch.logdet(definite(x))), (2, 3, 3)),
    "inverses": (lambda x: (L.inv(definite(x)), L.pinv(definite(x)), L.matrix_power(x, 2)), (2, 3, 3)),
    "solutions": (lambda x, b: L.solve(definite(x), b), (2, 3, 3), (2, 3, 4)),
    "solutions of vectors": (lambda x, b: L.solve(definite(x), b), (2, 3, 3), (2, 3)),
    "a solution": (lambda x, b: L.solve(definite(x), b), (3, 3), (3, 2)),
    "triangles": (lambda x, b: L.solve_triangular(definite(x).tril(), b, upper=False), (2, 3, 3), (2, 3, 4)),
    "factors": (lambda x, b: L.lu_solve(*L.lu_factor(definite(x)), b), (2, 3, 3), (2, 3, 4)),
    "spectra": (lambda x: (L.eigvalsh(definite(x)), L.svdvals(x), L.matrix_exp(x)), (2, 3, 3)),
    "orders of axes": (lambda x: L.tensorinv(x.reshape(3, 2, 6) + torch.eye(6).double().reshape(3, 2, 6)), (6, 6)),
    "powers": (lambda x: L.vander(x, N=3), (2, 3)),
    "fft": (lambda x: (torch.fft.rfft(x), torch.fft.fftn(x, dim=(0, 1)).real), (3, 4, 6)),
    "irfft": (lambda x: torch.fft.irfft2(torch.fft.rfft2(x, norm="ortho") * 2, s=(4, 6)), (2, 4, 6)),
    "shifts": (lambda x: torch.fft.fftshift(x) + torch.fft.ifftshift(x, 1), (3, 4)),
    "stft": (
        lambda x: torch.view_as_real(torch.stft(x, 8, window=torch.ones(8).double(), return_complex=True)),
        (3, 32),
    ),
    "pdist": (F.pdist, (4, 3)),
    "unfold": (lambda x: x.unfold(0, 2, 1), (4, 3)),
    "bags": (lambda w: F.embedding_bag(torch.tensor([[0, 2], [1, 1]]), w, mode="sum"), (3, 4)),
}


@pytest.mark.parametrize("name", CASES)
@given(st.data())
def test_a_function_of_whole_axes_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Leading axes may stay split; the gradients are those of one process."""
    function, *shapes = CASES[name]
    holds(data, function, *shapes, tolerance=1e-10)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@given(st.data())
def test_a_recurrent_module_is_that_of_one_process(kind: str, data: st.DataObject) -> None:
    """Sequences are whole; a module's weights may be plain tensors."""
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(3, 4, 2, batch_first=True, bidirectional=True).double()
    holds(data, lambda x: module(x)[0], normal(2, 5, 3), tolerance=1e-11)
