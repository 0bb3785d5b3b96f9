"""The movements that have a name: one for each pair of roles along a grid axis.

Each checks that the roles of its two spaces are its own. It is the class of every movement between such spaces, whoever
makes it: ``Movement(S, T)`` is a `Broadcast` where ``Broadcast(S, T)`` is one, and the two are equal. Which pair of
roles has which name stands in one table, that of `distdl_ops.movement.movement`.
"""

from typing import final

from distdl_ops.movement.movement import Movement


@final
class Broadcast(Movement):
    """Broadcast: one rank's tensor to all ranks of a grid axis. Collective.

    =========  ==========================================================
    map        ``At -> Copies`` or ``At -> Replicated``: every rank receives x
    adjoint    to ``Copies``, the sum of all copies (`SumReduce`); to ``Replicated``, a `Pick`, because the one vector
               that all ranks store has one cotangent
    matrix     p identities under each other; to ``Replicated``, the identity
    =========  ==========================================================

    Parameters
    ----------
    source : DistributedSpace
        ``At(i)`` along the axes that are broadcast along.
    target : DistributedSpace
        ``Copies()`` or ``Replicated()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, Copies, DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2,), rows=At(0))
    ...     A = Broadcast(S, S.with_roles(rows=Copies()))
    ...     y = A(S.from_global(np.array([1.0, 2.0])))
    ...     return str(A.H), y.tolist(), A.H(y).tolist()
    >>> simulate(2, main)
    [('SumReduce(rows)', [1.0, 2.0], [2.0, 4.0]), ('SumReduce(rows)', [1.0, 2.0], [])]
    """


@final
class Scatter(Movement):
    """Scatter: one rank's tensor, cut into intervals, to the ranks of a grid axis. Collective.

    =========  ==========================================================
    map        ``At -> Split``: rank i receives the entries in its interval
    adjoint    ``Split -> At``, a gather, which adds what intervals have in common
    matrix     rows of the identity: a permutation, where the intervals divide the tensor axis
    =========  ==========================================================

    Parameters
    ----------
    source : DistributedSpace
        ``At(i)`` along the axes that are scattered along.
    target : DistributedSpace
        ``Split`` there, into any intervals: with overlap, every rank receives a halo at once. The same roles as the
        source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=At(1))
    ...     A = Scatter(S, S.with_roles(rows=Split(0)))
    ...     return A(S.from_global(np.array([1.0, 2.0, 3.0]))).tolist(), str(A.H)
    >>> simulate(2, main)
    [([1.0, 2.0], 'Gather(rows)'), ([3.0], 'Gather(rows)')]
    """


@final
class AllGather(Movement):
    """All-gather: the tensor that the ranks of a grid axis hold in intervals, to all of them. Collective.

    =========  ==========================================================
    map        ``Split -> Copies`` or ``Split -> Replicated``: every rank receives every interval
    adjoint    from ``Copies``, a reduce-scatter: the cotangents of p vectors are summed; from ``Replicated``, a slice
               without communication, for the one vector that all ranks store has one cotangent
    matrix     p times the columns of the identity, under each other; to ``Replicated``, once
    =========  ==========================================================

    Where intervals overlap, what they have in common is added; entries that no interval has are zero.

    Parameters
    ----------
    source : DistributedSpace
        ``Split`` along the axes that are gathered along, into any intervals.
    target : DistributedSpace
        ``Copies()`` or ``Replicated()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     A = AllGather(S, S.with_roles(rows=Copies()))
    ...     y = A(S.from_global(np.array([1.0, 2.0, 3.0])))
    ...     return y.tolist(), str(A.H), A.H(y).tolist()
    >>> simulate(2, main)[0]
    ([1.0, 2.0, 3.0], 'ReduceScatter(rows)', [2.0, 4.0])
    """


@final
class Gather(Movement):
    """Gather: the tensor that the ranks of a grid axis hold in intervals, to one of them. Collective.

    =========  ==========================================================
    map        ``Split -> At``: the rank receives every interval
    adjoint    ``At -> Split``, a scatter
    matrix     columns of the identity: a permutation, where the intervals divide the tensor axis
    =========  ==========================================================

    Where intervals overlap, what they have in common is added; entries that no interval has are zero.

    Parameters
    ----------
    source : DistributedSpace
        ``Split`` along the axes that are gathered along, into any intervals.
    target : DistributedSpace
        ``At(i)`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     A = Gather(S, S.with_roles(rows=At(1)))
    ...     return A(S.from_global(np.array([1.0, 2.0, 3.0]))).tolist(), str(A.H)
    >>> simulate(2, main)
    [([], 'Scatter(rows)'), ([1.0, 2.0, 3.0], 'Scatter(rows)')]
    """


@final
class SumReduce(Movement):
    """Sum-reduce: the sum of all ranks' tensors, to one rank of a grid axis. Collective.

    =========  ==========================================================
    map        ``Copies -> At``: the rank receives the sum of p vectors
    adjoint    ``At -> Copies``, a broadcast
    matrix     p identities side by side
    =========  ==========================================================

    Parameters
    ----------
    source : DistributedSpace
        ``Copies()`` along the axes that are summed over.
    target : DistributedSpace
        ``At(i)`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, Copies, DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (2,), rows=Copies())
    ...     return SumReduce(S, S.with_roles(rows=At(1)))(np.full(2, world.rank + 1.0)).tolist()
    >>> simulate(3, main)
    [[], [6.0, 6.0], []]
    """


