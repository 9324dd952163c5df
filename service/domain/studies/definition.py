"""What a study is: its claim, its arms, and what was decided before the first run.

Rules that may change stand in `rules`: a stored definition is read as it was once accepted.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from cnnctl.views.studies import Expectation
from service.domain.spec_sections import Section, explain
from service.errors import SpecError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
SEED = "training.seed"

Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
Value = bool | int | float | str
Fields = Mapping[str, Value]
"""Fields of a spec by dotted path."""


class Contrast(Section):
    """Two arms and the metric in which they are compared: what the claim says of the first."""

    first: Name = Field(description="an arm")
    second: Name = Field(description="the arm that it is compared with")
    metric: Text = Field(description="what of each run is compared")
    expect: Expectation = Field(description="what the claim says of the first arm: higher, lower or equal")
    margin: float = Field(
        description="the largest difference that counts as none, in units of the metric; of a ratio a factor"
    )
    ratio: bool = Field(False, description="whether the arms' ratio is of interest, not their difference")
    aside: bool = Field(False, description="whether it is shown beside the claim and is no part of it")


class Tuning(Section):
    """Each arm is first tried with each value of a grid, on seeds of its own; the best one is measured."""

    grid: Mapping[str, tuple[Value, ...]] = Field(description="values to try, by dotted path of the spec")
    metric: Text = Field("val_accuracy", description="the metric whose mean chooses")
    seeds: int = Field(2, description="number of seeds of each value")


class Scale(Section):
    """How much is run: of the same study once minutes, once a night."""

    seeds: int = Field(10, description="number of seeds of each arm")
    base: Fields = Field(default_factory=dict, description="what differs from the study's base")
    grid: Mapping[str, tuple[Value, ...]] | None = Field(None, description="another grid of the tuning")
    undecided: Text = Field("", description="why this scale cannot decide the claim, where it cannot")


class Definition(Section):
    """A whole study; see `study_file`."""

    name: Name = Field(description="its name, as in `lrn`")
    claim: Text = Field(description="what it examines, in one sentence")
    source: Text = Field(description="who claims it, where")
    published: Text = Field("", description="the published value, and what is to be known of it")
    network: Name = Field(description="the architecture, by its name in the catalog")
    factor: tuple[str, ...] = Field(description="the fields of the spec in which arms may differ")
    null_test: bool = Field(False, description="whether arms may be equal: then no difference can be found")
    base: Fields = Field(default_factory=dict, description="fields of the spec that all arms have")
    arms: Mapping[Name, Fields] = Field(description="what differs from the base in each arm")
    contrasts: tuple[Contrast, ...] = Field(
        description="what is compared: the claim is confirmed if all are that are no asides"
    )
    tune: Tuning | None = Field(None, description="what of each arm is tuned first")
    scales: Mapping[Name, Scale] = Field(
        default_factory=lambda: {"standard": Scale()}, description="how much is run, by name"
    )

    def get_scale(self, name: str) -> Scale:
        """A scale by its name.

        Raises:
            SpecError: there is none of that name.
        """
        if name not in self.scales:
            raise SpecError(f"{self.name} has no scale {name!r}. Its scales: {', '.join(self.scales)}")
        return self.scales[name]

    def to_json(self) -> str:
        """Canonical JSON, so that equal definitions have equal digests."""
        return _to_canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """SHA-256, hex, of what was decided beforehand."""
        return digest_stored(self.model_dump(mode="json"))


def digest_stored(tree: Mapping[str, Any]) -> str:
    """SHA-256, hex, of a definition as it was stored: fields that were added since do not count."""
    return hashlib.sha256(_to_canonical(tree).encode()).hexdigest()


def _to_canonical(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))


def load_definition(stored: str | Mapping[str, Any]) -> Definition:
    """Read a stored study: its canonical JSON, or what that stands for. Rules of today do not apply to it.

    Raises:
        SpecError: it cannot be read here.
    """
    try:
        return make_definition(json.loads(stored) if isinstance(stored, str) else stored)
    except (ValueError, RecursionError) as error:
        raise SpecError("The study's stored definition cannot be read") from error


def make_definition(tree: object) -> Definition:
    """Make a definition of a tree of values.

    Raises:
        SpecError: a field is unknown, missing or of another type.
    """
    try:
        return Definition.model_validate_json(json.dumps(tree, default=str))  # as a stored one is
    except ValidationError as error:
        raise SpecError("\n".join(map(_explain, error.errors()[:10]))) from None


def _explain(detail: Mapping[str, Any]) -> str:
    if detail["type"] == "extra_forbidden":
        *where, field = map(str, detail["loc"])
        return f"{'.'.join(where) or 'A study'} has no field {field!r}. See docs/studies.md"
    if detail["type"] == "missing":
        return f"A study needs {'.'.join(map(str, detail['loc']))}. See docs/studies.md"
    return explain(detail)
