import json
from collections.abc import Callable
from typing import Any

import pytest

from models.describe import main
from models.description import describe_model
from tests.json_keys import check_keys

Build = Callable[..., Any]
LENET = '{"architecture": "lenet5"}'


def test_receptive_fields_grow_as_in_the_notes_and_end_with_the_feature_maps(build: Build) -> None:
    rows = {row.name: row for row in describe_model(build("lenet5"), batch_size=1).layers}
    seen = {
        name: (rows[name].receptive_field, rows[name].stride) for name in ("conv1", "pool1", "conv2", "pool2")
    }
    assert seen == {"conv1": (5, 1), "pool1": (6, 2), "conv2": (14, 2), "pool2": (16, 4)}
    assert rows["flatten"].receptive_field is None
    assert rows["fc3"].stride is None


def test_sharing_saves_conv1_fourteen_million_weights(build: Build) -> None:
    conv1 = next(row for row in describe_model(build("lenet5"), batch_size=1).layers if row.name == "conv1")
    assert conv1.parameters == 456
    assert conv1.activations == 4_704
    assert conv1.dense_parameters == 3_072 * 4_704 + 4_704
    assert conv1.macs == 28 * 28 * 6 * 5 * 5 * 3


def test_alexnet_costs_what_is_known_of_it(build: Build) -> None:
    model = build("alexnet", input_shape=(227, 227, 3), num_classes=1000, init="zeros", norm="lrn")
    description = describe_model(model, batch_size=128)
    rows = {row.name: row for row in description.layers}
    # Field and stride by the arithmetic of windows: 11, +2x4, +4x8, +2x8, +3 times 2x16, +2x16.
    assert [rows[name].receptive_field for name in ("conv1", "pool1", "conv2", "pool2")] == [11, 19, 51, 67]
    assert [rows[name].receptive_field for name in ("conv3", "conv5", "pool5")] == [99, 163, 195]
    assert rows["pool5"].stride == 32
    assert rows["conv2"].macs == 27 * 27 * 256 * 5 * 5 * 48
    assert rows["conv1_lrn"].macs == 0
    assert description.total_macs == 724_406_816
    assert description.total_parameters == 60_965_224


def test_a_global_average_costs_nothing_and_ends_the_feature_maps(build: Build) -> None:
    rows = {row.name: row for row in describe_model(build(head="gap"), batch_size=1).layers}
    assert rows["gap"].output_shape == (16,)
    assert rows["gap"].receptive_field is None
    assert rows["gap"].parameters == rows["gap"].macs == 0


def test_totals_are_those_of_all_layers(build: Build) -> None:
    model = build("lenet5", dropout="spatial:0.2", norm="batch")
    description = describe_model(model, batch_size=1)
    assert description.total_parameters == sum(row.parameters for row in description.layers)
    assert description.total_parameters == model.count_params()
    assert description.total_macs == 352_800 + 240_000 + 48_000 + 10_080 + 840


def test_training_memory_is_parameters_three_times_and_the_same_for_every_image(build: Build) -> None:
    one, two = (describe_model(build("softmax"), batch_size=size).training_bytes for size in (1, 2))
    image = 4 * (3_072 + 10 + 3_072 + 10)  # input, probabilities, gradients on both sides of the dense layer
    assert two - one == image
    assert one == 4 * 3 * 30_730 + image


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                json.dumps({"architecture": "mlp", "options": {"hidden_units": 4}}),
                "--input",
                "8x8x1",
                "--num-classes",
                "3",
            ]
        )
        == 0
    )
    printed = json.loads(capsys.readouterr().out)
    check_keys(printed, "describe NAME")
    assert printed["architecture"] == "mlp"
    assert printed["input_shape"] == [8, 8, 1]
    assert printed["total_parameters"] == (64 * 4 + 4) + (4 * 4 + 4) + (4 * 3 + 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (['{"architecture": "lenet"}'], "Did you mean lenet5?"),
        ([LENET, "--input", "8x8x1"], "at least 16 pixels a side"),
        (['{"architecture": "mlp", "options": {"hidden_units": "4"}}'], "must be of type int"),
    ],
)
def test_what_cannot_be_described_is_said_instead_with_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().out
