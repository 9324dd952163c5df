"""The pictures of a study are SVG, whatever its arms are called and its runs came to."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from cnnctl.views.studies import ArmPoint, ArmView, ContrastView, StudyReport
from service.web.chart_svg import draw_chart
from service.web.study_curves import MOST_EPOCHS, list_recorded, make_curves
from service.web.study_svg import draw_dots, draw_forest, list_points

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</text><script>alert(1)</script>\u202e&\x00" + "z" * 3000


def point(seed: int, value: float, *, censored: bool = False) -> ArmPoint:
    return ArmPoint(seed=seed, value=value, censored=censored, job=seed)


CONTRAST = ContrastView(
    first="fast",
    second="slow",
    metric="test_accuracy",
    aside=False,
    expect="higher",
    ratio=False,
    margin=0.01,
    verdict="confirmed",
    words="Confirmed: so it is.",
    pairs=2,
    missing=0,
    mean=0.02,
    low=0.015,
    high=0.025,
    p=0.01,
    p_holm=0.02,
    share_above=1.0,
    censored_first=0,
    censored_second=0,
    needed=6,
    first_points=[point(0, 0.92), point(1, 0.93)],
    second_points=[point(0, 0.90), point(1, 0.91)],
)
REPORT = StudyReport(
    name="rate",
    scale="quick",
    claim="A larger rate learns faster.",
    source="nobody",
    published="",
    digest="d" * 64,
    network="softmax",
    base={},
    factor=["optimizer.lr"],
    planned_seeds=6,
    is_complete=True,
    undecided="",
    verdict="confirmed",
    words="Confirmed: so it is.",
    arms=[ArmView(name=name, fields={}, tuned={}, done=2, diverged=0, failed=0) for name in ("slow", "fast")],
    contrasts=[CONTRAST],
    remarks=[],
    environments=[],
    curves={"val_accuracy": {"slow": [[0.5, 0.6], [0.6, None]], "fast": [[0.7, 0.8]]}},
)


def read(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert not list(root.iter(SVG + "script"))
    return root


def list_numbers(root: ElementTree.Element, tag: str, name: str) -> list[float]:
    return [float(one.attrib[name]) for one in root.iter(SVG + tag)]


def test_a_forest_is_in_units_of_the_margin() -> None:
    root = read(draw_forest(REPORT, width=360))
    (band,) = [one for one in root.iter(SVG + "rect") if "fill-opacity" in one.attrib]
    zero = float(band.attrib["x"]) + float(band.attrib["width"]) / 2
    margin = float(band.attrib["width"]) / 2
    (mean,) = list_numbers(root, "circle", "cx")
    assert mean == pytest.approx(zero + 2 * margin, abs=0.2)
    as_ratio = replace(CONTRAST, ratio=True, margin=1.1, mean=1.1**2, low=1.1, high=1.1**3)
    root = read(draw_forest(replace(REPORT, contrasts=[as_ratio, CONTRAST])))
    first, second = list_numbers(root, "circle", "cx")
    assert first == pytest.approx(second, abs=0.2)
    assert "of ratios by logarithms" in "".join(root.itertext())


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": None, "low": None, "high": None, "first_points": [], "second_points": []},
        {"low": None, "high": None},
        {"mean": 1e300, "low": -1e300, "high": 1e308, "margin": 1e-300},
        {"mean": 0.0, "low": 0.0, "high": float("inf"), "ratio": True, "margin": 1.0000001},
        {"first": EVIL, "second": EVIL, "metric": EVIL, "words": EVIL},
        {"mean": 50.0, "low": 20.0, "high": 80.0, "margin": 1.0},
    ],
)
def test_a_forest_takes_what_comes(changes: dict[str, object]) -> None:
    contrasts = [replace(CONTRAST, **changes), *[CONTRAST] * 50]  # type: ignore[arg-type]
    root = read(draw_forest(replace(REPORT, contrasts=contrasts)))
    width = float(root.attrib["width"])
    assert all(0 <= x <= width for x in list_numbers(root, "circle", "cx"))


def test_dots_are_joined_by_their_seed_and_as_many_as_can_be_told_apart() -> None:
    root = read(draw_dots(REPORT, "test_accuracy"))
    assert len(list_numbers(root, "circle", "cx")) == 4
    assert sum("stroke-opacity" in one.attrib for one in root.iter(SVG + "path")) == 2
    many = [point(seed, 0.9 + seed % 7 * 1e-9, censored=seed % 2 == 0) for seed in range(1000)]
    crowded = replace(CONTRAST, first_points=many, second_points=many)
    assert len(draw_dots(replace(REPORT, contrasts=[crowded]), "test_accuracy")) < 10_000
    extreme = replace(CONTRAST, first_points=[point(0, 1e308), point(1, -1e308)])
    read(draw_dots(replace(REPORT, contrasts=[extreme]), "test_accuracy"))
    assert list_points(REPORT, "nothing") == {}
    assert "no pair of runs has ended" in draw_dots(REPORT, "nothing")


def test_a_curve_is_the_mean_over_seeds_with_its_band() -> None:
    assert list_recorded(REPORT) == ["val_accuracy"]
    slow, fast = make_curves(REPORT, "val_accuracy").curves
    assert slow.points == [(0, pytest.approx(0.55)), (1, 0.6)]
    assert slow.band[1] == (1, 0.6, 0.6)
    assert fast.last == 0.8
    assert make_curves(REPORT, "val_accuracy").names == ["1", "2"]
    long = {"val_accuracy": {"fast": [[1e308, None] * MOST_EPOCHS]}}
    chart = make_curves(replace(REPORT, curves=long), "val_accuracy")
    assert chart.names == []
    assert chart.notes == ["One of every 2 epochs is drawn"]
    read(draw_chart(chart, width=360))
    assert "Nothing to show" in draw_chart(make_curves(REPORT, "loss"))
