"""What people are told of a GPU's state, which depends on more than the state that is stored."""

from typing import Literal

from cnnctl.views.fleet import GpuView

ShownState = Literal["free", "in use", "outside", "draining", "drained", "quarantined", "no worker"]


def name_state(view: GpuView) -> ShownState:
    """In a word or two what a GPU is for now."""
    if not view.alive:
        return "no worker"
    if view.state == "drained":
        return "drained" if view.job is None else "draining"
    if view.state == "quarantined":
        return "quarantined"
    if view.job is not None:
        return "in use"
    return "outside" if view.outsiders else "free"
