"""The service for Python: `lab = cnnctl.connect()`. On the standard library alone; see docs/python.md."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnctl.lab import Job as Job
    from cnnctl.lab import Lab as Lab
    from cnnctl.lab import connect as connect

__all__ = ["Job", "Lab", "connect"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: commands take a view or an error from here, and no more."""
    if name not in __all__:
        raise AttributeError(f"module 'cnnctl' has no attribute {name!r}")
    from cnnctl import lab

    return getattr(lab, name)
