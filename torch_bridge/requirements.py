"""What this package needs, and an extra of the distribution brings: an import of this module says what is missing."""

from __future__ import annotations

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "torch_bridge needs PyTorch, which is not installed: pip install 'distdl-ops[torch]'", name="torch"
    ) from None
