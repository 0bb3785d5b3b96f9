"""Functions that have no use for a split: every rank gathers the arguments and computes the whole result.

The result is exact, with the right gradient, at the price of the memory of whole tensors. `torch_bridge.explain` shows
it. Where a function treats the leading axes as a batch, these stay split.
"""

from __future__ import annotations

from typing import Any

import torch

from torch_bridge.tensors.axes import bring_together, elsewhere, labelled, settle
from torch_bridge.tensors.call import Call, Plan, Spec, as_it_is, gather, results_of, rule, rule_of_intervals
from torch_bridge.tensors.rules.entrywise import broadcast
from torch_bridge.tensors.rules.extents import held_here
from torch_bridge.tensors.rules.names import known

MATRICES = """
cholesky cholesky_ex cholesky_inverse cholesky_solve det eig eigh eigvals eigvalsh geqrf householder_product inv
inv_ex inverse ldl_factor ldl_factor_ex ldl_solve logdet lstsq lu lu_factor lu_factor_ex lu_solve lu_unpack matrix_exp
matrix_power matrix_rank ormqr orgqr pinv pinverse qr slogdet solve solve_ex solve_triangular svd svdvals svd_lowrank
pca_lowrank triangular_solve _lu_with_info
""".split()
"""Functions of stacks of matrices."""

REFLECTORS = {"linalg_householder_product", "orgqr", "ormqr"}
"""Those whose second argument is a stack of vectors."""

SOLVERS = {"linalg_solve", "linalg_solve_ex"}
"""Those whose second argument is one if its shape is that of the first without the last axis."""

WHOLE = """
argwhere as_strided bincount cartesian_prod combinations ctc_loss hash_tensor histc histogram histogramdd index_put
_unsafe_index _unsafe_index_put _unsafe_masked_index _unsafe_masked_index_put_accumulate masked_scatter masked_select
nonzero nonzero_static pdist put segment_reduce unique unique_consecutive embedding_bag as_strided_copy
as_strided_scatter _pack_padded_sequence gru lstm rnn_tanh rnn_relu gru_cell lstm_cell rnn_tanh_cell rnn_relu_cell
_chunk_cat tensorinv tensorsolve unravel_index polar_ searchsorted gradient cumulative_trapezoid
""".split()
"""Functions that gather."""


def stacked(call: Call, *_: Any, **__: Any) -> Plan:
    """Stacks of matrices: the last two axes are whole, those before may be split."""
    first, name = call.operands[0], call.function.__name__
    batch = tuple(first.shape[:-2])
    labels: list[list[Any]] = []
    for k, spec in enumerate(call.operands):
        second = (name in REFLECTORS or (name in SOLVERS and spec.shape == first.shape[:-1])) and k == 1
        vectors = second or not (spec.dtype.is_floating_point or spec.dtype.is_complex)  # pivots are whole numbers
        stack = max(spec.ndim - (1 if vectors else 2), 0)
        if spec.ndim and tuple(spec.shape[:stack]) != batch:
            return gather(call)
        labels.append([*range(stack), *[None] * (spec.ndim - stack)])
    results = call.meta()
    tensors = list(results) if isinstance(results, list | tuple) else [results]
    if any(not isinstance(r, torch.Tensor) or tuple(r.shape[: len(batch)]) != batch for r in tensors):
        return gather(call)
    return labelled(call, labels, [*range(len(batch)), None, None])


@rule(*known(*WHOLE))
def whole(call: Call, *_: Any, **__: Any) -> Plan:
    """All is brought together."""
    return gather(call)


rule(*known(*MATRICES), torch.linalg.cond)(stacked)


@rule(torch.linalg.vander, torch.vander)
def vander(call: Call, x: Spec, *_: Any, **__: Any) -> Plan:
    """Vectors that are whole on each rank."""
    batch = list(range(x.ndim - 1))
    return labelled(call, [[*batch, None]], [*batch, None, None])


def along(call: Call, axes: Any) -> Plan:
    """Return the plan of a function that needs some axes of its operands whole, while the others run together.

    Operands with another number of axes, as indices are, are whole.
    """
    first = call.operands[0]
    alike = [spec for spec in call.operands if spec.ndim == first.ndim]
    common = [
        None if a in axes or any(spec.shape[a] != extent for spec in alike) else a
        for a, extent in enumerate(first.shape)
    ]
    return labelled(call, [common if spec.ndim == first.ndim else [None] * spec.ndim for spec in call.operands], common)


