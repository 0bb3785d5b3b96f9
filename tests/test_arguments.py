"""Every public name refuses arguments that are none: the error is the library's, and names the argument."""

import inspect
import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import scipy.sparse

import distdl_ops as d
import distdl_ops.testing
import linop as l
import linop.solve as s
import linop.testing
from linop.arguments import _read
from linop.errors import LinopError

pytestmark = pytest.mark.serial

torch = pytest.importorskip("torch")
import torch_bridge as t  # noqa: E402

X, Y, C, P = l.Euclidean(3), l.Euclidean((4, 6)), l.Euclidean(3, complex, field="real"), l.Euclidean((6, 6))
A, D = l.Matrix(np.diag([1.0, 2.0, 3.0])), l.Diagonal([1.0, 2.0, 3.0])
x = np.ones(3)


def wrong_values(world):
    """Return arguments each of which is wrong somewhere, and right elsewhere."""
    return [
        *(None, "nonsense", 2.5, math.nan, -math.inf, -1, 0, 7, True, 1j, b"x", object(), {}, {3, 2}, (), [], [None]),
        *(int, l.Identity, l.Euclidean, A, D.H, X, l.Product(X, Y), d.Split(0), d.Split, world, np.ones((2, 2, 2))),
        *(np.array("text"), np.array(None), (1, 2, 3), ["a"], [(1, 2, 3)], l, "rows"),
    ]


