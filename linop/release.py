"""Which release this is."""

from __future__ import annotations

from importlib import metadata

DISTRIBUTION = "distdl-ops"
"""What is installed."""


def version() -> str:
    """Return the version of the distribution that is installed; ``"unknown"`` of files that are not installed.

    Examples
    --------
    >>> import linop
    >>> linop.__version__ == version()
    True
    """
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


__version__ = version()
