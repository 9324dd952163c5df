"""A report is made of evidence alone, also of evidence that an older cnnctl wrote."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cnnctl.views.codec import from_json
from cnnctl.views.studies import StudyEvidence
from service.cli.studies.report_files import dump_evidence, escape
from service.domain.studies.report import make_report
from service.errors import SpecError

GOLDEN = Path(__file__).parents[1] / "golden" / "study-c56182e.json"


@pytest.fixture
def evidence() -> StudyEvidence:
    """What `cnnctl study export` of c56182e wrote: its definition lacks the fields that came later."""
    found: StudyEvidence = from_json(StudyEvidence, json.loads(GOLDEN.read_text()))
    return found


def test_old_evidence_gives_its_report(evidence: StudyEvidence) -> None:
    report = make_report(evidence)
    assert (report.verdict, report.is_complete, report.contrasts[0].pairs) == ("confirmed", True, 6)
    again: StudyEvidence = from_json(StudyEvidence, json.loads(dump_evidence(evidence)))
    assert make_report(again) == report


def test_a_changed_definition_is_refused(evidence: StudyEvidence) -> None:
    definition = json.loads(json.dumps(dict(evidence.definition)))
    definition["contrasts"][0]["margin"] = 0.5
    with pytest.raises(SpecError, match="not what was decided"):
        make_report(replace(evidence, definition=definition))


def test_what_was_known_before_is_said(evidence: StudyEvidence) -> None:
    runs = [replace(run, job=None) for run in evidence.runs]
    assert make_report(replace(evidence, runs=runs)).remarks[:2] == [
        "12 runs were made elsewhere, and taken over.",
        "So results of 12 runs were known when the number of seeds was decided.",
    ]


def test_text_is_no_markup_in_markdown() -> None:
    assert escape("Fine.\n\n**Confirmed** | <script>") == r"Fine. \*\*Confirmed\*\* \| \<script\>"
