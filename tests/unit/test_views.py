"""Views come back from JSON as they went into it, and say what each of their keys is."""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, get_args

import pytest

from cnnctl.views import states as views_states
from cnnctl.views.codec import from_json, to_json
from cnnctl.views.fleet import GpuView, OutsiderView
from cnnctl.views.jobs import AttemptView, MetricsView
from cnnctl.views.networks import LikelyClass, PredictionView
from cnnctl.views.schema import schema
from cnnctl.views.shape import list_keys
from docs.json_shapes import DOCUMENTS
from service.domain import states
from tests.json_keys import list_views

VIEWS = {view.__name__: view for kind in DOCUMENTS.values() for view in list_views(kind)}
GPU = GpuView(
    uuid="GPU-1",
    host="gpu01",
    number=0,
    model="NVIDIA H200",
    memory_mib=143_771,
    simulated=False,
    mig=False,
    driver="570.86.15",
    state="available",
    reason="",
    job=None,
    owner=None,
    since=datetime(2026, 1, 1, 12, tzinfo=timezone.utc),
    alive=True,
    temperature_celsius=61,
    utilization_percent=100,
    memory_used_mib=None,
    ecc_errors=0,
    outsiders=(OutsiderView(pid=4711, user=None, command="python", memory_mib=None),),
    read_at=None,
)
SEEN = PredictionView(image="cat.jpg", classes=(LikelyClass(class_="cat", probability=0.9),))
CURVES = MetricsView(series={"loss": ((40, 0.5), (80, None))})


@pytest.mark.parametrize("view", [GPU, SEEN, CURVES], ids=lambda view: type(view).__name__)
def test_a_view_comes_back_as_it_was(view: Any) -> None:
    assert from_json(type(view), to_json(view)) == view


def test_moments_are_text_and_a_word_of_python_is_a_key_like_any_other() -> None:
    assert to_json(GPU)["since"] == "2026-01-01T12:00:00.000+00:00"
    assert to_json([SEEN]) == [{"image": "cat.jpg", "classes": [{"class": "cat", "probability": 0.9}]}]


def test_keys_of_a_newer_service_are_left_out_and_a_missing_one_is_told() -> None:
    document = to_json(GPU)
    assert from_json(GpuView, {**document, "fan_percent": 30}) == GPU
    del document["uuid"]
    with pytest.raises(TypeError, match="uuid"):
        from_json(GpuView, document)


def test_a_state_of_a_newer_service_is_read_as_text() -> None:
    assert from_json(GpuView, {**to_json(GPU), "state": "updating"}).state == "updating"  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("name", [name for name, one in vars(views_states).items() if get_args(one)])
def test_the_words_of_a_state_are_the_domains(name: str) -> None:
    words = get_args(getattr(views_states, name))
    assert words == tuple(member.value for member in getattr(states, name))


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_every_view_and_every_key_of_it_has_its_sentence(view: type) -> None:
    assert view.__doc__
    assert not view.__doc__.startswith(f"{view.__name__}(")  # as dataclass writes where nobody has
    assert all(key.sentence and "|" not in key.sentence for key in list_keys(view))


def test_the_schema_tells_pairs_lists_states_and_what_may_be_null() -> None:
    found = schema({"curves": MetricsView, "gpus": Sequence[GpuView]})["$defs"]
    assert found["gpus"] == {"type": "array", "items": {"$ref": "#/$defs/GpuView"}}
    pairs = found["MetricsView"]["properties"]["series"]["additionalProperties"]["items"]
    assert pairs["prefixItems"] == [{"type": "integer"}, {"type": ["number", "null"]}]
    gpu = found["GpuView"]
    assert gpu["required"] == list(to_json(GPU)) == list(gpu["properties"])
    assert gpu["properties"]["since"] == {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "since when",
    }
    assert gpu["properties"]["state"]["enum"] == ["available", "drained", "quarantined"]
    attempt = schema({"attempt": AttemptView})["$defs"]["AttemptView"]["properties"]
    assert attempt["outcome"]["type"] == ["string", "null"]
    assert attempt["outcome"]["enum"] == ["succeeded", "failed", "cancelled", "interrupted", "lost", None]
