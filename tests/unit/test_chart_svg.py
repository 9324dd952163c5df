"""Pictures of curves: presentation attributes alone, round ticks, and every spike."""

import math
import re
from xml.etree import ElementTree

import pytest

from cnnctl.views.curves import CurveView
from service.web.chart import COLOURS, Chart, Curve, Dot, Look, choose_look
from service.web.chart_scale import find_step, format_tick, is_wide, make_scale
from service.web.chart_svg import draw_chart
from service.web.curve_axis import Axis, find_axis
from service.web.curve_lines import clip, smooth, trace

SVG = "{http://www.w3.org/2000/svg}"
STEPS = Axis(steps=(0, 1), places=(0, 1))


def curve(points: list[tuple[float, float | None]], **fields: object) -> Curve:
    values = {"key": "1", "label": "Job 1", "look": choose_look(0), "last": 0.5, "points": points, **fields}
    return Curve(**values)  # type: ignore[arg-type]


def view(*points: tuple[int, float | None, float | None, float | None], **fields: object) -> CurveView:
    values = {
        "job": 1,
        "metric": "loss",
        "steps_per_epoch": 10,
        "decimated": True,
        "total": 9,
        "not_finite": 0,
        "last": None,
        "points": points,
        "clock": [],
        **fields,
    }
    return CurveView(**values)  # type: ignore[arg-type]


def draw(**fields: object) -> ElementTree.Element:
    values = {"title": "", "x_label": "step", "y_label": "loss", **fields}
    return ElementTree.fromstring(draw_chart(Chart(**values)))  # type: ignore[arg-type]


def list_words(svg: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in svg.iter(f"{SVG}text")]


def test_a_logarithmic_picture_has_decades_and_what_is_not_positive_below_its_paper() -> None:
    svg = draw(curves=[curve([(0, 100.0), (1, 0.01), (2, 0.0)])], logarithmic=True)
    assert {"100", "1", "0.01"} <= set(list_words(svg))
    assert "0" not in [word for word in list_words(svg) if word == "0.001"]
    all_zero = draw(curves=[curve([(0, 0.0), (1, -1.0)])], logarithmic=True)
    assert "-1" in list_words(all_zero)  # of which no such picture can be made


def test_a_picture_has_no_style_and_no_word_of_others_that_could_be_markup() -> None:
    label = "<script>alert(1)</script>\x1b[31m\u202e" + "x" * 10_000
    text = draw_chart(
        Chart(title="", x_label=label, y_label=label, curves=[curve([(0, 1)], label=label)], notes=[label])
    )
    assert "style" not in text
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) < 40_000
    ElementTree.fromstring(text)


def test_a_legend_has_each_curve_with_its_last_value() -> None:
    many = [curve([(0, 1), (9, 2)], label=f"Job {n}", last=n / 8) for n in range(100)]
    words = list_words(draw(curves=many))
    assert {"Job 0", "Job 99", "12.38"} <= set(words)


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0.0, None)],
        [(3.0, 0.5)],
        [(0.0, 1e308), (1.0, -1e308)],
        [(0.0, 5e-324), (1.0, 0.0)],
        [(0.0, 1e-300), (2.0**62, 1e300)],
        [(7.0, 2.0), (7.0, 2.0)],
    ],
)
def test_whatever_was_recorded_is_drawn_on_the_paper(points: list[tuple[float, float | None]]) -> None:
    text = draw_chart(Chart(title="", x_label="", y_label="", curves=[curve(points, band=[])]))
    assert not re.search(r"[\" ,LM]-?(nan|inf)", text)
    numbers = [float(found) for found in re.findall(r'(?:cx|cy|x|y)="(-?[\d.]+)"', text)]
    assert all(-10_000 < number < 10_000 for number in numbers)


def test_a_gap_interrupts_the_line_and_a_point_alone_is_a_dot() -> None:
    svg = draw(curves=[curve([(0, 1.0), (1, 2.0), (2, None), (3, 1.5)])])
    paths = [one.get("d", "") for one in svg.iter(f"{SVG}path") if one.get("stroke") == COLOURS[0]]
    assert paths[0].count("M") == 2
    assert len(list(svg.iter(f"{SVG}circle"))) == 1


def test_bands_are_polygons_and_attempts_are_lines() -> None:
    svg = draw(
        curves=[curve([(0, 1.0), (9, 2.0)], band=[(0, 0.5, 1.5), (9, 1.0, 3.0)])], marks=[(4.0, "attempt 2")]
    )
    (polygon,) = svg.iter(f"{SVG}polygon")
    assert len(polygon.get("points", "").split()) == 4
    assert "attempt 2" in list_words(svg)


def test_a_band_is_interrupted_where_it_has_no_ends() -> None:
    band = [(0, 0.5, 1.5), (1, 0.5, 1.5), (2, None, None), (3, 1.0, 3.0), (4, 1.0, 3.0)]
    svg = draw(curves=[curve([(0, 1.0), (4, 2.0)], band=band)])
    assert len(list(svg.iter(f"{SVG}polygon"))) == 2