def calls(world):
    """Return a right call of every public name: the function, its positional arguments by name, and the named ones."""
    grid = d.Grid(world, p=1)
    S, S2 = d.DistributedSpace(grid, (6,), p=d.Split(0)), d.DistributedSpace(grid, (6, 6), p=d.Split(0))
    T, K, N = (S.with_roles(p=role) for role in (d.At(0), d.Copies(), d.Replicated()))
    M = d.Movement(S, N)
    one = d.Machine()
    stops = {
        "x0": x,
        "tolerance": 1e-8,
        "absolute": 0.0,
        "iterations": 5,
        "callback": lambda _: False,
        "progress": False,
    }
    seeded = {"seed": 0, "like": x}
    eigen = {"start": x, "like": x, "seed": 0, **{k: v for k, v in stops.items() if k != "x0"}}
    proximal = {**stops, "lipschitz": 20.0, "backtracking": False}
    differences = {"order": 1, "scheme": "forward", "boundary": "valid", "spacing": 1.0}
    windows = {"stride": 1, "dilation": 1, "padding": 0, "groups": 1}
    complex_6 = l.Euclidean(6, complex)
    return {
        l: {
            "FFT": {"domain": complex_6, "axes": 0, "norm": "ortho", "inverse": False, "codomain": complex_6},
            "IRFFT": {
                "domain": l.Euclidean(4, complex, "real"),
                "length": 6,
                "axes": 0,
                "norm": "ortho",
                "codomain": None,
            },
            "RFFT": {"domain": l.Euclidean(6), "axes": 0, "norm": "ortho", "codomain": None},
            "Adjoint": {"operator": A},
            "Block": {"rows": [[A, A]]},
            "BlockDiagonal": {"operators": A},
            "Circulant": {"column": x, "domain": X, "codomain": X},
            "Compose": {"factors": A},
            "Conjugation": {"domain": C, "codomain": C},
            "Convolution": {"domain": X, "kernel": [1.0], **windows, "codomain": X},
            "Correlation": {"domain": X, "kernel": [1.0], **windows, "codomain": X},
            "Cost": {"flops": 1, "bytes": 1},
            "CumulativeSum": {"domain": X, "axis": 0},
            "DCT": {"domain": X, "axes": 0, "inverse": False, "codomain": X},
            "DirectionalDerivative": {
                "domain": Y,
                "direction": [1.0, 2.0],
                "scheme": "central",
                "boundary": "edge",
                "spacing": 1.0,
            },
            "Element": {"space": X, "value": x},
            "Flip": {"domain": X, "axes": 0, "codomain": X},
            "FractionalShift": {"domain": X, "shift": 0.5, "axis": 0},
            "Laplacian": {"domain": Y, "axes": (0, 1), "weights": (1.0, 2.0), "boundary": "zero", "spacing": 1.0},
            "NonStationaryConvolution": {"domain": X, "kernels": np.ones((2, 3)), "places": [0.0, 2.0], "axis": 0},
            "Roll": {"domain": X, "shift": 1, "axes": 0, "codomain": X},
            "Smoothing": {"domain": X, "width": 3, "axes": 0, "boundary": "edge"},
            "Symmetrise": {"domain": X, "axis": 0, "codomain": None},
            "Windows": {"domain": l.Euclidean(6), "size": 3, "step": 1, "taper": np.ones(3), "codomain": None},
            "Diagonal": {"entries": [1.0, 2.0, 3.0], "space": X},
            "Euclidean": {"shape": (2, 3), "dtype": float, "field": "real"},
            "FiniteDifference": {"domain": X, "axis": 0, **differences, "codomain": None},
            "FunctionOperator": {
                "domain": X,
                "codomain": X,
                "apply": np.negative,
                "apply_dual": np.negative,
                "name": "negative",
                "exact": True,
                "roundings": 1,
                "batched": True,
            },
            "Functional": {"vector": x, "domain": X, "codomain": l.Euclidean(())},
            "Gradient": {"domain": Y, "axes": (0, 1), **differences, "codomain": None},
            "HStack": {"operators": A},
            "Identity": {"space": X},
            "ImaginaryPart": {"domain": C, "codomain": X},
            "Interpolation": {
                "domain": X,
                "points": [[0.5]],
                "method": "linear",
                "boundary": "error",
                "codomain": None,
            },
            "Inverse": {"operator": A, "positive": True, "tolerance": 1e-8},
            "Kron": {"operators": A},
            "Matrix": {"entries": np.eye(3), "domain": X, "codomain": X},
            "Mean": {"domain": Y, "axes": 0, "codomain": None},
            "Outer": {"u": x, "v": x, "codomain": X, "domain": X},
            "Padding": {"domain": X, "width": 1, "boundary": "zero", "codomain": None},
            "Permute": {"domain": Y, "axes": (1, 0), "codomain": None},
            "Product": {"parts": X},
            "RealPart": {"domain": C, "codomain": X},
            "Resampling": {"domain": X, "shape": 6, "method": "linear", "codomain": None},
            "Reshape": {"domain": Y, "shape": (24,), "codomain": None},
            "Restriction": {"domain": X, "index": 1, "codomain": None},
            "Reweight": {"domain": X, "codomain": l.Weighted(X, 2.0)},
            "Riesz": {"space": l.Weighted(X, 2.0), "inverse": False},
            "Scale": {"scalar": 2.0, "operator": A},
            "SparseMatrix": {"entries": scipy.sparse.eye_array(3, format="csr"), "domain": X, "codomain": X},
            "Sum": {"terms": A},
            "SumAxes": {"domain": Y, "axes": 0, "codomain": None},
            "Toeplitz": {"column": x, "row": x, "domain": X, "codomain": X},
            "Trace": {"domain": P, "codomain": None},
            "VStack": {"operators": A},
            "Weighted": {"space": X, "weight": 2.0},
            "Zero": {"domain": X, "codomain": Y},
            **{
                f"assert_{name}": {"operator": A}
                for name in ("adjoint", "batch", "claims", "correct", "linear", "pure")
            },
            "assert_space": {"space": X},
            "check": {"operator": A, "adjoint": None, "domain": None, "codomain": None, **seeded},
            "check_adjoint": {"operator": A, "mode": "matrix", "pairing": "dot", "trials": 2, **seeded},
            "check_batch": {"operator": A, **seeded},
            **{f"check_{name}": {"operator": A, "trials": 1, **seeded} for name in ("claims", "linear", "pure")},
            "check_space": {"space": X, "trials": 1, **seeded},
            "condition_estimate": {"operator": A, "iterations": 5, "seed": 0},
            "cost": {"operator": A},
            "derivation": {"operator": A, "by": l.cost},
            "diagonal": {"operator": A},
            "eigenvalue_bounds": {"operator": A, "iterations": 5, "tolerance": 1e-8, "seed": 0},
            "from_scipy": {"operator": np.eye(3), "domain": X, "codomain": X, "exact": True, "name": "eye"},
            "hutchinson": {"operator": A, "samples": 3, "seed": 0},
            "norm_estimate": {"operator": A, "iterations": 5, "tolerance": 1e-6, "seed": 0},
            **{
                name: {"operator": A}
                for name in ("inverse", "latex", "matrix", "notebook", "parts", "tree", "to_scipy")
            },
            **{
                f"is_{name}": {"operator": A}
                for name in ("diagonal", "isometry", "positive", "projection", "self_adjoint")
            },
            "is_unitary": {"operator": A},
            "plot_matrix": {"operator": A, "ax": None, "bar": True},
            "rebuild": {"operator": 2 * A, "inside": (A,)},
            "reweight": {"operator": A, "domain": X, "codomain": X},
            "rule": {"types": l.Matrix},
            "simplify": {"operator": A, "by": l.cost},
            "space_name": {"space": X},
            "tensor_space": {"spaces": X},
            "trace": {"operator": A, "method": "exact", "samples": 3, "seed": 0},
        },
        s: {
            "admm": {
                "A": A,
                "b": x,
                "prox": s.box(),
                "K": A,
                "penalty": 1.0,
                "balance": True,
                "inner": 5,
                "preconditioner": D,
                **stops,
            },
            "affine": {"A": A, "b": x, "tolerance": 1e-12},
            "bicgstab": {"A": A, "b": x, "preconditioner": D, **stops},
            "conjugate": {"prox": s.box()},
            **{name: {"A": A, "samples": 6, **seeded} for name in ("diagonal_estimate", "hutchpp")},
            "gmres": {"A": A, "b": x, "preconditioner": D, "restart": 3, **stops},
            "group_ball": {"radius": 1.0, "axis": 0},
            "group_threshold": {"weight": 1.0, "axis": 0},
            "infinity_ball": {"radius": 1.0},
            "l1_ball": {"space": X, "radius": 1.0},
            "lobpcg": {"A": A, "count": 1, "which": "largest", "preconditioner": D, **eigen, "start": np.ones((1, 3))},
            "misfit": {"b": x, "weight": 1.0},
            "nnls": {"A": A, "b": x, "lipschitz": 20.0, **stops},
            "norm_threshold": {"space": X, "weight": 1.0},
            "nuclear_threshold": {"space": Y, "weight": 1.0},
            "primal_dual": {
                "K": A,
                "prox_f": s.box(),
                "prox_g": s.box(),
                "y0": x,
                "like": x,
                "convexity": 0.0,
                "primal_step": 0.1,
                "dual_step": 0.1,
                **stops,
            },
            "randomised_svd": {"A": A, "count": 1, "oversampling": 1, "power": 1, **seeded},
            "separate": {"proxes": s.box()},
            "shifted": {"prox": s.box(), "b": x},
            "simplex": {"space": X, "total": 1.0},
            "slopes": {"weight": 1.0, "isotropic": True},
            "total_variation": {"gradient": l.Gradient(Y, boundary="edge"), "x": np.ones((4, 6)), "isotropic": True},
            "variation": {
                "gradient": l.Gradient(Y, boundary="edge"),
                "weight": 1.0,
                "isotropic": True,
                "tolerance": 1e-4,
                "iterations": 5,
            },
            "ball": {"space": X, "radius": 1.0},
            "box": {"lower": 0.0, "upper": 1.0},
            "ridge": {"weight": 1.0},
            "soft_threshold": {"weight": 1.0},
            "cg": {"A": A, "b": x, **stops},
            "minres": {"A": A, "b": x, "shift": 0.5, **stops},
            **{name: {"A": A, "b": x, "damp": 0.5, **stops} for name in ("cgls", "lsqr", "lsmr")},
            **{name: {"A": A, "b": x, "prox": s.box(), **proximal} for name in ("ista", "fista")},
            "lanczos": {"A": A, "count": 1, "which": "largest", **eigen},
            "power_iteration": {"A": A, "singular": False, **eigen},
        },
        linop.testing: {
            "assert_operator": {"operator": A, "twin": np.diag([1.0, 2.0, 3.0])},
            "awkward_arrays": {"shape": (2,), "dtype": "float64"},
            "extreme_expressions": {"rows": 2, "columns": 2, "depth": 1},
            "dense": {"function": lambda _: x, "domain": X, "codomain": X},
            "euclidean_spaces": {"dtypes": ("float64",), "min_ndim": 0, "max_ndim": 1, "max_extent": 2},
            "expressions": {"domain": X, "codomain": X, "depth": 1},
            "integer_matrices": {"rows": 1, "columns": 2, "dtype": "float64"},
            "interpolations": {"boundary": ("zero",)},
            "rffts": {"dtypes": ("float64",)},
            "shapes": {"min_ndim": 0, "max_ndim": 1, "max_extent": 2},
            "vectors": {"space": X, "batch": ()},
            "weight_matrix": {"space": X},
            "weighted_spaces": {"space": X},
            "with_weights": {"space": X, "kind": "number", "seed": 0},
        },
        d: {
            "At": {"index": 0},
            "Split": {"axis": 0, "intervals": [(0, 6)], "boundary": "zero"},
            "Cyclic": {"axis": 0, "block": 1, "first": 0},
            "DistributedGather": {"domain": S, "indices": [1, 2], "codomain": None},
            "DistributedInterpolation": {"domain": S, "points": [[0.5]], "boundary": "error", "codomain": None},
            "DistributedSparseMatrix": {"rows": scipy.sparse.eye_array(6, format="csr"), "domain": S, "codomain": S},
            "UnevenAllToAll": {"domain": S, "counts": [6]},
            "DistributedConvolution": {"domain": S, "kernel": [1.0], **windows, "boundary": "zero", "codomain": S},
            "DistributedCorrelation": {"domain": S, "kernel": [1.0], **windows, "boundary": "zero", "codomain": S},
            "DistributedCumulativeSum": {"space": S, "axis": 0},
            "DistributedDiagonal": {"entries": np.ones(6), "space": S},
            "DistributedFFT": {
                "domain": d.DistributedSpace(grid, (6,), complex, p=d.Split(0)),
                "axes": 0,
                "norm": "ortho",
                "inverse": False,
                "codomain": None,
            },
            "DistributedDCT": {"domain": S, "axes": 0, "inverse": False, "codomain": None},
            "DistributedDirectionalDerivative": {
                "domain": S,
                "direction": [1.0],
                "scheme": "central",
                "boundary": "edge",
                "spacing": 1.0,
                "codomain": None,
            },
            "DistributedFlip": {"domain": S, "axes": 0, "codomain": None},
            "DistributedFractionalShift": {"domain": S, "shift": 0.5, "axis": 0, "codomain": None},
            "DistributedLaplacian": {
                "domain": S,
                "axes": 0,
                "weights": [1.0],
                "boundary": "zero",
                "spacing": 1.0,
                "codomain": None,
            },
            "DistributedNonStationaryConvolution": {
                "domain": S,
                "kernels": [[1.0]],
                "places": [0.0],
                "axis": 0,
                "codomain": None,
            },
            "DistributedRoll": {"domain": S, "shift": 1, "axes": 0, "codomain": None},
            "DistributedSmoothing": {"domain": S, "width": 3, "axes": 0, "boundary": "edge", "codomain": None},
            "DistributedSymmetrise": {"domain": S, "axis": 0, "codomain": None},
            "DistributedWindows": {"domain": S, "size": 2, "step": 1, "taper": None, "codomain": None},
            "DistributedRFFT": {"domain": S, "axes": 0, "norm": "ortho", "codomain": None},
            "DistributedFiniteDifference": {"domain": S, "axis": 0, **differences, "codomain": None},
            "DistributedGradient": {"domain": S2, "axes": (0, 1), **differences, "codomain": None},
            "DistributedMatrix": {"entries": np.eye(6), "domain": S, "codomain": S},
            "DistributedRestriction": {"domain": S, "index": slice(1, 3), "codomain": None, "balanced": False},
            "DistributedSpace": {"grid": grid, "shape": (6,), "dtype": float, "field": "real", "p": d.Split(0)},
            "Grid": {"world": world, "p": 1},
            **{name: {"source": S, "target": N} for name in ("Movement", "AllGather", "Start", "Finish", "advise")},
            **{name: {"source": K, "target": N} for name in ("AllReduce",)},
            "AllSumReduce": {"source": K, "target": K.with_roles(p=d.Copies())},
            "Broadcast": {"source": T, "target": K},
            "Copy": {"source": N, "target": K},
            "Gather": {"source": S, "target": T},
            "Pick": {"source": N, "target": T},
            "ReduceScatter": {"source": K, "target": S},
            "Scatter": {"source": T, "target": S},
            "Slice": {"source": N, "target": S},
            "SumReduce": {"source": K, "target": T},
            "HaloExchange": {"space": S, "widths": {0: (1, 1)}, "boundary": "zero"},
            "InFlight": {"one": S, "other": N},
            "Local": {"domain": S, "codomain": S, "operator": l.Identity(l.Euclidean(6))},
            "Machine": {"alpha": 1e-5, "beta": 1e-9, "gamma": 1e-11, "delta": 1e-10},
            "ParallelCost": {"flops": 0, "bytes": 0, "messages": 0, "sent": 0},
            "PrefixSum": {"space": K, "axis": "p", "exclusive": False},
            "Shift": {"space": S, "steps": 1, "axis": "p", "periodic": True},
            "balanced": {"length": 5, "parts": 3},
            "calibrate": {"world": world, "size": 16, "repeats": 1},
            **{name: {"operator": M} for name in ("costs", "draw", "explain", "plot_matrix", "traffic")},
            "scaling": {"operator": M, "ranks": [1, 2], "axis": "p", "grow": 0, "machine": one},
            "simulate": {"size": 1, "main": lambda _: None},
            "world": {"timeout": 60.0},
        },
        distdl_ops.testing: {
            "Draft": {"axes": {"rows": 2}, "shape": (2,), "dtype": "float64", "roles": {"rows": d.Copies()}},
            "Tree": {"drafts": (), "recipe": ()},
            "drafts": {"axes": {"p": 1}, "shape": (2,), "dtype": "float64", "roles": (d.Copies,), "once": False},
            "drafts_of_one_tensor": {"size": 1, "count": 2, "same_grid": False},
            "grids": {"size": 2},
            "mutant": {"operator": A, "fault": lambda _, y: y},
            "on_ranks": {"size": 1, "main": lambda _: None},
            "nested_splits": {"axis": 0, "sizes": [2, 2], "parts": 2, "once": True},
            "recipes": {"count": 1, "domain": 0, "codomain": 0, "depth": 1},
            "splits": {"axis": 0, "extent": 4, "parts": 2, "once": True},
            "trees": {"size": 1, "depth": 1},
            "world_sizes": {"largest": 2},
            "worlds_and_drafts": {"count": 2, "largest": 2, "same_grid": False},
        },
        t: {
            "Operator": {"operator": A},
            "SpectralConv": {"in_channels": 2, "out_channels": 2, "modes": (2, 2), "dtype": torch.float32},
            "distribute": {"module": torch.nn.Linear(2, 2), "grid": grid, "parameters": None, "reshard": True},
            "distribute_tensor": {"tensor": torch.ones(6), "layout": S, "source": 0},
            "as_function": {"operator": A},
            "from_torch": {"f": torch.clone, "domain": X, "codomain": X},
            "spmd_gradcheck": {
                "f": torch.sin,
                "inputs": [torch.ones(2, dtype=torch.float64, requires_grad=True)],
                "world": world,
                "domains": [d.Copies()],
                "codomains": [d.Copies()],
                "parameters": {},
                "seed": 0,
            },
            "tie": {"loss": torch.ones(()), "results": torch.ones(())},
            "tied": {"world": world},
        },
    }


