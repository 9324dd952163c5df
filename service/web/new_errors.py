"""Finds the fields of the form of a new job that an error is about, to say it beside them."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from cnnctl.errors import CnnctlError
from cnnctl.views.requests import SubmissionRequest
from service.web.new_request import FieldError

# How use cases name what is no field of the spec.
CLUES: Mapping[str, str] = {
    "architecture": r"architecture",
    "tags": r"^A tag |^tags ",
    "name": r"^name ",
    "note": r"^note ",
    "priority": r"^priority |priority high",
    "project": r"project",
    "not_before": r"--not-before|^not.before",
    "hosts": r"--hosts|^hosts ",
    "host": r"--host\b|^host |^There is no host",
    "gpu_model": r"--gpu-model|^gpu.model ",
    "after": r"--after|^after ",
    "like": r"^like |like job|^There is no job",
}
Resolve = Callable[[SubmissionRequest], object]


def place_errors(
    error: CnnctlError, names: Collection[str], request: SubmissionRequest | None, resolve: Resolve
) -> Mapping[str, str]:
    """What is wrong with which field; what is about none of them is under an empty name.

    Where a sentence names no field, it is about the one without which it would not be said.
    """
    if isinstance(error, FieldError):
        return {error.field: str(error)}
    placed: dict[str, str] = {}
    for sentence in str(error).splitlines():
        name = _find_named(sentence, names) or _find_cause(sentence, request, resolve) or _find_clue(sentence)
        placed[name] = f"{placed[name]}\n{sentence}" if name in placed else sentence
    return placed


def _find_named(sentence: str, names: Collection[str]) -> str:
    found = re.findall(r"[a-z_0-9]+(?:\.[a-z_0-9]+)+", sentence)
    return next((name for name in found if name in names), "")


def _find_cause(sentence: str, request: SubmissionRequest | None, resolve: Resolve) -> str:
    if request is None or sentence not in _say(request, resolve):
        return ""
    for name in request.fields:
        without = {path: value for path, value in request.fields.items() if path != name}
        if sentence not in _say(replace(request, fields=without), resolve):
            return name
    return ""


def _say(request: SubmissionRequest, resolve: Resolve) -> str:
    try:
        resolve(request)
    except CnnctlError as error:
        return str(error)
    return ""


def _find_clue(sentence: str) -> str:
    return next((name for name, clue in CLUES.items() if re.search(clue, sentence)), "")
