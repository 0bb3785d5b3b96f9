"""Iterative solvers, written on `Space.inner`, `Space.norm`, operators and vector arithmetic alone.

Hence they run on every space: with weights (where adjoints, norms and self-adjointness are those of the weighted inner
product), products (whose vectors are tuples), arrays of any library, and spaces that are spread over processes (where a
call is collective, and every decision follows from numbers that are the same on all processes).

=====================  =====================================================================================
`cg`                   ``A x = b``, A self-adjoint and positive
`minres`               ``A x = b``, A self-adjoint
`gmres` `bicgstab`     ``A x = b``, A from a space to itself
`cgls` `lsqr` `lsmr`   least ``|A x - b|^2 + damp^2 |L x|^2``, any A and L
`nnls`                 least ``|A x - b|`` without negative entries
`ista` `fista`         least ``|A x - b|^2 / 2 + g(x)``, any A, and g with a proximal map
`admm`                 least ``|A x - b|^2 / 2 + g(K x)``, any A and K
`primal_dual`          least ``f(x) + g(K x)``, f and g with proximal maps
`power_iteration`      the eigenvalue of largest modulus, A self-adjoint; the largest singular value, any A
`lanczos` `lobpcg`     extreme eigenvalues, A self-adjoint
`randomised_svd`       the first singular values and vectors, any A
`hutchpp`              the trace, and `diagonal_estimate` the diagonal, from samples
=====================  =====================================================================================

Functions g have proximal maps: `soft_threshold` (l1), `norm_threshold` (l2), `ridge` (l2 squared), `group_threshold`
(l2,1), `nuclear_threshold`, `variation` (total variation); and projections onto sets: `box`, `nonnegative`, `ball`,
`l1_ball`, `infinity_ball`, `group_ball`, `simplex`, `affine`. `conjugate`, `shifted`, `separate`, `misfit` and `free`
make others.
"""

from linop.solve.convergence import plot_convergence
from linop.solve.eigen.lanczos import lanczos
from linop.solve.eigen.lobpcg import lobpcg
from linop.solve.eigen.power_iteration import power_iteration
from linop.solve.eigen.randomised import SingularValues, diagonal_estimate, hutchpp, randomised_svd
from linop.solve.krylov.bicgstab import bicgstab
from linop.solve.krylov.cg import cg
from linop.solve.krylov.cgls import cgls
from linop.solve.krylov.gmres import gmres
from linop.solve.krylov.lsmr import lsmr
from linop.solve.krylov.lsqr import lsqr
from linop.solve.krylov.minres import minres
from linop.solve.proximal.calculus import conjugate, free, misfit, separate, shifted
from linop.solve.proximal.elementary import ball, box, nonnegative, norm_threshold, ridge, soft_threshold
from linop.solve.proximal.groups import group_ball, group_threshold, infinity_ball, nuclear_threshold
from linop.solve.proximal.sets import affine, l1_ball, simplex
from linop.solve.result import Result, State
from linop.solve.splitting.admm import admm
from linop.solve.splitting.ista import fista, ista
from linop.solve.splitting.nnls import nnls
from linop.solve.splitting.primal_dual import primal_dual
from linop.solve.splitting.total_variation import slopes, total_variation, variation

__all__ = [
    "Result",
    "SingularValues",
    "State",
    "admm",
    "affine",
    "ball",
    "bicgstab",
    "box",
    "cg",
    "cgls",
    "conjugate",
    "diagonal_estimate",
    "fista",
    "free",
    "gmres",
    "group_ball",
    "group_threshold",
    "hutchpp",
    "infinity_ball",
    "ista",
    "l1_ball",
    "lanczos",
    "lobpcg",
    "lsmr",
    "lsqr",
    "minres",
    "misfit",
    "nnls",
    "nonnegative",
    "norm_threshold",
    "nuclear_threshold",
    "plot_convergence",
    "power_iteration",
    "primal_dual",
    "randomised_svd",
    "ridge",
    "separate",
    "shifted",
    "simplex",
    "slopes",
    "soft_threshold",
    "total_variation",
    "variation",
]
