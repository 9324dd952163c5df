"""Writes a study's report into files."""

import json
from pathlib import Path

from cnnctl.views.codec import to_json
from cnnctl.views.studies import StudyEvidence, StudyReport


def dump_evidence(evidence: StudyEvidence) -> str:
    """A study's evidence as JSON, a line a run, so that files of two days can be compared."""
    document = to_json(evidence)
    runs = document.pop("runs")
    head = json.dumps(document, indent=1)
    lines = ",\n".join(json.dumps(run) for run in runs)
    return f'{head[:-2]},\n "runs": [\n{lines}\n]\n}}\n'


def write_report(report: StudyReport, form: str, folder: Path) -> Path:
    """Write the report as md or html with its pictures; returns the file."""
    raise NotImplementedError
