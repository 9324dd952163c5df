"""The form of a new job, and what its submission would come to."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams

from cnnctl.client import Client
from cnnctl.errors import CnnctlError
from cnnctl.views.dry_run import DryRunView
from cnnctl.views.jobs import JobView
from cnnctl.views.requests import SubmissionRequest
from service.domain.spec import Spec, read_spec
from service.domain.spec_like import list_choices, resolve_like
from service.domain.spec_request import resolve_spec
from service.domain.stored_spec import read_values
from service.errors import SpecError
from service.web.acting import make_key
from service.web.address import check_query
from service.web.new_errors import place_errors
from service.web.new_form import (
    LABELS,
    RUNNING,
    Field,
    Filled,
    Group,
    list_most_used,
    list_own,
    list_paths,
    list_sections,
)
from service.web.new_request import LONGEST, to_command, to_request
from service.web.parts import Page, Visit

OWN = ("architecture", "like", *LABELS, *RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """The form as it is filled in."""

    key: str
    architecture: Field
    like: JobView | None
    most_used: Sequence[Field]
    sections: Sequence[Group]
    labels: Sequence[Field]
    running: Group
    command: str
    may_submit: bool
    errors: Mapping[str, str] = field(default_factory=dict)
    """By field; what is about none is under an empty name."""
    answer: DryRunView | None = None


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The form, filled in as the address says."""
    every = {one.name for one in visit.client.list_spec_fields()}
    check_query(query, (*OWN, *every))
    return page_of(fill_in(visit, dict(query)))


def page_of(view: NewJob) -> Page:
    """The page around a form."""
    return Page(
        title="New job",
        template="new",
        section="New job",
        command="",  # stands in the form, which changes as it is filled in
        parts=[],
        values={"view": view},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a form or an address says, without what belongs to other networks; `refused` is what is wrong."""

    typed: Mapping[str, str]
    paths: Collection[str]
    """Fields of the spec that its network has."""
    like: JobView | None
    request: SubmissionRequest | None
    refused: CnnctlError | None


def read_sent(client: Client, sent: Mapping[str, str]) -> Sent:
    """Read what was typed."""
    given = {name: text.strip()[:LONGEST] for name, text in sent.items() if text.strip()}
    like, request, refused = None, None, None
    try:
        number = to_request({"like": given.get("like", "")}).like
        like = None if number is None else client.get_job(number)
    except CnnctlError as error:
        refused = error
    paths = list_paths(client, given.get("architecture") or _find_architecture(like))
    typed = {name: given[name] for name in (*OWN, *paths) if name in given}
    try:
        request = to_request(typed)
    except CnnctlError as error:
        refused = refused or error
    return Sent(typed=typed, paths=paths, like=like, request=request, refused=refused)


def _find_architecture(like: JobView | None) -> str:
    return like.spec["model"]["architecture"] if like else ""


def get_request(client: Client, sent: Mapping[str, str]) -> SubmissionRequest:
    """The submission that a form asks for.

    Raises:
        CnnctlError: a field takes something else, or there is no job that it is to be like.
    """
    read = read_sent(client, sent)
    if read.refused is not None:
        raise read.refused
    assert read.request is not None
    return read.request


def fill_in(
    visit: Visit, form: Mapping[str, str], *, rehearse: bool = False, error: CnnctlError | None = None
) -> NewJob:
    """The form with what was typed, with `error` at its place; or with the result of a dry run."""
    client, sent, answer = visit.client, read_sent(visit.client, form), None
    error = error or sent.refused
    if rehearse and error is None and sent.request and not _is_empty(sent.request):
        try:
            answer = client.dry_run(sent.request)
        except CnnctlError as refused:
            error = refused

    def resolve(request: SubmissionRequest) -> Spec:
        return _resolve(request, sent.like)

    errors = {} if error is None else place_errors(error, sent.paths, sent.request, resolve)
    architecture = sent.typed.get("architecture") or _find_architecture(sent.like)
    defaults = _list_defaults(sent.request, sent.like, architecture)
    filled = Filled(typed=sent.typed, defaults=defaults, errors=errors)
    return NewJob(
        key=form.get("key", "") or make_key(),
        like=sent.like,
        architecture=filled.make(
            "architecture",
            "network",
            "the architecture",
            suggestions=[entry.name for entry in client.list_catalog("architectures")],
        ),
        most_used=list_most_used(client, architecture, filled),
        sections=list(list_sections(client, architecture, filled)),
        labels=list_own(filled, LABELS),
        running=Group(title="how to run it", fields=list_own(filled, RUNNING)),
        command=to_command(sent.typed),
        may_submit=visit.me.scope != "read",
        errors=errors,
        answer=answer,
    )


def _is_empty(request: SubmissionRequest) -> bool:
    return request.architecture is None and request.like is None


def _resolve(request: SubmissionRequest, like: JobView | None) -> Spec:
    if like is None:
        if request.architecture is None:
            raise SpecError("Name an architecture")
        return resolve_spec(request.architecture, request.fields)
    base = read_spec(json.dumps(like.spec))
    return resolve_like(base, request.architecture, request.fields, choices=list_choices(base))


def _list_defaults(
    request: SubmissionRequest | None, like: JobView | None, architecture: str
) -> Mapping[str, str]:
    """What each field comes to where nothing is typed; the spec's only where the rest can be resolved."""
    kept: dict[str, Any] = {}
    if like is not None:
        kept = {
            "architecture": _find_architecture(like),
            "priority": like.priority,
            "project": like.project,
            "gpu_model": like.gpu_model or "",
            "host": like.host_asked_for or "",
            "hosts": str(like.hosts),
        }
    for asked in (request, SubmissionRequest(architecture=architecture or None)):
        try:
            spec = None if asked is None else _resolve(asked, like)
        except CnnctlError:
            spec = None
        if spec is None:
            continue
        values = read_values(json.loads(spec.to_json())).items()
        return kept | {path.replace("model.options.", "model."): _write(value) for path, value in values}
    return kept


def _write(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
