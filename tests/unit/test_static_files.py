"""What browsers load is small, and what is not ours is what it was when it was taken in."""

import gzip
import hashlib
from pathlib import Path

from service.web.static import FILES

MOST_BYTES = 60_000  # of all scripts and styles, compressed
VENDORED = {
    "vendor/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "vendor/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "vendor/uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
TEMPLATES = Path(__file__).parents[2] / "service" / "web" / "templates"


def test_what_is_vendored_is_as_it_was_published() -> None:
    there = {
        name: hashlib.sha256(content).hexdigest() for name, content in FILES.items() if "vendor/" in name
    }
    assert there == VENDORED


def test_scripts_and_styles_are_small() -> None:
    sizes = [len(gzip.compress(content)) for name, content in FILES.items() if name.endswith((".js", ".css"))]
    assert sum(sizes) <= MOST_BYTES


def test_no_template_has_a_script_or_a_style_of_its_own() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        assert " style=" not in text, path
        assert "<style" not in text, path
        assert "javascript:" not in text, path
        assert not any(f" on{event}=" in text for event in ("click", "load", "input", "change", "submit")), (
            path
        )
        assert text.count("<script") == text.count('<script type="module" src='), path
        assert "|safe" not in text, path