@final
class ReduceScatter(Movement):
    """Reduce-scatter: the sum of all ranks' tensors, cut into intervals, to the ranks of a grid axis. Collective.

    =========  ==========================================================
    map        ``Copies -> Split``: rank i receives its interval of the sum of p vectors
    adjoint    ``Split -> Copies``, an all-gather
    matrix     p times the rows of the identity, side by side
    =========  ==========================================================

    Parameters
    ----------
    source : DistributedSpace
        ``Copies()`` along the axes that are summed over.
    target : DistributedSpace
        ``Split`` there, into any intervals; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Copies())
    ...     A = ReduceScatter(S, S.with_roles(rows=Split(0)))
    ...     return A((world.rank + 1) * np.array([1.0, 2.0, 3.0])).tolist(), str(A.H)
    >>> simulate(2, main)
    [([3.0, 6.0], 'AllGather(rows)'), ([9.0], 'AllGather(rows)')]
    """


@final
class AllReduce(Movement):
    """All-reduce: the sum of all ranks' tensors, as the one vector that every rank of a grid axis stores.

    =========  ==========================================================
    map        ``Copies -> Replicated``: the sum of p vectors is one vector
    adjoint    ``Replicated -> Copies``, a copy without communication
    matrix     p identities side by side
    =========  ==========================================================

    An all-sum-reduce, ``Copies -> Copies``, computes the same numbers as p vectors, and is its own adjoint.

    Parameters
    ----------
    source : DistributedSpace
        ``Copies()`` along the axes that are summed over.
    target : DistributedSpace
        ``Replicated()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (2,), rows=Copies())
    ...     A = AllReduce(S, S.with_roles(rows=Replicated()))
    ...     y = A(np.full(2, world.rank + 1.0))
    ...     return y.tolist(), str(A.H), A.H(y).tolist()
    >>> simulate(3, main)[1]
    ([6.0, 6.0], 'Copy(rows)', [6.0, 6.0])
    """


@final
class AllSumReduce(Movement):
    """All-sum-reduce: the sum of all ranks' tensors, to a copy on every rank of a grid axis. Collective.

    =========  ==========================================================
    map        ``Copies -> Copies``: every rank receives the sum of p vectors
    adjoint    itself: every rank's cotangents are summed as well
    matrix     p by p identities
    =========  ==========================================================

    An all-reduce, ``Copies -> Replicated``, computes the same numbers, but its result is one vector that all ranks
    store. Its adjoint is a copy without communication. Taking one for the other is the most common wrong gradient of
    distributed training: off by a factor p.

    Parameters
    ----------
    source, target : DistributedSpace
        ``Copies()`` along the axes that are summed over; the same roles along all others.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (2,), rows=Copies())
    ...     A = AllSumReduce(S, S)
    ...     return A(np.full(2, world.rank + 1.0)).tolist(), A.H == A
    >>> simulate(3, main)
    [([6.0, 6.0], True), ([6.0, 6.0], True), ([6.0, 6.0], True)]
    """


@final
class Pick(Movement):
    """Pick: of the vector that all ranks of a grid axis store, one rank's replica. No communication..

    =========  ==========================================================
    map        ``Replicated -> At``: the rank keeps the vector, the others drop it
    adjoint    ``At -> Replicated``, a broadcast
    matrix     the identity
    =========  ==========================================================

    Parameters
    ----------
    source : DistributedSpace
        ``Replicated()`` along the axes in question.
    target : DistributedSpace
        ``At(i)`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2,), rows=Replicated())
    ...     A = Pick(S, S.with_roles(rows=At(1)))
    ...     return A(np.array([1.0, 2.0])).tolist(), str(A.H), world.traffic.messages
    >>> simulate(2, main)
    [([], 'Broadcast(rows)', 0), ([1.0, 2.0], 'Broadcast(rows)', 0)]
    """


@final
class Slice(Movement):
    """Slice: of the vector that all ranks of a grid axis store, everyone's interval. No communication..

    =========  ==========================================================
    map        ``Replicated -> Split``: rank i keeps the entries in its interval
    adjoint    ``Split -> Replicated``, an all-gather, which adds what intervals have in common
    matrix     rows of the identity: a permutation, where the intervals divide the tensor axis
    =========  ==========================================================

    Parameters
    ----------
    source : DistributedSpace
        ``Replicated()`` along the axes in question.
    target : DistributedSpace
        ``Split`` there, into any intervals; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Replicated, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Replicated())
    ...     A = Slice(S, S.with_roles(rows=Split(0)))
    ...     return A(np.array([1.0, 2.0, 3.0])).tolist(), str(A.H), world.traffic.messages
    >>> simulate(2, main)
    [([1.0, 2.0], 'AllGather(rows)', 0), ([3.0], 'AllGather(rows)', 0)]
    """


@final
class Copy(Movement):
    """Copy: of the vector that all ranks of a grid axis store, a vector of each rank's own. No communication..

    =========  ==========================================================
    map        ``Replicated -> Copies``: one vector becomes p equal ones
    adjoint    ``Copies -> Replicated``, an all-reduce: the cotangents of p vectors are summed
    matrix     p identities under each other
    =========  ==========================================================

    This is how the weights enter a data-parallel network: nothing moves, and the all-reduce of the gradients follows.

    Parameters
    ----------
    source : DistributedSpace
        ``Replicated()`` along the axes in question.
    target : DistributedSpace
        ``Copies()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2,), rows=Replicated())
    ...     A = Copy(S, S.with_roles(rows=Copies()))
    ...     y = A(np.array([1.0, 2.0]))
    ...     return y.tolist(), world.traffic.messages, str(A.H), A.H(y).tolist()
    >>> simulate(2, main)[1]
    ([1.0, 2.0], 0, 'AllReduce(rows)', [2.0, 4.0])
    """
