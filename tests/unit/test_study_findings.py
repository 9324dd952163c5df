"""A study is judged once for each change, however many ask at the same time; forms with files are read."""

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, cast

import pytest

from cnnctl.client import Client
from cnnctl.views.studies import StudyEvidence, StudyReport, StudyRunView, StudyView
from service.errors import SpecError
from service.web.study_findings import MOST_KEPT, Findings

VIEW = StudyView(
    study=1,
    name="rate",
    owner="ada",
    scale="quick",
    claim="A larger rate learns faster.",
    state="running",
    reason="",
    digest="d" * 64,
    planned_seeds=6,
    seeds=6,
    runs=12,
    done=5,
    failed=0,
    shared=0,
    seconds_left=7.0,
    submitted_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    ended_at=None,
)
RUN = StudyRunView(
    stage="measure",
    arm="fast",
    seed=0,
    tuned={},
    training_digest="",
    job=1,
    shared=False,
    numbers={"curves": {}},
    failure="",
)


@dataclass
class SlowClient:
    """Takes its time for a report, and counts them; the first ones fail."""

    failures: int = 0
    reports: int = 0

    def get_study_report(self, study: int) -> StudyReport:
        self.reports += 1
        time.sleep(0.05)
        if self.reports <= self.failures:
            raise SpecError("it cannot be read")
        return cast(StudyReport, object())

    def get_study_evidence(self, study: int) -> StudyEvidence:
        values: dict[str, Any] = dict.fromkeys(StudyEvidence.__dataclass_fields__, "")
        return StudyEvidence(**{**values, "runs": [RUN]})


def test_a_study_is_judged_once_for_each_change() -> None:
    findings, client = Findings(), SlowClient()
    assert findings.find(VIEW) is None

    def ask() -> None:
        findings.get(cast(Client, client), replace(VIEW, seconds_left=time.monotonic()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.reports == 1
    found = findings.find(VIEW)
    assert found is not None
    assert found.runs[0].numbers == {}  # not kept: they may be many
    for changed in (replace(VIEW, done=6), replace(VIEW, failed=1), replace(VIEW, seeds=8)):
        findings.get(cast(Client, client), changed)
    assert client.reports == 4


def test_what_could_not_be_judged_is_tried_again_and_only_the_newest_are_kept() -> None:
    findings, client = Findings(), SlowClient(failures=1)
    with pytest.raises(SpecError):
        findings.get(cast(Client, client), VIEW)
    first = findings.get(cast(Client, client), VIEW)
    assert findings.find(VIEW) is first
    for study in range(2, 2 + MOST_KEPT):
        findings.get(cast(Client, client), replace(VIEW, study=study))
    assert findings.find(VIEW) is None
