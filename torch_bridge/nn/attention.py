r"""Multi-head attention: heads along one axis of a grid, sequences along others.

.. math:: y = R\,W_o\,M^* A(M q, M k, M v) + C b_o, \quad q = C W_q\,B x + C b_q, \ldots

B brings each rank what it projects: its part of the sequence, whole features. The rows of :math:`W_q, W_k, W_v` and the
columns of :math:`W_o` are cut between heads, so that what follows needs no other rank's heads, until R adds up what the
heads give. This is tensor parallelism: R is an all-reduce, or, where sequences are split along the axis of the heads, B
and R are all-gather and reduce-scatter. Where sequences are split along another axis, there are two ways to A, in which
every query sees all keys:

* M takes sequences to heads, ``Split(sequence) -> Split(heads)``: an all-to-all, whose adjoint is the way back
  (S. A. Jacobs et al., *DeepSpeed Ulysses*, 2023, arXiv:2309.14509).
* Keys and values travel round a `Ring`. A rank sees one block of them after another, see
  `OnlineSoftmax` (H. Liu, M. Zaharia and P. Abbeel, *Ring Attention with Blockwise
  Transformers for Near-Infinite Context*, 2023, arXiv:2310.01889).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import final

import torch

from distdl_ops import Copies, DistributedSpace, Role, Split, balanced
from distdl_ops.compositions.shared import require_codomain, settled
from distdl_ops.intervals import Interval
from linop import SpaceError
from torch_bridge.nn.attention_masks import Mask, Masks
from torch_bridge.nn.dropout import Dropout
from torch_bridge.nn.layer import Layer, moving, nothing, parameter_space
from torch_bridge.nn.linear import Linear
from torch_bridge.nn.online_softmax import OnlineSoftmax
from torch_bridge.nn.parameters import begin_as, drawing_nothing
from torch_bridge.nn.ring import Ring


@final
class MultiheadAttention(Layer):
    """`torch.nn.MultiheadAttention` with heads and sequences on axes of a grid. Collective to build.

    Parameters
    ----------
    embed_dim, num_heads, dropout, bias, kdim, vdim
        As for `torch.nn.MultiheadAttention`. Dropout draws other numbers than torch's layer, see `Dropout`.
    add_bias_kv, add_zero_attn : bool, optional
        Only ``False``.
    batch_first : bool, optional
        Only ``True``: axes before those of the domain are batch axes.
    domain : DistributedSpace
        Of the query, with shape (..., length, embed_dim). The axes in front, and the length, may be split along any
        axis; features along `head_axis` only.
    key_domain, value_domain : DistributedSpace, optional
        Of keys and values, with shapes (..., keys, kdim) and (..., keys, vdim), on the same grid, in any layout. By
        default, they lie as the query and as the key.
    codomain : DistributedSpace, optional
        Of the output, on the same grid. By default, that of the query.
    head_axis : str, optional
        The grid axis along which heads lie. By default each rank has them all.
    ring_axis : str, optional
        The grid axis along which keys and values travel. Without it, sequences that are split along another axis than
        that of the heads are taken to heads.
    overlap : bool, optional
        Whether the next keys and values travel round the ring while a rank attends to the last ones; the same backward.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.

    Raises
    ------
    SpaceError
        When the spaces do not fit the layer; in a call, when masks do not, or weights are asked for.

    Notes
    -----
    A query that may see no key gives zeros.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world, **way):
    ...     x = DistributedSpace(Grid(world, p=2), (6, 8), "float32", p=Split(0))
    ...     layer = MultiheadAttention(8, 4, domain=x, **way)
    ...     part = torch.ones(5, *x.shape)                                         # five sequences
    ...     y, _ = layer(part, part, part, is_causal=True)
    ...     return tuple(layer.in_proj_weight.shape), tuple(y.shape)
    >>> simulate(2, main)[0], simulate(2, lambda world: main(world, ring_axis="p"))[0]    # by all-to-all, by ring
    (((3, 8, 8), (5, 3, 8)), ((3, 8, 8), (5, 3, 8)))
    >>> simulate(2, lambda world: main(world, head_axis="p"))[0]                                 # tensor parallel
    ((3, 4, 8), (5, 3, 8))
    """

    in_proj_weight: torch.nn.Parameter
    in_proj_bias: torch.nn.Parameter
    q_proj_weight: torch.nn.Parameter
    k_proj_weight: torch.nn.Parameter
    v_proj_weight: torch.nn.Parameter

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = True,
        *,
        domain: DistributedSpace,
        key_domain: DistributedSpace | None = None,
        value_domain: DistributedSpace | None = None,
        codomain: DistributedSpace | None = None,
        head_axis: str | None = None,
        ring_axis: str | None = None,
        overlap: bool = False,
    ) -> None:
        super().__init__()
        key_domain = key_domain or domain
        value_domain = value_domain or key_domain
        self.domains = (domain, key_domain, value_domain)
        features = (embed_dim, embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim)

        def sequential(device: str) -> torch.nn.MultiheadAttention:
            return torch.nn.MultiheadAttention(
                embed_dim, num_heads, dropout, bias, kdim=kdim, vdim=vdim, batch_first=True, device=device
            )

        def check() -> None:
            for name, found, only in (
                ("add_bias_kv", add_bias_kv, False),
                ("add_zero_attn", add_zero_attn, False),
                ("batch_first", batch_first, True),
            ):
                if found != only:
                    raise SpaceError(f"expected {name}={only}, found {found}")
            _check(self.domains, features, codomain, head_axis, ring_axis)
            try:
                sequential("meta")
                torch.nn.Dropout(dropout)
            except (AssertionError, ValueError) as error:
                raise SpaceError(str(error)) from None

        settled(
            "MultiheadAttention",
            domain,
            check,
            lambda _: (
                f"{embed_dim}, {num_heads}, {dropout}, {bias}, {features}, {self.domains}, {codomain}, "
                f"head_axis={head_axis}, ring_axis={ring_axis}, overlap={overlap}"
            ),
        )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.codomain = codomain or domain
        world = domain.grid.world
        query_roles = _query_roles(domain, head_axis, ring_axis)
        key_roles = _key_roles(key_domain, query_roles, domain.ndim - 2)
        seen = [
            own.with_roles(**roles)
            for own, roles in zip(self.domains, (query_roles, key_roles, key_roles), strict=True)
        ]
        self.bring_query = moving(domain, seen[0])
        self.bring_key = self.bring_query if (key_domain, seen[1]) == (domain, seen[0]) else moving(key_domain, seen[1])
        same = (value_domain, seen[2]) == (key_domain, seen[1])
        self.bring_value = self.bring_key if same else moving(value_domain, seen[2])

        # Whole sets of heads lie along the axis of the heads; all-to-all cuts each of them.
        heads = balanced(num_heads, domain.grid.axes[head_axis] if head_axis else 1)
        size = math.gcd(*(stop - start for start, stop in heads))
        rows = [(start * self.head_dim, stop * self.head_dim) for start, stop in heads]
        cuts = [(start // size, stop // size) for start, stop in heads]
        flat = _projected(seen[0], (embed_dim,), rows, head_axis)
        sets = [_projected(own, (num_heads // size, size, self.head_dim), cuts, head_axis) for own in seen]
        attending = [_by_heads(own, head_axis, ring_axis) for own in sets]
        self.flat, self.shapes = flat.shape, [own.shape for own in sets]
        self.to_heads = torch.nn.ModuleList(map(moving, sets, attending))
        self.from_heads = moving(attending[0], sets[0])

        self.ring = Ring(attending[1], ring_axis, overlap)
        self.masks = Masks(attending[0], self.ring.spaces)

        spaces: dict[str, DistributedSpace] = {}
        self.copies = torch.nn.ModuleDict()
        shapes = {
            "in_proj_weight": (3, embed_dim, embed_dim),
            "q_proj_weight": (embed_dim, features[0]),
            "k_proj_weight": (embed_dim, features[1]),
            "v_proj_weight": (embed_dim, features[2]),
            "in_proj_bias": (3, embed_dim),
        }
        for name, _ in sequential("meta").named_parameters():
            if name in shapes:
                stack = int(name.startswith("in_"))  # an axis before that of the rows
                spaces[name], self.copies[name] = parameter_space(flat, shapes[name], {domain.ndim - 1: stack})
        with drawing_nothing(world):
            self.add_parameters(spaces, sequential)
            self.drop = Dropout(dropout, domain=attending[0])
            self.out_proj = Linear(embed_dim, embed_dim, bias, domain=flat, codomain=self.codomain, in_axis=head_axis)
        begin_as(self, world, lambda: sequential("cpu"))

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = False,
        attn_mask: torch.Tensor | None = None,
        average_attn_weights: bool = True,  # noqa: ARG002  (torch has it here)
        is_causal: bool = False,
    ) -> tuple[torch.Tensor, None]:
        """Return the output and, as torch's layer where no weights are asked for, None.

        Parameters
        ----------
        query, key, value : tensor, shape ``(*batch, *domain.shape)``
            This rank's parts.
        key_padding_mask : tensor of bool or float, shape ``(*batch, ..., keys)``, optional
            For whole sequences, the same on every rank: which keys to ignore, or what to add to their scores.
        need_weights : bool, optional
            Only ``False``: no rank has the scores of all heads and keys.
        attn_mask : tensor of bool or float, shape (length, keys) or (sequences * num_heads, length, keys), optional
            For whole sequences, the same on every rank: which scores to leave out, or what to add to them. Sequences
            are those of all batch axes and of the domain's axes in front.
        is_causal : bool, optional
            Leave out keys that come after the query, also without `attn_mask`.

        Returns
        -------
        output : tensor, shape ``(*batch, *codomain.shape)``
        None
        """
        world = self.codomain.grid.world
        if need_weights:
            world.fail(SpaceError("MultiheadAttention: expected need_weights=False: no rank has the weights of all"))
        batch = query.shape[: query.ndim - self.codomain.ndim]
        try:
            self.masks.check(batch, key_padding_mask, attn_mask)
        except SpaceError as error:
            world.fail(SpaceError(f"MultiheadAttention: {error}"))
        q, k, v = (
            move(projected) for move, projected in zip(self.to_heads, self._projections(query, key, value), strict=True)
        )
        parts: Iterator[Mask] = self.masks(batch, key_padding_mask, attn_mask, is_causal)
        y = self._attend(q, torch.stack([k, v]), parts)
        return self.out_proj(self.from_heads(y).reshape(*batch, *self.flat)), None

    def _projections(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        """Return this rank's queries, keys and values, in sets of heads."""
        own = {name: copy(getattr(self, name)) for name, copy in self.copies.items()}
        stack = own.get("in_proj_weight")
        weights = [own[f"{name}_proj_weight"] for name in "qkv"] if stack is None else list(stack)
        biases = list(own["in_proj_bias"]) if "in_proj_bias" in own else [None] * 3
        brought: dict[tuple[int, int], torch.Tensor] = {}
        found = []
        brings = (self.bring_query, self.bring_key, self.bring_value)
        for index, (tensor, bring, shape) in enumerate(zip(inputs, brings, self.shapes, strict=True)):
            place = (id(tensor), id(bring))
            if place not in brought:
                brought[place] = bring(tensor)
            x = brought[place]
            batch = x.shape[: x.ndim - self.codomain.ndim]
            if 0 in shape:
                y = nothing((*batch, *shape), x, *own.values())
            else:
                y = torch.nn.functional.linear(x, weights[index], biases[index]).reshape(*batch, *shape)
            found.append(y)
        return found

    def _attend(self, q: torch.Tensor, kv: torch.Tensor, masks: Iterator[Mask]) -> torch.Tensor:
        """Return what this rank's queries find in all keys, as the queries lie."""
        queries = _heads_first(q)
        drops = self.training and self.drop.p > 0
        if len(self.ring.spaces) == 1 and not drops:
            mask = next(masks)
            if 0 in q.shape or 0 in kv.shape or mask.nothing:
                return nothing(q.shape, q, kv)
            k, v = map(_heads_first, kv)
            added = None if mask.added is None else mask.added.to(queries)
            y = torch.nn.functional.scaled_dot_product_attention(queries, k, v, added, is_causal=mask.triangular)
        else:
            online = OnlineSoftmax(queries / math.sqrt(self.head_dim))
            for block, mask in zip(self.ring(kv), masks, strict=True):
                k, v = map(_heads_first, block)
                if mask.nothing:
                    online.pass_by(k, v)
                else:
                    online.see(k, v, mask.added, self.drop if drops else None)
            y = online.result()
        return y.transpose(-3, -2).reshape(q.shape)


