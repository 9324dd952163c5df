"""Writes a study's report, and its evidence, into files."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnctl.views.codec import to_json
from cnnctl.views.studies import ContrastView, StudyEvidence, StudyReport
from service.cli.studies.pictures import draw_picture
from service.cli.studies.report_text import list_warnings
from service.domain.studies.words import format_size
from service.errors import MissingExtra

TEMPLATES = Path(__file__).parent / "templates"


def dump_evidence(evidence: StudyEvidence) -> str:
    """A study's evidence as JSON, a line a run, so that files of two days can be compared."""
    document = to_json(evidence)
    runs = document.pop("runs")
    head = json.dumps(document, indent=1)
    lines = ",\n".join(json.dumps(run) for run in runs)
    return f'{head[:-2]},\n "runs": [\n{lines}\n]\n}}\n'


def write_report(report: StudyReport, form: str, folder: Path) -> Path:
    """Write a report as md, with a picture beside it, or as html, with the picture in it; returns the file.

    Raises:
        MissingExtra: Matplotlib or Jinja is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"Reports need a package that is not installed: {error.name}. "
            "Install it with: pip install 'cnnctl[report]'"
        ) from None
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=form == "html", undefined=StrictUndefined
    )
    environment.filters |= {
        "plain": escape,
        "size": _format_size,
        "interval": _format_interval,
        "fields": _format_fields,
    }
    drawing = draw_picture(report)
    folder.mkdir(parents=True, exist_ok=True)
    picture = f"{report.name}.svg"
    if form == "md":
        (folder / picture).write_bytes(drawing)
    text = environment.get_template(f"report.{form}").render(
        r=report,
        warnings=list_warnings(report),
        picture=picture,
        drawing=drawing[drawing.index(b"<svg") :].decode(),
    )
    path = folder / f"{report.name}.{form}"
    path.write_text(text)
    return path


def escape(text: str) -> str:
    """Text as Markdown shows it: nothing of it is markup, a row of a table stays one."""
    return re.sub(r"([\\`*\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _format_size(contrast: ContrastView) -> str:
    if contrast.mean is None:
        return "none"
    size = format_size(contrast.mean, margin=contrast.margin, ratio=contrast.ratio)
    return f"{size} times" if contrast.ratio else size


def _format_interval(contrast: ContrastView) -> str:
    ends = (contrast.low, contrast.high)
    texts = [
        format_size(end, margin=contrast.margin, ratio=contrast.ratio) for end in ends if end is not None
    ]
    return " to ".join(texts) or "none"


def _format_fields(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}={value}" for path, value in fields.items()) or "nothing"
