"""What an operator may claim about itself.

Claims are stated with respect to `Space.dot`, where authors write them; `linop.is_self_adjoint` and its companions
answer for `Space.inner`. `linop.check_claims` verifies them like everything else. An expression claims what follows
from its parts, and nothing more.
"""

from __future__ import annotations

SELF_ADJOINT = "self-adjoint"
"""``A* = A``."""

POSITIVE = "positive"
"""``A* = A`` and ``dot(x, A x) >= 0``."""

ISOMETRY = "isometry"
"""``A* A = I``: lengths are kept."""

COISOMETRY = "coisometry"
"""``A A* = I``: the adjoint is an isometry."""

IDEMPOTENT = "idempotent"
"""``A A = A``: a projection; orthogonal where it is self-adjoint, too."""

DIAGONAL = "diagonal"
"""Each entry is multiplied by a number of its own: these operators commute."""

Claims = frozenset[str]

NONE: Claims = frozenset()
SYMMETRY: Claims = frozenset({SELF_ADJOINT, POSITIVE})
UNITARY: Claims = frozenset({ISOMETRY, COISOMETRY})

_MIRROR = {ISOMETRY: COISOMETRY, COISOMETRY: ISOMETRY}


def mirrored(claims: Claims) -> Claims:
    """Return what the adjoint of an operator with these claims claims."""
    return frozenset(_MIRROR.get(claim, claim) for claim in claims)
