"""What was here is gone: modules are torch's own, on distributed tensors. Each name says so, for one release."""

from typing import NoReturn

_INSTEAD = {
    **{
        name: f"it is torch_bridge.{name}"
        for name in (
            "distribute",
            "explain",
            "load_checkpoint",
            "load_safetensors",
            "save_checkpoint",
            "save_safetensors",
        )
    },
    "gather_state": "write model.state_dict(), which is in whole tensors",
    "load_state": "write model.load_state_dict(state), of whole tensors",
    "gather_optimizer_state": "use torch_bridge.save_checkpoint",
    "load_optimizer_state": "use torch_bridge.load_checkpoint",
    "clip_grad_norm_": "torch.nn.utils.clip_grad_norm_ is right on distributed tensors",
    "grad_norm": "torch.nn.utils.get_total_norm is right on distributed tensors",
    "movements": "use torch_bridge.explain(model, x).operators",
    "parameter_spaces": "each parameter is a DistributedTensor and has its .space",
}


def __getattr__(name: str) -> NoReturn:
    if name in _INSTEAD:
        raise ImportError(f"torch_bridge.nn.{name} is gone: {_INSTEAD[name]}; see docs/howto/migrate.md")
    if not name[0].isupper():
        raise AttributeError(f"module 'torch_bridge.nn' has no attribute {name!r}")
    raise ImportError(
        f"torch_bridge.nn.{name} is gone: use torch's own modules and losses. torch_bridge.distribute(module, "
        "grid) lays a module out, torch_bridge.distribute_tensor(x, grid, rows=Split(2)) its inputs; both give "
        "DistributedTensors; see docs/howto/migrate.md"
    )
