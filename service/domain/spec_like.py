"""Makes a spec like one that there is: what was given, over its choices, over the defaults of today."""

import json
from collections.abc import Mapping

from service.domain.spec import Spec
from service.domain.spec_request import resolve_spec
from service.domain.stored_spec import list_values
from service.domain.unread_fields import explain_unread
from service.errors import SpecError

OPTIONS = "model.options."
NEVER_A_DEFAULT = "data.dataset"  # another network with its own dataset would be no comparison


def resolve_like(
    base: Spec,
    architecture: str | None,
    assignments: Mapping[str, object],
    *,
    choices: Mapping[str, object],
) -> Spec:
    """Lay values by dotted path, and perhaps another architecture, over the choices of a spec.

    A field that the base has left to its default follows what was given: with another optimizer its
    learning rate is that optimizer's, unless the base has chosen one. Choices that nothing reads any more
    are dropped, and so are the options of another architecture.

    Raises:
        SpecError: as `resolve_spec` does; a choice of the base may not fit what was given.
    """
    name = base.model.architecture if architecture is None else architecture
    if name != base.model.architecture:
        choices = {path: value for path, value in choices.items() if not path.startswith(OPTIONS)}
    spec = resolve_spec(name, assignments, kept=choices)
    still_read = {
        path: value
        for path, value in choices.items()
        if explain_unread(base, path) or not explain_unread(spec, path)
    }
    return resolve_spec(name, assignments, kept=still_read)


def list_choices(spec: Spec) -> Mapping[str, object]:
    """The dataset, and all fields whose values do not follow from the others, by dotted path."""
    values = dict(list_values(json.loads(spec.to_json())))
    for path in ("schema_version", "model.architecture"):
        del values[path]
    return {
        path: value
        for path, value in values.items()
        if path == NEVER_A_DEFAULT or _is_chosen(spec, values, path)
    }


def _is_chosen(spec: Spec, values: Mapping[str, object], path: str) -> bool:
    others = {name: value for name, value in values.items() if name != path}
    try:
        return resolve_spec(spec.model.architecture, {}, kept=others) != spec
    except SpecError:
        return True  # its default would not fit the others
