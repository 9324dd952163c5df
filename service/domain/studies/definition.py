"""What a study is: its claim, its arms, and what was decided before the first run. Read from TOML."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from cnnctl.views.studies import Expectation
from service.domain.spec_sections import Section, explain
from service.domain.studies.measures import check_metric
from service.domain.studies.statistics import FEWEST_PAIRS
from service.errors import SpecError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_BYTES = 256 * 1024
MOST_SEEDS = 1000
MOST_RUNS = 5000
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
SEED = "training.seed"

Text = Annotated[str, Field(min_length=1, max_length=2000)]
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

    @model_validator(mode="after")
    def check_contrast(self) -> "Contrast":
        """Check fields against each other."""
        check_metric(self.metric)
        if self.first == self.second:
            raise ValueError(f"A contrast has two arms. Received: {self.first!r} twice")
        least = 1.0 if self.ratio else 0.0
        if not least < self.margin < 1e30:
            what = "a factor above 1" if self.ratio else "above 0, in units of the metric"
            raise ValueError(f"margin of {self.metric} must be {what}. Received: {self.margin:g}")
        return self


class Tuning(Section):
    """Each arm is first tried with each value of a grid, on seeds of its own; the best one is measured."""

    grid: Mapping[str, tuple[Value, ...]] = Field(description="values to try, by dotted path of the spec")
    metric: Text = Field("val_accuracy", description="the metric whose mean chooses")
    seeds: Annotated[int, Field(ge=1, le=100)] = Field(2, description="number of seeds of each value")

    @model_validator(mode="after")
    def check_tuning(self) -> "Tuning":
        """Check fields against each other."""
        check_metric(self.metric)
        if not self.grid or not all(2 <= len(values) <= 20 for values in self.grid.values()):
            raise ValueError("tune.grid names fields of the spec, each with 2 to 20 values to try")
        return self


class Scale(Section):
    """How much is run: of the same study once minutes, once a night."""

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(10, description="number of seeds of each arm")
    base: Fields = Field(default_factory=dict, description="what differs from the study's base")
    grid: Mapping[str, tuple[Value, ...]] | None = Field(None, description="another grid of the tuning")
    undecided: str = Field("", description="why this scale cannot decide the claim, where it cannot")

    @model_validator(mode="after")
    def check_scale(self) -> "Scale":
        """Refuse so few seeds that nothing can come of them."""
        if self.seeds < FEWEST_PAIRS:
            raise ValueError(
                f"seeds: fewer than {FEWEST_PAIRS} never give a verdict: no p below 0.05 could come of them. "
                f"Received: {self.seeds}"
            )
        return self


class Definition(Section):
    """A whole study; see `read_definition`."""

    name: Name = Field(description="its name, as in `lrn`")
    claim: Text = Field(description="what it examines, in one sentence")
    source: Text = Field(description="who claims it, where")
    published: str = Field("", description="the published value, and what is to be known of it")
    network: Name = Field(description="the architecture, by its name in the catalog")
    factor: tuple[str, ...] = Field(description="the fields of the spec in which arms may differ")
    null_test: bool = Field(False, description="whether arms may be equal: then no difference can be found")
    base: Fields = Field(default_factory=dict, description="fields of the spec that all arms have")
    arms: Mapping[Name, Fields] = Field(description="what differs from the base in each arm")
    contrasts: tuple[Contrast, ...] = Field(description="what is compared; the first is the claim itself")
    tune: Tuning | None = Field(None, description="what of each arm is tuned first")
    scales: Mapping[Name, Scale] = Field(
        default_factory=lambda: {"standard": Scale()}, description="how much is run, by name"
    )

    @model_validator(mode="after")
    def check_together(self) -> "Definition":
        """Check fields against each other; a ValueError becomes part of pydantic's report."""
        if not 2 <= len(self.arms) <= 20:
            raise ValueError(f"A study has 2 to 20 arms. Received: {len(self.arms)}")
        if not 1 <= len(self.contrasts) <= 50:
            raise ValueError(f"A study has 1 to 50 contrasts. Received: {len(self.contrasts)}")
        if not self.scales:
            raise ValueError("A study has a scale at least, as in: [scales.quick]")
        self._check_factor()
        self._check_names()
        return self

    def _check_factor(self) -> None:
        given = [path for arm in self.arms.values() for path in arm]
        if SEED in (*given, *self.factor, *self.base):
            raise ValueError(f"{SEED} cannot be given: the seed pairs the arms")
        if beyond := [path for path in given if path not in self.factor]:
            known = ", ".join(self.factor)
            raise ValueError(f"Arms may differ in their factor only: {known}. Received: {beyond[0]}")
        tuned = self.tune.grid if self.tune else {}
        if both := sorted(set(tuned) & set(self.factor)):
            raise ValueError(f"tune.grid and factor cannot both name {', '.join(both)}")

    def _check_names(self) -> None:
        for contrast in self.contrasts:
            for name in (contrast.first, contrast.second):
                if name not in self.arms:
                    raise ValueError(f"There is no arm {name!r}. Arms: {', '.join(self.arms)}")
        seen = [(one.first, one.second, one.metric) for one in self.contrasts]
        if len(set(seen)) < len(seen):
            raise ValueError("Two contrasts compare the same arms in the same metric")

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
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256, hex, of what was decided beforehand."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read_definition(text: str) -> Definition:
    """Read a study from TOML.

    Raises:
        SpecError: it is no TOML, a field is unknown or wrong, or fields do not fit each other.
    """
    if len(text) > LARGEST_BYTES:
        raise SpecError(
            f"A study file has at most {LARGEST_BYTES // 1024} KiB. Received: {len(text):,} bytes"
        )
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecError(
            f"This is no study file, which is TOML: {error or 'it is nested too deeply'}"
        ) from None
    return _validate(_flatten_fields(tree))


def load_definition(stored: str | Mapping[str, Any]) -> Definition:
    """Read a stored study: its canonical JSON, or what that stands for.

    Raises:
        SpecError: it cannot be read here.
    """
    try:
        return _validate(json.loads(stored) if isinstance(stored, str) else stored)
    except (ValueError, RecursionError) as error:
        raise SpecError("The study's stored definition cannot be read") from error


def _validate(tree: object) -> Definition:
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


def _flatten_fields(tree: dict[str, Any]) -> dict[str, Any]:
    """Join the tables of fields to dotted paths: TOML reads `model.norm = "lrn"` as a table in a table."""

    def flatten(node: dict[str, Any], name: str) -> None:
        if isinstance(node.get(name), dict):
            node[name] = dict(_join(node[name]))

    flatten(tree, "base")
    for arm in _list_tables(tree.get("arms")):
        flatten(tree["arms"], arm)
    if isinstance(tune := tree.get("tune"), dict):
        flatten(tune, "grid")
    for scale in _list_tables(tree.get("scales")):
        flatten(tree["scales"][scale], "base")
        flatten(tree["scales"][scale], "grid")
    return tree


def _list_tables(node: object) -> Sequence[str]:
    return [name for name, value in node.items() if isinstance(value, dict)] if isinstance(node, dict) else []


def _join(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from _join(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
