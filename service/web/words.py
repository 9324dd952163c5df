"""How values are written on pages: filters of the templates."""

import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from markupsafe import Markup

from service.domain.gpus import format_gpus
from service.visible import escape

HUES = 12  # of people; the style sheet has so many
NONE = "–"


def hue(name: str | None) -> str:
    """The class of a person's colour, the same everywhere."""
    return f"hue{zlib.crc32((name or '').encode('utf-8', 'surrogatepass')) % HUES}"


def plain(text: object) -> str:
    """People's words, with what could turn the page around them made visible."""
    return escape(str(text))


def brief(text: object, longest: int = 255) -> str:
    """The same cut short: names are no longer today, but an older cnnctl took any."""
    shown = plain(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def moment(value: datetime | None, form: str = "time") -> Markup:
    """A moment; the browser writes it in its own time zone, and as `age` or `until` how far it is away."""
    if value is None:
        return Markup(NONE)
    utc = value.astimezone(timezone.utc)
    text = f"{utc:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(utc.isoformat(), form, text)


def seconds(value: float | None) -> str:
    """A duration: 0.4 s, 12 s, 5 min, …"""
    if value is None:
        return NONE
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if value >= 2 * size:
            return f"{value / size:.0f} {unit}"
    return f"{value:.0f} s" if value >= 1 or not value else f"{value:.2g} s"


def number(value: float | None, digits: int = 3) -> str:
    """A measured value, with so many digits that count."""
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if size >= 0.001 or not size else f"{value:.2e}"


def short(value: float) -> str:
    """A count: 950, 12.4 k, 61.1 M."""
    units = ["", " k", " M", " G", " T", " P", " E"]
    while abs(float(f"{value:.3g}")) >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g}{units[0]}"


def mib(value: float | None) -> str:
    """Memory in MiB, as GiB."""
    return "?" if value is None else f"{value / 1024:.{0 if value >= 10240 else 1}f}"


def size(value: int | None) -> str:
    """A file's size."""
    if value is None:
        return NONE
    return f"{short(value)}B" if value >= 1000 else f"{value} bytes"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "hue": hue,
    "plain": plain,
    "brief": brief,
    "moment": moment,
    "seconds": seconds,
    "number": number,
    "short": short,
    "mib": mib,
    "size": size,
    "gpus": format_gpus,
}
