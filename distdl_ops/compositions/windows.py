"""Sliding windows, or patches, of a distributed tensor, each with a taper.

=========  ==========================================================
map        ``y_(k, i) = t_i x_(k s + i)``: every rank receives what its windows see
adjoint    that of ``Local(Windows) @ Movement``: windows overlap and add, across ranks as well
matrix     that of `linop.Windows` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from distdl_ops.compositions.shared import (
    fingerprint,
    local,
    moved,
    require_codomain,
    result_space,
    settled,
    space_seen,
    whole,
)
from distdl_ops.compositions.stencils.windows import Window
from distdl_ops.spaces import DistributedSpace
from linop import Euclidean, LinearOperator, Windows, Zero
from linop.arguments import checked
from linop.operators.indexing.windows import WindowsPlan, windows_plan


@checked
def DistributedWindows(
    domain: DistributedSpace,
    size: int | Sequence[int],
    step: int | Sequence[int] = 1,
    *,
    taper: npt.ArrayLike | None = None,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return ``Local(Windows) @ Movement``: `linop.Windows`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    size, step, taper
        As for `linop.Windows`; the same on every rank.
    codomain : DistributedSpace, optional
        How the windows are to lie: tensors of shape ``(*carried, *counts, *size)``. A window is whole where it is
        computed. By default, their numbers are split as the axes of the tensor are, evenly.

    Raises
    ------
    SpaceError
        When `linop.Windows` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (6,), rows=Split(0))
    ...     W = DistributedWindows(S, 3, 1, taper=[1.0, 2.0, 1.0])
    ...     return W(S.from_global(np.arange(6.0))).tolist()
    >>> simulate(2, main)
    [[[0.0, 2.0, 2.0], [1.0, 4.0, 3.0]], [[2.0, 6.0, 4.0], [3.0, 8.0, 5.0]]]
    """

    def build() -> WindowsPlan:
        plan = windows_plan("DistributedWindows", whole(domain), size, step, taper)
        require_codomain(domain, codomain, plan.shape, domain.dtype)
        return plan

    plan = settled(
        "DistributedWindows",
        domain,
        build,
        lambda found: (
            f"size={found.sizes}, step={found.steps}, "
            f"taper={None if found.taper is None else fingerprint(found.taper)}, {codomain=}"
        ),
    )
    dimensions, first = len(domain.global_shape), len(domain.global_shape) - len(plan.sizes)
    result = result_space(domain, codomain, plan.shape, domain.dtype, unsplit=range(dimensions, len(plan.shape)))
    windows = {first + k: Window(n, s) for k, (n, s) in enumerate(zip(plan.sizes, plan.steps, strict=True))}
    seen = space_seen(result, domain.global_shape, {axis: window.needed for axis, window in windows.items()})

    def windowed(X: Euclidean, Y: Euclidean) -> LinearOperator:
        if Y.size == 0:  # no window
            return Zero(X, Y)
        return Windows(X, plan.sizes, plan.steps, taper=plan.taper, codomain=Y)

    return moved(result, codomain) @ local(seen, result, windowed) @ moved(domain, seen)
