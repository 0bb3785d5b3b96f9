"""Functions that have no use for a split: every rank gathers the arguments and computes the whole result.

The result is exact, with the right gradient, at the price of the memory of whole tensors. `torch_bridge.explain` shows
it. Where a function treats the leading axes as a batch, these stay split.
"""

from __future__ import annotations

from typing import Any

import torch

from torch_bridge.tensors.axes import elsewhere, settle
from torch_bridge.tensors.call import Call, Plan, Spec, as_it_is, gather, results_of, rule
from torch_bridge.tensors.rules.names import known

MATRICES = """
cholesky cholesky_ex cholesky_inverse cholesky_solve det eig eigh eigvals eigvalsh geqrf householder_product inv
inv_ex inverse ldl_factor ldl_factor_ex ldl_solve logdet lstsq lu lu_factor lu_factor_ex lu_solve lu_unpack matrix_exp
matrix_power matrix_rank ormqr orgqr pinv pinverse qr slogdet solve solve_ex solve_triangular svd svdvals svd_lowrank
pca_lowrank tensorinv tensorsolve triangular_solve vander vecdot cond cross linalg_cond matrix_norm vecdot _lu_with_info
symeig
""".split()
"""Functions of stacks of matrices."""

WHOLE = """
allclose equal argwhere as_strided bincount block_diag bucketize cartesian_prod cdist combinations corrcoef cov
cross ctc_loss cumulative_trapezoid diff gradient hash_tensor histc histogram histogramdd index_add index_copy
index_fill index_put index_reduce index_select isin kron lu masked_scatter masked_select meshgrid nonzero one_hot pdist
put renorm repeat_interleave scatter scatter_add scatter_reduce searchsorted select_scatter slice_scatter
diagonal_scatter stft istft take take_along_dim trapezoid trapz tril triu unfold unique unique_consecutive vander rot90
roll flip fliplr flipud diag diagflat diag_embed diagonal trace embedding_bag fold im2col col2im grid_sampler
max_unpool1d max_unpool2d max_unpool3d nonzero_static ormqr quantile nanquantile sum_to_size
as_strided_copy alias_copy as_strided_scatter segment_reduce polar_ atleast_1d atleast_2d atleast_3d logdet gather trapz
rms_norm ctc_loss _pack_padded_sequence local_response_norm triplet_margin_loss triplet_margin_with_distance_loss
cosine_embedding_loss multilabel_soft_margin_loss gru lstm rnn_tanh rnn_relu gru_cell lstm_cell rnn_tanh_cell
rnn_relu_cell channel_shuffle native_channel_shuffle unravel_index _unsafe_masked_index
_unsafe_masked_index_put_accumulate _chunk_cat _softmax_backward_data native_dropout_backward _log_softmax_backward_data
linalg_diagonal diagonal_copy unfold_copy narrow_copy
""".split()
"""Functions that gather."""


def stacked(call: Call, *_: Any, **__: Any) -> Plan:
    """Return the plan of a function of stacks of matrices: the last two axes are whole, those before may be split."""
    ndim = max((spec.ndim for spec in call.operands), default=0)
    batch = ndim - 2
    shapes = [spec.shape[:-2] for spec in call.operands if spec.ndim > 2]
    if (
        batch < 1
        or len(shapes) < len(call.operands)
        or any(len(shape) != batch for shape in shapes)
        or len(set(shapes)) > 1
    ):
        return gather(call)
    labels = [[*(range(batch) if spec.ndim > 2 else ()), *[None] * min(spec.ndim, 2)] for spec in call.operands]
    results = call.meta()
    tensors = list(results) if isinstance(results, list | tuple) else [results]
    if any(not isinstance(r, torch.Tensor) or tuple(r.shape[:batch]) != tuple(shapes[0]) for r in tensors):
        return gather(call)
    assignment = settle(call.grid, [(spec.placement, names) for spec, names in zip(call.operands, labels, strict=True)])
    targets = [assignment.placement(spec.shape, names) for spec, names in zip(call.operands, labels, strict=True)]
    return Plan(
        targets,
        results_of(call, lambda shape: assignment.placement(shape, [*range(batch), *[None] * (len(shape) - batch)])),
    )