def call(function, arguments):
    """Call a function with arguments by name, those that have a place only by position, as those before these."""
    parameters = inspect.signature(function).parameters
    kinds = {k: parameters[k].kind for k in arguments if k in parameters}
    many = [k for k, kind in kinds.items() if kind is inspect.Parameter.VAR_POSITIONAL]
    if not many:
        placed = [k for k, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_ONLY]
        named = {k: value for k, value in arguments.items() if k not in placed}
        return function(*(arguments[k] for k in placed), **named)
    before = [arguments[k] for k in parameters if k in arguments and k not in many]
    return function(*before, arguments[many[0]])


ABSTRACT = {"LinearOperator", "Space", "World", "Role"}
RESULTS = {
    "Advice",
    "Copies",
    "Explanation",
    "Replicated",
    "Report",
    "Reports",
    "Extreme",
    "Result",
    "Rewriting",
    "Scaling",
    "SingularValues",
    "State",
    "TraceEstimate",
}
"""Made by the library, or without arguments."""
FILES = {"load_checkpoint", "load_safetensors", "save_checkpoint", "save_safetensors"}
"""Any text is a path."""
FUNCTIONS = {"explain"}
"""Whose other arguments are those of a function that is given."""
OPTIONAL = {"from_pylops", "to_pylops", "plot_matrix", "plot_convergence"}


