"""Attributes and methods of a tensor as an object: those of the whole tensor, and those that every rank's part has."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.graph import get_gradient_edge

from torch_bridge.compat import TensorBase, plain
from torch_bridge.tensors import context
from torch_bridge.tensors.call import direct, wrap
from torch_bridge.tensors.movement import move_between
from torch_bridge.tensors.placement import Placement, replicated
from torch_bridge.tensors.tensor import DistributedTensor

T: Any = torch.Tensor

PASSED = (
    "stride storage_offset untyped_storage data_ptr element_size get_device requires_grad_ retain_grad "
    "is_contiguous is_pinned is_shared share_memory_ storage_type _typed_storage __hash__"
).split()
"""Methods that are asked of this rank's part."""


def _part(function: Any) -> Any:
    """Return a function that is called with parts as they are."""

    def passed(*args: Any, **kwargs: Any) -> Any:
        with plain():
            return function(*args, **kwargs)

    return passed


WHOLE = {"shape", "ndim", "T", "H", "mT", "mH", "real", "imag", "grad", "data", "nbytes", "grad_fn"}

for _name in dir(TensorBase):
    _attribute: Any = getattr(TensorBase, _name, None)
    if type(_attribute).__name__ in ("getset_descriptor", "property") and _name not in WHOLE:
        direct(_attribute.__get__)(_part(_attribute.__get__))
        direct(_attribute.__set__)(_part(_attribute.__set__)) if hasattr(_attribute, "__set__") else None
    elif (
        callable(_attribute)
        and (_name.startswith("is_") or (_name.startswith("_") and not _name.startswith("__")))
        and not _name.startswith(("_foreach", "_conj", "_neg_view", "_to_dense", "_values", "_indices"))
        and _name not in ("is_set_to", "is_same_size")
    ):
        direct(_attribute)(_part(_attribute))
for _name in PASSED:
    direct(getattr(T, _name))(_part(getattr(T, _name)))
for _function in (
    T.is_complex,
    T.is_floating_point,
    torch.is_complex,
    torch.is_floating_point,
    torch.is_signed,
    torch.is_inference,
    torch.is_conj,
    torch.is_neg,
    torch.is_same_size,
    torch._has_compatible_shallow_copy_type,
):
    direct(_function)(_part(_function))
direct(T.grad_fn.__get__)(_part(T.grad_fn.__get__))


@direct(T.shape.__get__)
def _shape(x: Any) -> torch.Size:
    return x._placement.size  # type: ignore[no-any-return]


@direct(T.size)
def _size(x: Any, dim: int | None = None) -> Any:
    return x._placement.size if dim is None else x._placement.size[dim]


@direct(T.ndim.__get__, T.dim, T.ndimension)
def _ndim(x: Any) -> int:
    return len(x._placement.shape)


@direct(T.numel, T.nelement, torch.numel)
def _numel(x: Any) -> int:
    return x._placement.size.numel()  # type: ignore[no-any-return]


@direct(T.nbytes.__get__)
def _nbytes(x: Any) -> int:
    return x._placement.size.numel() * x.element_size()  # type: ignore[no-any-return]


@direct(T.__len__)
def _len(x: Any) -> int:
    if not x._placement.shape:
        raise TypeError("len() of a 0-d tensor")
    return x._placement.shape[0]  # type: ignore[no-any-return]


@direct(T.detach)
def _detach(x: Any) -> Any:
    with plain():
        return wrap(x.detach(), x._placement)


@direct(T.detach_)
def _detach_(x: Any) -> Any:
    with plain():
        T.detach_(x)
    return x


@direct(T.data.__get__)
def _data(x: Any) -> Any:
    with plain():
        return wrap(T.data.__get__(x), x._placement)


@direct(T.data.__set__)
def _set_data(x: Any, value: Any) -> None:
    if not isinstance(value, DistributedTensor):  # the whole, as all plain tensors
        grid = x._placement.grid
        value = wrap(value.view_as(value), replicated(grid, tuple(value.shape)))
        if value.shape == x.shape and not x._placement.partial:
            value = value.redistribute(x._placement)
    with plain():
        T.data.__set__(x, value.as_subclass(T))
    if isinstance(x, DistributedTensor):
        x._placement = value._placement
    else:
        wrap(x, value._placement)


def _refuse_set(x: Any, *_: Any, **__: Any) -> None:
    raise context.refused(
        f"torch.Tensor.set_ of distributed tensors ({x._placement}): the memory that it takes is one rank's; "
        "write x.copy_(values), or x.data = values"
    )


DistributedTensor.set_ = _refuse_set  # type: ignore[assignment]  # torch does not ask a subclass


def dual_placement(placement: Placement) -> Placement:
    """Return how a gradient of a tensor lies: what was a term of a sum has the gradient of the sum."""
    return placement.finished() if placement.partial else placement


def _dual_placement(x: Any) -> Placement:
    return dual_placement(x._placement)


@direct(T.grad.__get__)
def _grad(x: Any) -> Any:
    with plain():
        grad = T.grad.__get__(x)
        if grad is not None and type(grad) is not DistributedTensor:
            wrap(grad, _dual_placement(x))
        return grad


@direct(T.grad.__set__)
def _set_grad(x: Any, value: Any) -> None:
    if value is not None:
        value = like(value, x)
    with plain():
        T.grad.__set__(x, value)


direct(T.grad.__delete__)(_part(T.grad.__delete__))


def like(value: Any, x: Any) -> Any:
    """Return a cotangent of a tensor as it lies; a plain tensor is the whole, or this rank's part."""
    return placed(value, _dual_placement(x))


