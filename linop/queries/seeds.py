"""Random numbers that are no one else's.

A start that is drawn from seed 0 would be the very numbers that many a matrix is made of, its first row, say: that is
no random start for it.
"""

from __future__ import annotations

from linop.spaces import Seed

_STREAM = 0x5EED_0F_A5


def stream(seed: Seed, *numbers: int) -> tuple[int, ...]:
    """Return a seed for the queries' own random numbers, another one for other numbers.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.random.default_rng(stream(0)).normal() == np.random.default_rng(0).normal())
    False
    """
    return (*(seed if isinstance(seed, tuple) else (seed,)), _STREAM, *numbers)
