"""The routes of studies."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from cnnctl.views.requests import ExtendRequest, StudyRequest
from cnnctl.views.studies import StudyEntry, StudyEvidence, StudyReport, StudyView
from service.api.ask import Asked
from service.api.declare import act, get

router = APIRouter(tags=["studies"])
Study = Annotated[int, Path(description="the study's number")]


@get(router, "/study-catalog", Sequence[StudyEntry])
def list_study_catalog(ask: Asked) -> Response:
    """The studies that can be started by name."""
    return ask.look(lambda client: client.list_study_catalog())


@act(router, "POST", "/studies", StudyView, body=StudyRequest, status=201)
def start_study(ask: Asked) -> Response:
    """Start a study: queue its first runs."""
    return ask.act(lambda client: client.start_study(ask.read(StudyRequest)), status=201)


@get(router, "/studies", Sequence[StudyView])
def list_studies(
    ask: Asked,
    running: Annotated[bool, Query(description="those alone that have not ended")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """Studies, the newest first."""
    return ask.look(lambda client: client.list_studies(running=running, limit=limit))


@get(router, "/studies/{study}", StudyView)
def get_study(ask: Asked, study: Study) -> Response:
    """How far a study is."""
    return ask.look(lambda client: client.get_study(study))


@get(router, "/studies/{study}/evidence", StudyEvidence)
def get_study_evidence(ask: Asked, study: Study) -> Response:
    """All that a study's report is made of."""
    return ask.look(lambda client: client.get_study_evidence(study))


@get(router, "/studies/{study}/report", StudyReport)
def get_study_report(ask: Asked, study: Study) -> Response:
    """What a study came to so far."""
    return ask.look(lambda client: client.get_study_report(study))


@act(router, "POST", "/studies/{study}/cancel", StudyView)
def cancel_study(ask: Asked, study: Study) -> Response:
    """Cancel a study with those of its jobs that have not ended."""
    return ask.act(lambda client: client.cancel_study(study))


@act(router, "POST", "/studies/{study}/extend", StudyView, body=ExtendRequest)
def extend_study(ask: Asked, study: Study) -> Response:
    """Add seeds to a study."""
    request = ask.read(ExtendRequest)
    return ask.act(lambda client: client.extend_study(study, seeds=request.seeds))


@act(router, "POST", "/studies/{study}/rerun", StudyView)
def rerun_study(ask: Asked, study: Study) -> Response:
    """Let a study go on: runs without a result are tried again."""
    return ask.act(lambda client: client.rerun_study(study))
