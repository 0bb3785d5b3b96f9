"""Functions of entries: each entry of the result is made of one entry of each argument, with broadcasting.

An argument lies as the result does; where it has one entry for many, every rank uses a copy.
"""

from __future__ import annotations

from typing import Any

import torch

from torch_bridge.tensors import context
from torch_bridge.tensors.axes import Labels, settle
from torch_bridge.tensors.call import IN_PLACE, SCALE_FREE, Call, Plan, Spec, gather, rule
from torch_bridge.tensors.rules.names import in_place, known, named

NAMES = """
abs absolute acos acosh add addcdiv addcmul angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan
atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp
clamp_max clamp_min clip clone conj conj_physical contiguous copysign cos cosh deg2rad digamma div divide elu eq erf
erfc erfinv exp exp2 expm1 fix float_power floor floor_divide fmax fmin fmod frac frexp gcd ge gelu greater
greater_equal gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 igamma igammac imag isclose isfinite isinf
isnan isneginf isposinf isreal lcm ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p log2 logaddexp
logaddexp2 logical_and logical_not logical_or logical_xor logit logsigmoid lt masked_fill maximum minimum mish mul
multiply mvlgamma nan_to_num ne neg negative nextafter not_equal polar polygamma positive pow rad2deg real reciprocal
relu relu6 remainder resolve_conj resolve_neg round rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus
softshrink softsign sqrt square sub subtract tan tanh tanhshrink threshold true_divide trunc xlogy zeros_like
ones_like full_like empty_like complex fill to type type_as float double half bfloat16 int long short char byte bool
cfloat cdouble chalf cpu bessel_j0 bessel_j1 bessel_y0 bessel_y1 entr erfcx expit exprel gammainc gammaincc gammaln i0e
i1 i1e log_ndtr modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 multigammaln ndtr ndtri psi
scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0 xlog1py zeta airy_ai chebyshev_polynomial_t
chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he
laguerre_polynomial_l legendre_polynomial_p shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u
shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__
__truediv__ __rtruediv__ __div__ __rdiv__ __floordiv__ __rfloordiv__ __mod__ __rmod__ __pow__ __rpow__ __and__ __or__
__xor__ __rand__ __ror__ __rxor__ __lshift__ __rshift__ __rlshift__ __rrshift__ __eq__ __ne__ __lt__ __le__ __gt__
__ge__ __neg__ __pos__ __abs__ __invert__ alias_copy native_dropout_backward
""".split()


def broadcast(call: Call) -> tuple[int, list[Labels], list[int]]:
    """Return the number of axes of a broadcast result, labels for each operand, and its shape.

    A label is an axis of the result; None where the operand has one entry for many.
    """
    ndim = max((spec.ndim for spec in call.operands), default=0)
    extents = [1] * ndim
    for spec in call.operands:
        for k, extent in enumerate(reversed(spec.shape), 1):
            if extent != 1 and extents[-k] not in (1, extent):
                call.meta()  # torch cannot tell: the call on whole tensors raises torch's error
            if extent != 1:
                extents[-k] = extent
    labels: list[Labels] = [
        [
            ndim - spec.ndim + k if extent == extents[ndim - spec.ndim + k] else None
            for k, extent in enumerate(spec.shape)
        ]
        for spec in call.operands
    ]
    return ndim, labels, extents


def entrywise(call: Call, *_: Any, **__: Any) -> Plan:
    """Return the plan of a function of entries."""
    ndim, labels, shape = broadcast(call)
    two = call.function in TWO_RESULTS
    if len(call.operands) == 1:
        placement = call.operands[0].placement
        if not placement.partial:
            return Plan([placement], (placement, placement) if two else placement, skip=False)
    pairs = sorted(
        zip(call.operands, labels, strict=True), key=lambda pair: (-pair[0].numel(), not pair[0].distributed)
    )
    assignment = settle(call.grid, [(spec.placement, names) for spec, names in pairs])
    targets = [assignment.placement(spec.shape, names) for spec, names in zip(call.operands, labels, strict=True)]
    result = assignment.placement(shape, range(ndim))
    return Plan(targets, (result, result) if two else result, skip=False)


TWO_RESULTS = set(known("frexp"))
FUNCTIONS = known(*NAMES)
FUNCTIONS += [torch.Tensor.real.__get__, torch.Tensor.imag.__get__]  # type: ignore[attr-defined]
rule(*FUNCTIONS)(entrywise)
SCALE_FREE.update(FUNCTIONS)
for _changing, _fresh in in_place(FUNCTIONS):
    IN_PLACE[_changing] = _fresh
    SCALE_FREE.add(_changing)
for _name in "add sub mul truediv floordiv mod pow and or xor lshift rshift".split():
    _changing = getattr(torch.Tensor, f"__i{_name}__", None)
    if _changing is not None:
        IN_PLACE[_changing] = getattr(torch.Tensor, f"__{_name}__")
        SCALE_FREE.add(_changing)
for _name in ("copy_", "zero_", "fill_"):
    SCALE_FREE.add(getattr(torch.Tensor, _name))


SCALE_FREE.update(known("where"))


@rule(*known("where"))
def _where(call: Call, condition: Spec, *args: Any, **kwargs: Any) -> Plan:
    """A function of entries; of a condition alone, the indices where it holds."""
    return entrywise(call) if args or kwargs else gather(call)


@rule(torch.Tensor.copy_)
def _copy(call: Call, x: Any, source: Any, *_: Any, **__: Any) -> Any:
    """The source is moved to where the tensor lies."""
    labels = [
        x.ndim - source.ndim + k if n == x.shape[x.ndim - source.ndim + k] else None for k, n in enumerate(source.shape)
    ]
    if x.placement.partial:
        return lambda x, source, *_, **__: context.assign(x, source)
    assignment = settle(call.grid, [(x.placement, range(x.ndim))])
    plan = Plan([x.placement, assignment.placement(source.shape, labels)], x.placement, skip=False)
    plan.changes = x.distributed
    return plan


@rule(*known("zero_", "fill_"))
def _fill(call: Call, x: Any, *_: Any, **__: Any) -> Any:
    """Every entry becomes the same number."""
    if x.placement.partial:
        return lambda x, value=0: context.assign(x, torch.full_like(x, value))
    targets = [x.placement, *(spec.placement.whole() for spec in call.operands[1:])]
    return Plan(targets, x.placement, skip=False, changes=True)


__all__ = ["broadcast", "entrywise", "named"]