def parameters_of(function):
    """Return the parameters of a function; none of a class that is made by others, in C."""
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:
        return []


def test_the_table_has_every_public_name_that_takes_arguments():
    """Every name that a package exports is fuzzed, but for errors, abstract classes, results and data."""
    (tables,) = d.simulate(1, calls)
    for module, table in tables.items():
        exported = {name: getattr(module, name) for name in module.__all__}
        names = {
            name
            for name, value in exported.items()
            if callable(value)
            and not (isinstance(value, type) and issubclass(value, Exception))
            and parameters_of(value)
        }
        missing = names - ABSTRACT - RESULTS - FILES - FUNCTIONS - OPTIONAL - set(table)
        assert missing <= {"Expression", "Repartition", "AllToAll", "rule", "Move", "diagonals"}, (
            module.__name__,
            missing,
        )


def faults(world, module, name, arguments):
    """Return what is wrong with the errors of a function when one of its arguments is another one."""
    function, found = getattr(module, name), []
    call(function, arguments)
    for key in arguments:
        for value in wrong_values(world):
            if (name, key) == ("rebuild", "inside") and isinstance(value, tuple | list) and not value:
                continue  # as many as there are parts
            text = f"{name}({key}={value!r:.40})"
            try:
                call(function, {**arguments, key: value})
            except LinopError as error:
                if key not in str(error) and isinstance(error, TypeError):
                    found.append(f"{text}: not named: {error}")
            except ImportError:
                pass
            except Exception as error:
                given = isinstance(error, TypeError) and callable(value) and meant(function, key, len)
                if not given:  # else it is raised by a function that was given
                    found.append(f"{text}: {type(error).__name__}: {str(error)[:90]}")
            else:
                if not meant(function, key, value):
                    found.append(f"{text}: accepted")
    return found


