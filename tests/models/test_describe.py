import json
from collections.abc import Callable
from typing import Any

import pytest

from models.catalog import Choice
from models.describe import main
from models.description import describe_model

Build = Callable[..., Any]


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


def test_totals_are_those_of_all_layers(build: Build) -> None:
    model = build("lenet5", dropout=Choice(name="spatial", argument=0.2), norm="batch")
    description = describe_model(model, batch_size=1)
    assert description.total_parameters == sum(row.parameters for row in description.layers)
    assert description.total_parameters == model.count_params()
    assert description.total_macs == 352_800 + 240_000 + 48_000 + 10_080 + 840


def test_training_memory_is_parameters_three_times_and_activations_per_image(build: Build) -> None:
    one, two = (describe_model(build("softmax"), batch_size=size).training_bytes for size in (1, 2))
    assert two - one == 4 * (10 + 10)
    assert one == 4 * (3 * 30_730 + 10 + 10)


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mlp", "--input", "8x8x1", "--num-classes", "3", "--option", "hidden_units=4"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["architecture"] == "mlp"
    assert printed["input_shape"] == [8, 8, 1]
    assert printed["total_parameters"] == (64 * 4 + 4) + (4 * 4 + 4) + (4 * 3 + 3)
    assert set(printed["layers"][0]) == {
        "name",
        "kind",
        "output_shape",
        "activations",
        "parameters",
        "macs",
        "receptive_field",
        "stride",
        "dense_parameters",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet"], "Did you mean lenet5?"),
        (["lenet5", "--input", "32x32"], "must be HEIGHTxWIDTHxCHANNELS"),
        (["lenet5", "--input", "32x0x3"], "at least 1. Received: 0"),
        (["lenet5", "--input", "8x8x1"], "at least 16 pixels a side"),
        (["mlp", "--option", "hidden_units"], "must be NAME=VALUE"),
        (["mlp", "--option", "hidden_units=NaN"], "must be of type int"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err