def placed(value: Any, placement: Placement) -> Any:
    """Return a tensor that lies in a given way; a plain tensor is the whole, or this rank's part."""
    if isinstance(value, DistributedTensor):
        return value if value._placement is placement else value.redistribute(placement)
    with plain():
        if tuple(value.shape) == placement.shape:
            return wrap(move_between(placement.whole(), placement)(value), placement)
        if tuple(value.shape) == placement.local_shape:
            return wrap(value.view_as(value), placement)
    raise ValueError(f"expected a gradient of shape {placement.shape}, found {tuple(value.shape)}")


def _cotangents(tensors: Any, gradients: Any) -> tuple[Any, Any]:
    """Return what a backward pass starts from: tensors whose sums are carried out; cotangents that lie as they do."""
    tensors = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
    gradients = (
        [None] * len(tensors)
        if gradients is None
        else [gradients]
        if isinstance(gradients, torch.Tensor)
        else list(gradients)
    )
    for k, (given, gradient) in enumerate(zip(tensors, gradients, strict=True)):
        tensor = given
        if not isinstance(tensor, DistributedTensor):
            continue
        if tensor._placement.partial:
            with torch.enable_grad():  # within a backward pass, as of a checkpoint, nothing would be recorded
                tensor = tensors[k] = tensor.redistribute(tensor._placement.finished())
        if gradient is not None:
            gradients[k] = like(gradient, tensor)
        elif tensor._placement.size.numel() != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        elif not tensor._placement.replicated:
            with plain():
                gradients[k] = torch.ones_like(tensor.as_subclass(T))
    return tensors, gradients


@direct(T.backward)
def _backward(
    x: Any, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> None:
    torch.autograd.backward(x, gradient, retain_graph, create_graph, inputs=inputs)


def _edges(inputs: Any) -> Any:
    """Return where gradients of tensors arrive in the graph; torch would hand distributed tensors back to us."""
    if inputs is None:
        return None
    given = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    with plain():
        return [get_gradient_edge(x) if isinstance(x, DistributedTensor) else x for x in given]


def _parts(tensors: list[Any]) -> list[Any]:
    """Return this rank's parts. A backward pass runs outside of the guard: hooks see distributed tensors.

    A view belongs to the graph also where gradients are off, as in the backward pass that starts this one.
    """
    with torch.enable_grad(), plain():
        return [x.view_as(x) if isinstance(x, DistributedTensor) else x for x in tensors]


@direct(torch.autograd.backward)
def _autograd_backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: Any = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    tensors, gradients = _cotangents(tensors, grad_tensors if grad_variables is None else grad_variables)
    torch.autograd.backward(_parts(tensors), _parts(gradients), retain_graph, create_graph, inputs=_edges(inputs))


@direct(torch.autograd.grad)
def _autograd_grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: Any = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: Any = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    if is_grads_batched:
        raise context.refused(
            "torch.autograd.grad of distributed tensors: is_grads_batched is not supported; differentiate one by one"
        )
    tensors, gradients = _cotangents(outputs, grad_outputs)
    sources = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    results = torch.autograd.grad(
        _parts(tensors),
        _edges(sources),
        _parts(gradients),
        retain_graph,
        create_graph,
        only_inputs,
        True if allow_unused is None and materialize_grads else allow_unused,
    )
    return tuple(_gradient(result, source, materialize_grads) for result, source in zip(results, sources, strict=True))


def _gradient(result: Any, source: Any, materialize: bool) -> Any:
    """Return a gradient that lies as its tensor does."""
    if result is None:
        return torch.zeros_like(source) if materialize else None
    return wrap(result.view_as(result), _dual_placement(source)) if isinstance(source, DistributedTensor) else result


def _hooked(hook: Any, x: Any) -> Any:
    """Return a hook of a tensor's gradient that sees and gives distributed gradients."""

    def with_layout(gradient: Any) -> Any:
        with plain():
            given = wrap(gradient.view_as(gradient), _dual_placement(x))
        answer = hook(given)
        return None if answer is None else like(answer, x).to_local()

    return with_layout


@direct(T.register_hook)
def _register_hook(x: Any, hook: Any) -> Any:
    wrapped = _hooked(hook, x)
    with plain():
        return x.register_hook(wrapped)


@direct(T.register_post_accumulate_grad_hook)
def _register_post_accumulate_grad_hook(x: Any, hook: Any) -> Any:
    with plain():
        return x.register_post_accumulate_grad_hook(hook)


def _whole(x: Any) -> torch.Tensor:
    """Return the whole tensor of a replicated one, or of a sum that is carried out; refuse others."""
    placement = x._placement
    if placement.partial:
        x = x.redistribute(placement.finished())
        placement = x._placement
    if not placement.replicated:
        refusal = context.refused(
            f"Python looks at the numbers of a distributed tensor ({placement}), which differ between ranks; "
            "use x.full_tensor() first, or torch.where in place of a branch"
        )
        recorder = context.recorder.get()
        if recorder is None:
            raise refusal
        recorder.obstacle(str(refusal))
        x = x.full_tensor()
    part: torch.Tensor = x.to_local()
    if part.is_meta and context.recorder.get() is not None:
        return torch.zeros(part.shape, dtype=part.dtype)  # a dry run has no numbers
    return part


def _looked_at(function: Any) -> Any:
    """Return a function that is called with the whole tensor."""

    def looked_at(x: Any, *args: Any, **kwargs: Any) -> Any:
        return function(_whole(x), *args, **kwargs)

    return looked_at


LOOKED_AT = """
item tolist numpy __bool__ __float__ __int__ __index__ __complex__ __array__ __dlpack__
is_nonzero __contains__ __format__
""".split()

for _name in LOOKED_AT:
    direct(getattr(T, _name))(_looked_at(getattr(T, _name)))
direct(torch.is_nonzero)(_looked_at(torch.is_nonzero))
