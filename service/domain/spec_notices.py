"""Notices for the person who submits: what a spec contains that was not given, or may surprise."""

from collections.abc import Collection, Sequence

from models.catalog.network_builder import find_features
from service.domain.spec import Spec


def list_notices(spec: Spec, given: Collection[str]) -> Sequence[str]:
    """Say what follows from the fields that were given, by their dotted paths."""
    notices = []
    if "data.dataset" not in given:
        notices.append(
            f"No --dataset was given: {spec.model.architecture} takes {spec.data.dataset}, "
            "resized to what it needs."
        )
    if spec.model.init == "paper" and "data.normalize" not in given:
        notices.append(
            f"--init paper brings data.normalize={spec.data.normalize} with it, as in the paper of "
            f"{spec.model.architecture}; --set data.normalize=… says otherwise."
        )
    if spec.optimizer.name == "alexnet" and spec.optimizer.weight_decay and (spec.model.l2 or spec.model.l1):
        notices.append(
            "Two penalties act: model.l1 or model.l2 in the loss, and the alexnet optimizer's weight decay "
            f"{spec.optimizer.weight_decay:g}; --set optimizer.weight_decay=0 leaves one."
        )
    return notices


def suspect_cause(spec: Spec) -> str:
    """A likely cause, in the spec, of a network that does not learn; empty if there is none."""
    _, paper = find_features(spec.model.architecture)
    if spec.model.init == "paper" and paper and spec.data.normalize != paper.normalize:
        return (
            "its paper's initial weights are made for other pixels: "
            f"try --set data.normalize={paper.normalize}"
        )
    if spec.model.activation in ("sigmoid", "tanh") and spec.model.norm != "batch":
        return (
            f"{spec.model.activation} flattens large and deep signals: try --activation relu or --norm batch"
        )
    return ""