def _heads_first(x: torch.Tensor) -> torch.Tensor:
    """Return (..., heads, length, features) of (..., length, sets, heads in a set, features)."""
    return x.flatten(-3, -2).transpose(-3, -2)


# -- layouts -----------------------------------------------------------------------------------------------------------


def _check(
    domains: tuple[DistributedSpace, ...],
    features: tuple[int, ...],
    codomain: DistributedSpace | None,
    head_axis: str | None,
    ring_axis: str | None,
) -> None:
    """Raise unless the spaces are those of queries, keys and values, and what lies along an axis can lie there."""
    domain, keys = domains[0], domains[1].global_shape[-2:-1]
    lead = domain.global_shape[:-2]
    require_codomain(domain, codomain, domain.global_shape, domain.dtype)
    for space in (*domains[1:], codomain or domain):
        if not isinstance(space, DistributedSpace) or space.grid != domain.grid or space.dtype != domain.dtype:
            raise SpaceError(f"expected spaces of one dtype on one grid, found {space}")
    for what, space, count, length in zip(
        ("domain", "key_domain", "value_domain"),
        domains,
        features,
        (domain.global_shape[-2:-1], keys, keys),
        strict=True,
    ):
        shape = (*lead, *length, count)
        if space.ndim < 2 or space.global_shape != shape:
            raise SpaceError(f"expected a {what} of shape {shape}, found {space}")
        for axis in domain.grid.axes:
            if not space.layout.holds_once_along(axis):
                raise SpaceError(f"expected each entry once, found {axis}={space.roles[axis]} of the {what}")
    for name in (head_axis, ring_axis):
        if name is not None and name not in domain.grid.axes:
            raise SpaceError(f"the grid has no axis {name!r}")
    if head_axis is not None and head_axis == ring_axis:
        raise SpaceError(f"expected heads and the ring along two axes, found {head_axis!r} twice")
    for axis, role in domain.roles.items():
        if isinstance(role, Split) and role.axis == domain.ndim - 1 and axis != head_axis:
            raise SpaceError(f"features are split along the heads' axis only, found {axis}={role}")
        if (
            isinstance(role, Split)
            and role.axis == domain.ndim - 2
            and ring_axis
            and axis not in (head_axis, ring_axis)
        ):
            raise SpaceError(f"with a ring, sequences are split along it only, found {axis}={role}")