@rule(*known("rot90"))
def rot90(call: Call, x: Spec, k: int = 1, dims: Any = (0, 1)) -> Plan:
    """Axes that are turned are whole on each rank; the others keep their split."""
    call.meta()
    return along(call, [x.axis(a) for a in dims])


@rule_of_intervals(*known("tril", "triu"))
def triangle(call: Call, x: Spec, diagonal: int = 0) -> Plan:
    """Each rank's diagonal begins where its rows and columns do."""
    call.meta()
    source = bring_together(x.placement, ())
    rows, columns = held_here(source)[-2:]
    cut = getattr(torch, call.function.__name__)
    return Plan([source], source, lambda _, part: cut(part, diagonal + rows[0] - columns[0]))


@rule(*known("index_add", "index_copy", "index_fill", "index_reduce", "scatter", "scatter_add", "scatter_reduce"))
def scattered(call: Call, x: Spec, dim: int, *_: Any, **__: Any) -> Plan:
    """One axis is whole on each rank; the others run together where the extents agree."""
    return along(call, [x.axis(dim)]) if x.ndim else gather(call)


@rule(torch.Tensor.unfold, *known("unfold_copy"))
def unfolded(call: Call, x: Spec, dimension: int, size: int, step: int) -> Plan:
    """Windows along an axis that is whole on each rank; their entries are a last axis."""
    axis = x.axis(dimension)
    kept = [None if a == axis else a for a in range(x.ndim)]
    return labelled(call, [kept], [*kept, None] if x.ndim else [None])


