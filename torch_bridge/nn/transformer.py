r"""A layer of a transformer: attention and a perceptron, each added to its input.

.. math:: z = x + A(N_1 x), \quad y = z + W_2\,f(W_1\,N_2 z)

Or normalised afterwards, as torch does by default: :math:`z = N_1(x + A x)`. Along one axis of the grid lie the heads
of the attention A and the hidden features of the perceptron; sequences, and what is in front of them, may be split
along any. What moves is what attention and linear layers move: see `MultiheadAttention`, `MLP`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, final

import torch

from distdl_ops import DistributedSpace
from distdl_ops.compositions.shared import settled
from linop import SpaceError
from torch_bridge.nn.attention import MultiheadAttention
from torch_bridge.nn.dropout import Dropout
from torch_bridge.nn.linear import Linear
from torch_bridge.nn.mlp import name_of, require_no_parameters
from torch_bridge.nn.norm import LayerNorm
from torch_bridge.nn.parameters import begin_as, drawing_nothing


@final
class TransformerEncoderLayer(torch.nn.Module):
    """`torch.nn.TransformerEncoderLayer` with heads, hidden features and sequences on axes of a grid. Collective.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first, bias
        As for `torch.nn.TransformerEncoderLayer`. The activation acts on each entry by itself. Dropout draws other
        numbers than torch's layer, see `Dropout`.
    batch_first : bool, optional
        Only ``True``: axes before those of the domain are batch axes.
    domain : DistributedSpace
        Of the input, with shape (..., length, d_model). The axes in front, and the length, may be split along any axis.
    model_axis : str, optional
        The grid axis along which heads and hidden features lie. By default each rank has them all.
    ring_axis : str, optional
        The grid axis along which keys and values travel; see `MultiheadAttention`.
    overlap : bool, optional
        Whether they travel while they are attended to.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: that of the input.

    Raises
    ------
    SpaceError
        When the spaces do not fit the layer.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import movements
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (8, 16), p=Split(0))
    ...     layer = TransformerEncoderLayer(16, 4, 64, domain=x, model_axis="p")
    ...     found = movements(layer).items()
    ...     return [str(M) for name, M in found if "copy" not in name and "copies" not in name]
    >>> simulate(2, main)[0]
    ['AllGather(p)', 'ReduceScatter(p)', 'AllGather(p)', 'ReduceScatter(p)']
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[torch.Tensor], torch.Tensor] = torch.nn.functional.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = True,
        norm_first: bool = False,
        bias: bool = True,
        *,
        domain: DistributedSpace,
        model_axis: str | None = None,
        ring_axis: str | None = None,
        overlap: bool = False,
    ) -> None:
        super().__init__()

        def sequential(device: str) -> torch.nn.TransformerEncoderLayer:
            return torch.nn.TransformerEncoderLayer(
                *(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, True, norm_first, bias),
                device=device,
            )

        def check() -> Callable[[torch.Tensor], torch.Tensor]:
            if not batch_first:
                raise SpaceError(f"expected batch_first=True, found {batch_first}")
            if domain.ndim < 2 or domain.global_shape[-1] != d_model:
                raise SpaceError(f"expected a domain of shape (..., length, {d_model})")
            try:
                found = sequential("meta").activation
            except (AssertionError, RuntimeError, ValueError) as error:
                raise SpaceError(str(error)) from None
            require_no_parameters(found)
            return found

        sizes = (d_model, nhead, dim_feedforward, dropout, layer_norm_eps, norm_first, bias)
        self.activation = settled(
            "TransformerEncoderLayer",
            domain,
            check,
            lambda _: f"{sizes}, {name_of(activation)}, model={model_axis}, ring={ring_axis}, overlap={overlap}",
        )
        self.codomain, self.norm_first = domain, norm_first
        with drawing_nothing(domain.grid.world):
            self.self_attn = MultiheadAttention(
                *(d_model, nhead, dropout, bias),
                domain=domain,
                head_axis=model_axis,
                ring_axis=ring_axis,
                overlap=overlap,
            )
            self.linear1 = Linear(d_model, dim_feedforward, bias, domain=domain, out_axis=model_axis)
            hidden = self.linear1.codomain
            self.dropout = Dropout(dropout, domain=hidden)
            self.linear2 = Linear(dim_feedforward, d_model, bias, domain=hidden, codomain=domain, in_axis=model_axis)
            self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, domain=domain)
            self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, domain=domain)
            self.dropout1 = Dropout(dropout, domain=domain)
            self.dropout2 = Dropout(dropout, domain=domain)
        begin_as(self, domain.grid.world, lambda: sequential("cpu"))

    def forward(
        self,
        src: torch.Tensor,
        src_mask: torch.Tensor | None = None,
        src_key_padding_mask: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        """Return the result: shape ``(*batch, *domain.shape)``, as the input.

        Parameters
        ----------
        src : tensor, shape ``(*batch, *domain.shape)``
            This rank's part.
        src_mask, src_key_padding_mask, is_causal
            As `MultiheadAttention` takes them.
        """

        def attention(x: torch.Tensor) -> torch.Tensor:
            y, _ = self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, True, is_causal)
            return cast(torch.Tensor, self.dropout1(y))

        def perceptron(x: torch.Tensor) -> torch.Tensor:
            return cast(torch.Tensor, self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x))))))

        if self.norm_first:
            x = src + attention(self.norm1(src))
            return x + perceptron(self.norm2(x))
        x = self.norm1(src + attention(src))
        return cast(torch.Tensor, self.norm2(x + perceptron(x)))
