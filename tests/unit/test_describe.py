import json
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner

from cnnctl.views.networks import LayerView, NetworkView
from cnnctl.views.requests import NetworkRequest
from models.catalog.cost_sheet import MOST_LAYERS
from service.cli.main import main
from service.commands.networks.description import describe_network
from service.errors import SpecError
from tests.json_keys import check_keys


def describe(architecture: str, **asked: Any) -> NetworkView:
    return describe_network(architecture, NetworkRequest(**asked))


def by_name(view: NetworkView) -> Mapping[str, LayerView]:
    return {layer.name: layer for layer in view.layers}


def test_receptive_fields_grow_as_in_the_notes_and_end_with_the_feature_maps() -> None:
    rows = by_name(describe("lenet5"))
    seen = {
        name: (rows[name].receptive_field, rows[name].stride) for name in ("conv1", "pool1", "conv2", "pool2")
    }
    assert seen == {"conv1": (5, 1), "pool1": (6, 2), "conv2": (14, 2), "pool2": (16, 4)}
    assert rows["flatten"].receptive_field is None
    assert rows["fc3"].stride is None


def test_sharing_saves_conv1_fourteen_million_weights() -> None:
    conv1 = by_name(describe("lenet5"))["conv1"]
    assert conv1.parameters == 456
    assert conv1.activations == 4_704
    assert conv1.dense_parameters == 3_072 * 4_704 + 4_704
    assert conv1.macs == 28 * 28 * 6 * 5 * 5 * 3


def test_alexnet_costs_what_is_known_of_it() -> None:
    view = describe("alexnet", classes=1000, batch_size=128)
    rows = by_name(view)
    # Field and stride by the arithmetic of windows: 11, +2x4, +4x8, +2x8, +3 times 2x16, +2x16.
    assert [rows[name].receptive_field for name in ("conv1", "pool1", "conv2", "pool2")] == [11, 19, 51, 67]
    assert [rows[name].receptive_field for name in ("conv3", "conv5", "pool5")] == [99, 163, 195]
    assert rows["pool5"].stride == 32
    assert rows["conv2"].macs == 27 * 27 * 256 * 5 * 5 * 48
    assert rows["conv1_lrn"].macs == 0
    assert view.total_macs == 724_406_816
    assert view.total_parameters == 60_965_224


def test_a_global_average_costs_nothing_and_ends_the_feature_maps() -> None:
    gap = by_name(describe("lenet5", fields={"head": "gap"}))["gap"]
    assert gap.output_shape == (16,)
    assert gap.receptive_field is None
    assert gap.parameters == gap.macs == 0


def test_totals_are_those_of_all_layers() -> None:
    view = describe("lenet5", fields={"model.dropout": "spatial:0.2", "model.norm": "batch"})
    assert view.total_parameters == sum(layer.parameters for layer in view.layers)
    assert view.total_macs == 352_800 + 240_000 + 48_000 + 10_080 + 840


def test_training_memory_is_parameters_three_times_and_the_same_for_every_image() -> None:
    one, two = (describe("softmax", batch_size=size).training_bytes for size in (1, 2))
    image = 4 * (3_072 + 10 + 3_072 + 10)  # input, probabilities, gradients on both sides of the dense layer
    assert two - one == image
    assert one == 4 * 3 * 30_730 + image


def test_the_command_prints_one_json_object() -> None:
    words = ["describe", "mlp", "--set", "hidden_units=4", "--input", "8x8x1", "--classes", "3", "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    check_keys(printed, "describe NAME")
    assert printed["architecture"] == "mlp"
    assert printed["input_shape"] == [8, 8, 1]
    assert printed["total_parameters"] == (64 * 4 + 4) + (4 * 4 + 4) + (4 * 3 + 3)


@pytest.mark.parametrize(
    ("architecture", "asked", "message"),
    [
        ("lenet", {}, "Did you mean lenet5?"),
        ("lenet5", {"input_shape": (8, 8, 1)}, "at least 16 pixels a side"),
        ("lenet5", {"input_shape": (8, 8)}, "height, width and channels"),
        ("mlp", {"fields": {"hidden_units": "4"}}, "must be of type int"),
        ("mlp", {"fields": {"model.hidden_unit": 4}}, "Did you mean model.hidden_units?"),
        ("mlp", {"fields": {"data.image_size": 8}}, "fields of the network"),
    ],
)
def test_what_cannot_be_described_is_refused(architecture: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message.replace("?", r"\?")):
        describe(architecture, **asked)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("architecture", "asked", "message"),
    [
        ("mlp", {"fields": {"hidden_layers": 2**31 - 1}}, f"at most {MOST_LAYERS:,} layers"),
        ("mlp", {"fields": {"hidden_units": 10**12}}, "must have a value from"),
        ("mlp", {"fields": {"hidden_units": 1e400}}, "must have a value from"),
        ("mlp", {"fields": {"hidden_units": [1] * 10**5}}, "takes one value"),
        ("vgg", {"fields": {"stages": "2x64," * 10**5}}, "must have a length"),
        ("vgg", {"fields": {"stages": "999999999x64"}}, "at most 200 convolutions"),
        ("vgg", {"fields": {"stages": "1x999999999"}}, "at most 65,536 filters"),
        ("vgg", {"fields": {"stages": "1x1," * 49 + "1x1", "pool": "max:16/1"}}, "needs images of at least"),
        ("lenet5", {"fields": {"pool": "max:2147483647/2"}}, "a size from 2"),
        ("lenet5", {"fields": {"x" * 10**6: 1}}, "no spec field"),
        ("lenet5", {"input_shape": (10**9, 10**9, 3)}, "--input must have"),
        ("lenet5", {"classes": 10**12}, "--classes must have"),
        ("lenet5", {"batch_size": 10**12}, "--batch-size must have"),
    ],
)
def test_no_request_makes_the_service_count_for_long(
    architecture: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        describe(architecture, **asked)