@rule(*known("repeat_interleave"))
def repeat_interleave(call: Call, x: Spec, repeats: Any = None, dim: Any = None, **_: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return gather(call) if dim is None or not x.ndim else along(call, [x.axis(dim)])


@rule(*known("diff"))
def diff(call: Call, x: Spec, n: int = 1, dim: int = -1, *_: Any, **__: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    axis = x.axis(dim)
    kept = [None if a == axis else a for a in range(x.ndim)]
    return labelled(call, [kept] * len(call.operands), kept)


@rule(*known("trapezoid", "trapz"))
def trapezoid(call: Call, y: Spec, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    """Means of neighbours times their distances, added up."""
    if isinstance(x, Spec) and x.ndim not in (1, y.ndim):
        return gather(call)
    axis = y.axis(dim)
    call.meta()

    def composed(y: Any, x: Any = None, **_: Any) -> Any:
        ends = [[slice(None)] * axis + [slice(1, None)], [slice(None)] * axis + [slice(-1)]]
        above, below = (y[tuple(index)] for index in ends)
        width: Any = dx
        if isinstance(x, torch.Tensor):
            x = x.reshape([-1 if a == axis else 1 for a in range(y.ndim)]) if x.ndim == 1 else x
            width = x[tuple(ends[0])] - x[tuple(ends[1])]
        return ((above + below) * width).sum(axis) / 2

    return composed


@rule(*known("renorm"))
def renorm(call: Call, x: Spec, p: Any, dim: int, *_: Any) -> Plan:
    """Slices that are whole on each rank."""
    axis = x.axis(dim)
    kept = [a if a == axis else None for a in range(x.ndim)]
    return labelled(call, [kept], kept)


@rule(*known("cross"), torch.linalg.cross)
def cross(call: Call, x: Spec, y: Spec, *args: Any, **kwargs: Any) -> Plan:
    """Along an axis that is whole on each rank, after broadcasting."""
    ndim, labels, shape = broadcast(call)
    dim = kwargs.get("dim", args[0] if args else None)
    if dim is None:
        dim = -1 if call.function is torch.linalg.cross else next((a for a, n in enumerate(shape) if n == 3), -1)
    axis = dim % ndim
    labels = [[None if a == axis else a for a in names] for names in labels]
    return labelled(call, labels, [None if a == axis else a for a in range(ndim)])


@rule(torch.linalg.vecdot)
def vecdot(call: Call, *_: Any, **__: Any) -> Any:
    """A sum of products."""
    call.meta()
    return lambda x, y, *, dim=-1: (x.conj() * y).sum(dim)


@rule(*known("cdist"))
def cdist(call: Call, x: Spec, y: Spec, *_: Any, **__: Any) -> Plan:
    """A distance for each row of the one and of the other; their entries are whole on each rank."""
    batch = max(x.ndim, y.ndim) - 2
    shape = tuple(call.meta().shape)
    labels = [
        [*(a if n == shape[a] else None for a, n in enumerate(spec.shape[:-2], batch + 2 - spec.ndim)), row, None]
        for spec, row in ((x, "row"), (y, "column"))
    ]
    return labelled(call, labels, [*range(batch), "row", "column"])


@rule(*known("bucketize"))
def bucketize(call: Call, x: Spec, *_: Any, **__: Any) -> Plan:
    """Entry by entry; the boundaries are whole on each rank."""
    return beside(call, x)


@rule(*known("isin"))
def isin(call: Call, x: Any, *_: Any, **__: Any) -> Plan:
    """Entry by entry; what they are looked up in is whole on each rank."""
    return beside(call, x) if isinstance(x, Spec) else gather(call)


@rule(*known("take"))
def take(call: Call, x: Spec, index: Spec) -> Plan:
    """An entry for each of the index; what they are taken from is whole on each rank."""
    return beside(call, index)


def beside(call: Call, x: Spec) -> Plan:
    """Return the plan of a function of one operand's entries, for which the other operands are whole."""
    own = list(range(x.ndim))
    return labelled(call, [own if spec is x else [None] * spec.ndim for spec in call.operands], own)


@rule(*known("stft"), torch._C._VariableFunctions.stft)  # type: ignore[attr-defined]
def stft(call: Call, x: Spec, *_: Any, **__: Any) -> Plan:
    """Signals may be split, not their times."""
    batch = ["b"] if x.ndim == 2 else []
    labels = [[*batch, None] if spec is x else [None] * spec.ndim for spec in call.operands]
    return labelled(call, labels, [*batch, None, None, None])


@rule(*known("istft"))
def istft(call: Call, x: Spec, *_: Any, **__: Any) -> Plan:
    """Signals may be split, not their times."""
    signals = x.ndim - (not x.dtype.is_complex) == 3
    batch = ["b"] if signals else []
    labels = [[*batch, *[None] * (x.ndim - len(batch))] if spec is x else [None] * spec.ndim for spec in call.operands]
    return labelled(call, labels, [*batch, None])


@rule(*known("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "new_empty_strided"))
def factory(call: Call, x: Spec, *_: Any, **__: Any) -> Plan:
    """A new tensor, whole on every rank, and so are the numbers that it is made of."""
    whole = [spec.placement.whole() for spec in call.operands[1:]]
    return Plan([x.placement, *whole], as_it_is(call.grid), skip=False)


FOURIER = """
fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 hfft2 ihfft2 fftn ifftn rfftn irfftn hfftn ihfftn
fftshift ifftshift
""".split()


@rule(*[getattr(torch.fft, name) for name in FOURIER])
def fourier(call: Call, x: Any, s: Any = None, dim: Any = "unset", *_: Any, **kwargs: Any) -> Plan:
    """Along axes that are whole on each rank, because others are split in their place."""
    name = call.function.__name__.removeprefix("fft_")
    shift = name.endswith("shift")
    if shift:
        given, s = (s if dim == "unset" else dim), None
        axes = range(x.ndim) if given is None else [given] if isinstance(given, int) else given
    else:
        given = kwargs.get("dim", dim)
        if given == "unset" or given is None:
            sizes = s if s is not None else kwargs.get("s")
            if name.endswith("2"):
                axes = (-2, -1)
            elif name.endswith("n"):
                axes = range(x.ndim) if sizes is None else range(x.ndim - len(sizes), x.ndim)
            else:
                axes = (-1,)
        else:
            axes = [given] if isinstance(given, int) else given
    whole = {x.axis(a) for a in axes}
    labels = [None if a in whole else a for a in range(x.ndim)]
    assignment = settle(call.grid, [(elsewhere(x.placement, whole), labels)])
    return Plan(
        [assignment.placement(x.shape, labels)], results_of(call, lambda shape: assignment.placement(shape, labels))
    )
