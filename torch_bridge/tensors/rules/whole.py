"""Functions that have no use for a split: every rank gathers the arguments and computes the whole result.

The result is exact, with the right gradient, at the price of the memory of whole tensors. `torch_bridge.explain` shows it.
Where a function treats the leading axes as a batch, these stay split.
"""

from __future__ import annotations

from typing import Any

import torch

from torch_bridge.tensors.axes import settle
from torch_bridge.tensors.call import Call, Plan, gather, results_of, rule
from torch_bridge.tensors.rules.names import known

MATRICES = """
cholesky cholesky_ex cholesky_inverse cholesky_solve det diagonal eig eigh eigvals eigvalsh geqrf householder_product inv
inv_ex inverse ldl_factor ldl_factor_ex ldl_solve logdet lstsq lu lu_factor lu_factor_ex lu_solve lu_unpack matrix_exp
matrix_power matrix_rank ormqr orgqr pinv pinverse qr slogdet solve solve_ex solve_triangular svd svdvals svd_lowrank pca_lowrank
tensorinv tensorsolve triangular_solve vander vecdot cond cross linalg_cond matrix_norm vecdot _lu_with_info symeig
""".split()
"""Functions of stacks of matrices."""

WHOLE = """
addmv_ allclose equal argwhere as_strided bincount block_diag bucketize cartesian_prod cdist combinations corrcoef cov cross
ctc_loss cumulative_trapezoid diff gradient hash_tensor histc histogram histogramdd index_add index_copy index_fill index_put index_reduce
index_select isin kron lu masked_scatter masked_select meshgrid nonzero one_hot pdist put renorm repeat_interleave
scatter scatter_add scatter_reduce searchsorted select_scatter slice_scatter diagonal_scatter stft istft take
take_along_dim trapezoid trapz tril triu unfold unique unique_consecutive vander rot90 roll flip fliplr flipud diag diagflat
diag_embed diagonal trace embedding_bag fold im2col col2im grid_sampler max_unpool1d max_unpool2d max_unpool3d
nonzero_static masked_scatter_ ormqr quantile nanquantile sum_to_size as_strided_copy alias_copy as_strided_scatter
segment_reduce polar_ atleast_1d atleast_2d atleast_3d logdet gather trapz rms_norm ctc_loss _pack_padded_sequence
local_response_norm triplet_margin_loss triplet_margin_with_distance_loss cosine_embedding_loss multilabel_soft_margin_loss
gru lstm rnn_tanh rnn_relu gru_cell lstm_cell rnn_tanh_cell rnn_relu_cell channel_shuffle native_channel_shuffle
unravel_index resize_as_ set_ hstack squeeze_multiple scatter_ index_fill_ unsafe_index
""".split()
"""Functions that gather."""


def stacked(call: Call, *_: Any, **__: Any) -> Plan:
    """Return the plan of a function of stacks of matrices: the last two axes are whole."""
    return gather(call)


rule(*known(*WHOLE), *known(*MATRICES), *known(*[f"linalg_{n}" for n in MATRICES]))(stacked)


FOURIER = "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 hfft2 ihfft2 fftn ifftn rfftn irfftn hfftn ihfftn fftshift ifftshift".split()


@rule(*[getattr(torch.fft, name) for name in FOURIER])
def fourier(call: Call, x: Any, s: Any = None, dim: Any = "unset", *_: Any, **kwargs: Any) -> Plan:
    """Along axes that are whole on each rank."""
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
    assignment = settle(call.grid, [(x.placement, labels)])
    return Plan([assignment.placement(x.shape, labels)], results_of(call, lambda shape: assignment.placement(shape, labels)))