def meant(function, key, value):
    """Say whether a value is one that the annotation of a parameter allows."""
    if function is l.Element:  # checked by hand: its annotation names classes that it cannot import
        return isinstance(value, l.Space) if key == "space" else True
    if function is l.Weighted:  # the same
        return isinstance(value, l.Space | l.LinearOperator | int | float | list | tuple)
    target = function.__init__ if isinstance(function, type) else function
    positional, named = _read(target)
    for parameter in (*positional, *named):
        if parameter.name == key:
            expected = parameter.expected
            return expected is None or (expected.fits(value) and expected.allows(value))
    return True


MODULES = [l, s, linop.testing, d, distdl_ops.testing, t]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_arguments_that_are_none_are_named(module: ModuleType):
    """A wrong argument in any position raises an error of the library that names it, and is never accepted."""

    def main(world):
        table = calls(world)[module]
        return [fault for name, arguments in table.items() for fault in faults(world, module, name, arguments)]

    (found,) = d.simulate(1, main)
    assert not found, f"{len(found)} faults:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda: l.Padding(l.Euclidean(3), 1, mode="edge"), "Padding: the argument mode .* write boundary='edge'"),
        (lambda: l.Interpolation(l.Euclidean(3), [[1.0]], outside="zero"), "Interpolation: .* write boundary='zero'"),
        (lambda: l.DCT(l.Euclidean(3), inverted=True), "DCT: the argument inverted .* write inverse=True"),
        (lambda: l.Riesz(l.Weighted(l.Euclidean(3), 2.0), inverted=True), "Riesz: .* write inverse=True"),
        (lambda: s.lobpcg(l.Diagonal([1.0, 2.0]), largest=False), "lobpcg: .* called which now"),
        (lambda: s.plot_convergence({}, axes=None), "plot_convergence: .* write ax=None"),
    ],
)
def test_old_names_of_arguments_are_errors_that_name_the_new_ones(call: Callable[[], object], advice: str) -> None:
    """One word stands for one thing; programs of the release before are told what to write."""
    with pytest.raises(l.ArgumentTypeError, match=advice):
        call()
