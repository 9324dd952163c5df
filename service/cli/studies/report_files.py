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
READING = (
    "Runs are compared seed by seed. Intervals are Student's, over seeds, each for itself; they say nothing "
    "of other images, networks or larger scales.",
    "p is exact, by the signs of the differences, two-sided, and corrected by Holm over the contrasts of "
    "this study, not over all studies. With 10 pairs it cannot be smaller than 0.002 before that.",
    "Equal: the 90 % interval lies within the margin, which is two one-sided tests at 5 %; a small p beside "
    "it says that there is a difference, and that it is too small to matter.",
    "Confirmed or opposite: the corrected p is at most 0.05, and the 95 % interval holds no 0 (of ratios no "
    "1). The verdict is on the direction that the claim says, not on the published size.",
    "A claim of several parts is as strong as the weakest of them.",
)


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
        "levels": _format_levels,
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
        reading=READING,
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


def _format_levels(contrast: ContrastView) -> str:
    means = [mean for mean in (contrast.first_mean, contrast.second_mean) if mean is not None]
    never = contrast.censored_first + contrast.censored_second
    return ", ".join(f"{mean:.4g}" for mean in means) + (" or more" if never else "") or "none"


def _format_interval(contrast: ContrastView) -> str:
    if contrast.low is not None and contrast.low == contrast.high:
        return "exact"
    ends = (contrast.low, contrast.high)
    texts = [
        format_size(end, margin=contrast.margin, ratio=contrast.ratio) for end in ends if end is not None
    ]
    return " to ".join(texts) or "none"


def _format_fields(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}={value}" for path, value in fields.items()) or "nothing"