@pytest.mark.parametrize("values", [[1e-310], [1e-310, 1e-305], [1e-320, 1.0]])
def test_however_small_values_are_a_logarithmic_picture_can_be_drawn(values: list[float]) -> None:
    points = [(float(x), y) for x, y in enumerate(values)]
    draw(curves=[curve(points)], logarithmic=True)  # type: ignore[arg-type]


def test_settings_that_are_no_numbers_stand_side_by_side() -> None:
    dots = [Dot(x=n, y=n / 10, label=str(n), look=Look(colour="#000")) for n in (0, 1)]
    assert {"adam", "sgd"} <= set(list_words(draw(dots=dots, names=["adam", "sgd"])))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0, 12_000, ["0", "2,000", "4,000"]),
        (-1, 1, ["-1", "-0.5"]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[str]) -> None:
    scale = make_scale([low, high], start=0, end=100, room=0)
    assert [format_tick(tick) for tick in scale.list_ticks(6)][: len(ticks)] == ticks


def test_small_learning_rates_get_a_logarithmic_axis() -> None:
    assert is_wide([1e-4, 0.1])
    assert not is_wide([0.0, 0.1])
    scale = make_scale([1e-4, 0.1], start=0, end=300, room=0, logarithmic=True)
    assert [format_tick(tick) for tick in scale.list_ticks(6)] == ["0.0001", "0.001", "0.01", "0.1"]
    assert scale.place(1e-3) == pytest.approx(100)


@pytest.mark.parametrize("least", [1e-12, 0.3, 1.0, 7, 123_456])
def test_a_step_is_no_smaller_than_asked_for(least: float) -> None:
    assert least * 0.99 <= find_step(least) <= 2.5 * least


def test_colours_stand_out_on_white_and_on_the_dark_ground() -> None:
    def shine(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        line = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2]

    for colour in COLOURS:
        assert 1.05 / (shine(colour) + 0.05) >= 3, colour
        assert (shine(colour) + 0.05) / (shine("#1f1f1d") + 0.05) >= 3, colour
    assert len({choose_look(number) for number in range(100)}) == 100


def test_a_line_visits_the_least_and_the_largest_value_of_each_bucket() -> None:
    line = list(
        trace(
            view((1, 1.0, 1.0, 1.0), (2, 0.9, 100.0, 2.0), (5, None, None, None), (8, 3.0, 4.0, 3.5)), STEPS
        )
    )
    assert line == [(1, 1.0), (2, 0.9), (2, 100.0), (5, None), (8, 3.0), (8, 4.0)]


def test_a_smoothed_curve_is_the_exponential_mean_without_bias() -> None:
    values = [(100, 4.0), (200, 2.0), (300, 6.0)]
    line = list(smooth(view(*((step, v, v, v) for step, v in values)), STEPS, weight=0.5))
    assert [y for _, y in line] == pytest.approx([4.0, (4 + 2 * 2) / 3, (4 + 2 * 2 + 4 * 6) / 7])


def test_a_smoothed_curve_is_the_same_however_many_buckets_it_comes_in() -> None:
    def find_value(width: int) -> float | None:
        steps = range(width, 3001, width)
        values = [(step, 1.0 if step <= 2000 else 0.0) for step in steps]
        return list(smooth(view(*((step, v, v, v) for step, v in values)), STEPS, weight=0.9))[-1][1]

    assert find_value(1) == pytest.approx(find_value(100), rel=0.01)


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_line_within_a_window_goes_up_to_the_ends_of_it(*, logarithmic: bool) -> None:
    line = [(0.0, 1.0), (10.0, 100.0), (20.0, None), (30.0, 1.0), (40.0, 1.0)]
    half = 10.0 if logarithmic else 50.5
    assert clip(line, (5, 35), logarithmic=logarithmic) == [
        (5, pytest.approx(half)),
        (10, 100.0),
        (20, None),
        (30, 1.0),
        (35, pytest.approx(1.0)),
    ]
    assert [x for x, _ in clip(line, (31, 32))] == [31, 32]  # between two points
    assert clip(line, (12, 18)) == []
    assert clip(line, None) == line


def test_axes_of_epochs_and_of_time() -> None:
    known = view(clock=[(10, 60.0), (20, 180.0)])
    epochs, time = find_axis(known, "epoch"), find_axis(known, "time")
    assert epochs is not None
    assert time is not None
    assert [epochs.place(step) for step in (0, 5, 30)] == [0, 0.5, 3]
    assert [time.place(step) for step in (0, 5, 10, 15, 25)] == pytest.approx([0, 0.5, 1, 2, 4])
    assert math.isclose(time.find_step(2), 15)
    assert find_axis(view(steps_per_epoch=None), "epoch") is None
    assert find_axis(view(), "time") is None
