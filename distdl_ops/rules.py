r"""What may be fused with what: the rewriting rules of movements and local operators; see `linop.simplify`.

With the diagonal :math:`D_S = E_S^* E_S` of `multiplicity`, two movements are one, and a diagonal that costs no
communication:

.. math:: M(S, T)\, M(R, S) = E_T E_S^* E_S E_R^* = E_T D_S E_R^* = M(R, T)\, \mathrm{diag}(E_R d_S)

For copies and partitions D is a number, which comes to the front. All ranks decide alike: nothing here depends on one.
"""

from __future__ import annotations

from distdl_ops.local import Local
from distdl_ops.movement.movement import Movement
from distdl_ops.multiplicity import multiplicity
from distdl_ops.spaces import DistributedSpace
from linop import Diagonal, Euclidean, Identity, LinearOperator, Zero, rule, simplify
from linop.algebra.scale import scale


@rule(Movement, Movement)
def two_movements(left: Movement, right: Movement) -> LinearOperator:
    """``M(S, T) M(R, S) = M(R, T) diag(E_R d_S)``, where S holds entries d_S times; a number comes to the front."""
    source, target = right.domain, left.codomain
    held = multiplicity(left.domain.layout)
    fused = Movement(source, target)
    if held.constant is not None:
        return scale(held.constant, fused) if held.constant else Zero(source, target)
    if target.size < source.size:
        return diagonal(target, held.tensor()) @ fused
    return fused @ diagonal(source, held.tensor())


@rule(Movement)
def nothing_moves(node: Movement) -> LinearOperator | None:
    """``M(S, S) = E_S E_S* = I``, where S holds each entry of its vectors once."""
    layout = node.domain.layout
    return Identity(node.domain) if node.domain == node.codomain and layout.holds_once else None


@rule(Local, Local)
def two_locals(left: Local, right: Local) -> LinearOperator | None:
    """``diag(A_i) diag(B_i) = diag(A_i B_i)``."""
    meet = left.operator.domain == right.operator.codomain
    if not all(left.domain.grid.world.allgather(meet, "simplify")):
        return None
    return Local(right.domain, left.codomain, left.operator @ right.operator)


@rule(Local)
def inside(node: Local) -> LinearOperator | None:
    """What a rank does by itself is simplified by itself; identities on all ranks are one."""
    simpler = simplify(node.operator)
    told = (simpler != node.operator, isinstance(simpler, Identity))
    everyone = node.domain.grid.world.allgather(told, "simplify")
    if node.domain == node.codomain and all(identity for _, identity in everyone):
        return Identity(node.domain)
    return Local(node.domain, node.codomain, simpler) if any(changed for changed, _ in everyone) else None


def diagonal(space: DistributedSpace, entries: object) -> Local:
    """Return the multiplication of a distributed vector by a tensor, entry by entry. No communication.

    Parameters
    ----------
    space : DistributedSpace
        Domain and codomain.
    entries : numpy array, of the logical tensor's shape
        The same on every rank.
    """
    own = Euclidean(space.shape, space.dtype)
    return Local(space, space, Diagonal(space.from_global(entries), own))
