"""Iterative solvers, written on `Space.inner`, `Space.norm`, operators and vector arithmetic alone.

Hence they run on every space: with weights (where adjoints, norms and self-adjointness are those of the weighted inner
product), products (whose vectors are tuples), arrays of any library, and spaces that are spread over processes (where a
call is collective, and every decision follows from numbers that are the same on all processes).

=====================  =====================================================================================
`cg`                   ``A x = b``, A self-adjoint and positive
`minres`               ``A x = b``, A self-adjoint
`gmres` `bicgstab`     ``A x = b``, A from a space to itself
`cgls` `lsqr` `lsmr`   least ``|A x - b|^2 + damp^2 |x|^2``, any A
`ista` `fista`         least ``|A x - b|^2 / 2 + g(x)``, any A, and g with a proximal map
`power_iteration`      the eigenvalue of largest modulus, A self-adjoint; the largest singular value, any A
`lanczos`              extreme eigenvalues, A self-adjoint
=====================  =====================================================================================
"""

from linop.solve.bicgstab import bicgstab
from linop.solve.cg import cg
from linop.solve.cgls import cgls
from linop.solve.gmres import gmres
from linop.solve.ista import fista, ista
from linop.solve.lanczos import lanczos
from linop.solve.lsmr import lsmr
from linop.solve.lsqr import lsqr
from linop.solve.minres import minres
from linop.solve.power_iteration import power_iteration
from linop.solve.proximal import ball, box, ridge, soft_threshold
from linop.solve.result import Result, State

__all__ = [
    "Result",
    "State",
    "ball",
    "bicgstab",
    "box",
    "cg",
    "cgls",
    "fista",
    "gmres",
    "ista",
    "lanczos",
    "lsmr",
    "lsqr",
    "minres",
    "power_iteration",
    "ridge",
    "soft_threshold",
]