def _query_roles(domain: DistributedSpace, head_axis: str | None, ring_axis: str | None) -> dict[str, Role]:
    """Return how queries lie where they are projected: whole for every head, and split along the ring."""
    roles = domain.roles
    if head_axis is not None:
        roles = {**roles, head_axis: Copies()}
    if ring_axis is not None:
        roles = {**roles, ring_axis: _split_like(domain.roles[ring_axis], domain.ndim - 2)}
    return roles


def _key_roles(domain: DistributedSpace, query_roles: dict[str, Role], sequence: int) -> dict[str, Role]:
    """Return how keys and values lie where they are projected: sequences split where the queries' are."""
    return {
        axis: _split_like(domain.roles[axis], sequence) if isinstance(role, Split) and role.axis == sequence else role
        for axis, role in query_roles.items()
    }


def _split_like(role: Role, axis: int) -> Split:
    """Return how a tensor axis is split: as the role says, if it does, else balanced."""
    return role if isinstance(role, Split) and role.axis == axis else Split(axis)


def _projected(
    seen: DistributedSpace, features: tuple[int, ...], cuts: Sequence[Interval], head_axis: str | None
) -> DistributedSpace:
    """Return how projections lie: the first axis of their features is cut between the ranks of the heads' axis."""
    first = seen.ndim - 1
    roles = dict(seen.roles)
    if head_axis is not None:
        roles[head_axis] = Split(first, cuts)
    return DistributedSpace(seen.grid, (*seen.global_shape[:-1], *features), seen.dtype, seen.field, **roles)


def _by_heads(sets: DistributedSpace, head_axis: str | None, ring_axis: str | None) -> DistributedSpace:
    """Return how projections lie for attention: where sequences are split, but along the ring, sets of heads are."""
    sequence, within = sets.ndim - 4, sets.ndim - 2
    return sets.with_roles(
        **{
            axis: Split(within)
            for axis, role in sets.roles.items()
            if isinstance(role, Split) and role.axis == sequence and axis not in (head_axis, ring_axis)
        }
    )