def whole(call: Call, *_: Any, **__: Any) -> Plan:
    """Return the plan that gathers."""
    return gather(call)


rule(*known(*WHOLE))(whole)
rule(*known(*MATRICES), *known(*[f"linalg_{n}" for n in MATRICES]))(stacked)


def along(call: Call, axes: Any) -> Plan:
    """Return the plan of a function that needs some axes of its operands whole, while the others run together."""
    first = call.operands[0]
    labels: list[list[Any]] = [
        [
            None if a in axes or a >= first.ndim or extent != first.shape[a] or spec.ndim != first.ndim else a
            for a, extent in enumerate(spec.shape)
        ]
        for spec in call.operands
    ]
    assignment = settle(call.grid, [(spec.placement, names) for spec, names in zip(call.operands, labels, strict=True)])
    common = {
        a
        for a in range(first.ndim)
        if all(a in names for names, spec in zip(labels, call.operands, strict=True) if spec.ndim)
    }
    assignment = assignment.without([a for a in range(first.ndim) if a not in common])
    targets = [assignment.placement(spec.shape, names) for spec, names in zip(call.operands, labels, strict=True)]
    return Plan(
        targets,
        results_of(
            call, lambda shape: assignment.placement(shape, [a if a in common else None for a in range(len(shape))])
        ),
    )


@rule(*known("flip", "roll", "fliplr", "flipud", "rot90", "tril", "triu"))
def rearranged(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Plan:
    """Axes that are turned are whole on each rank; the others keep their split."""
    name = call.function.__name__
    if name == "fliplr":
        axes: Any = [1]
    elif name == "flipud":
        axes = [0]
    elif name == "rot90":
        axes = kwargs.get("dims", args[1] if len(args) > 1 else (0, 1))
    elif name in ("tril", "triu"):
        axes = (-2, -1)
    elif name == "roll":
        axes = kwargs.get("dims", args[1] if len(args) > 1 else ())
        if axes is None or axes == () or axes == []:
            return gather(call)
    else:
        axes = kwargs.get("dims", args[0] if len(args) == 1 and not isinstance(args[0], int) else args)
    call.meta()
    return along(call, [x.axis(a) for a in ([axes] if isinstance(axes, int) else axes)] if x.ndim else [])


@rule(
    *known(
        "index_add",
        "index_copy",
        "index_fill",
        "index_reduce",
        "renorm",
        "scatter",
        "scatter_add",
        "scatter_reduce",
        "repeat_interleave",
        "diff",
        "logcumsumexp",
        "cumulative_trapezoid",
        "unfold",
    )
)
def along_one(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Plan:
    """One axis is whole on each rank; the others run together where the extents agree."""
    name = call.function.__name__
    if name == "diff":
        dim = kwargs.get("dim", args[1] if len(args) > 1 and isinstance(args[1], int) else -1)
    elif name in ("repeat_interleave",):
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    elif name == "cumulative_trapezoid":
        dim = kwargs.get("dim", -1)
    elif name == "renorm":
        dim = None
    else:
        dim = kwargs.get("dim", kwargs.get("dimension", next((a for a in args if isinstance(a, int)), None)))
    if dim is None or not x.ndim or any(spec.ndim not in (0, 1, x.ndim) for spec in call.operands):
        return gather(call)
    axis = x.axis(dim)
    if any(
        spec.ndim == x.ndim and any(a != axis and n != x.shape[a] for a, n in enumerate(spec.shape))
        for spec in call.operands
    ):
        return gather(call)
    if x.ndim == 1:
        return gather(call)
    return along(call, [axis])


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
