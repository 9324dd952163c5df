"""A spec is complete, frozen and checked; what is refused says what would be right."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.catalog import lookup
from models.catalog.lookup import Choice
from service.domain.spec import digest_training, read_spec
from service.domain.spec_request import parse_assignment, resolve_spec, spec_paths
from service.domain.stored_spec import ADDED, list_values, read_values
from service.domain.unread_fields import READ_WITH
from service.errors import NewerSpec, SpecError

REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("lenet5", {"data.keep": "10:0.5"}, "data.keep names class 10; those of digits are 0 to 9"),
    ("lenet5", {"data.keep": "0:2"}, "a share must be above 0 and at most 1"),
    ("lenet5", {"data.train_fraction": 0}, "data.train_fraction"),
    ("lenet5", {"data.train_fraction": 0.1, "training.batch_size": 200}, "at most the 129 training images"),
    ("lenet", {}, "Unknown architecture 'lenet'. Did you mean lenet5?"),
    ("lenet5", {"data.dataset": "cifar"}, "Did you mean cifar10?"),
    ("lenet5", {"model.init": "ortogonal"}, "Did you mean orthogonal?"),
    ("lenet5", {"model.init": "normal:-1"}, "standard deviation must be"),
    ("lenet5", {"model.init": "zeros:1"}, "takes no argument"),
    ("lenet5", {"model.activation": "relo"}, "Did you mean relu?"),
    ("lenet5", {"model.dropout": "spatial:1"}, "rate must be"),
    ("lenet5", {"model.dropout": "standard:-0.1"}, "rate must be"),
    ("lenet5", {"model.dropout": "standard:nan"}, "rate must be"),
    ("lenet5", {"model.dropout": "standard:half"}, "must be a number"),
    ("softmax", {"model.dropout": "spatial:0.2"}, "spatial dropout needs feature maps"),
    ("lenet5", {"model.l1": -1.0}, "model.l1 must have a value from 0 to 1e+30"),
    ("lenet5", {"model.l2": math.nan}, "model.l2 must have a value from 0"),
    ("lenet5", {"model.l2": math.inf}, "Received: inf"),
    ("lenet5", {"resources.gpus": 0}, "resources.gpus must have a value from 1 to 1,024"),
    ("lenet5", {"resources.gpus": -1}, "Received: -1"),
    ("lenet5", {"resources.gpus": True}, "resources.gpus: input should be a valid integer"),
    ("lenet5", {"resources.gpus": 3}, "cannot be shared equally by 3 GPUs. Nearest: 33"),
    ("lenet5", {"training.batch_size": 100_000}, "training.batch_size must be at most the 1293"),
    ("lenet5", {"training.epochs": "ten"}, "training.epochs: input should be a valid integer"),
    ("lenet5", {"training.epoch": 3}, "Did you mean training.epochs?"),
    ("lenet5", {"training": 3}, "There is no spec field 'training'"),
    ("lenet5", {"schema_version": 2}, "There is no spec field 'schema_version'"),
    ("lenet5", {"data.dataset": "zip:/a"}, "folder:PATH or npz:PATH. Received: 'zip:/a'"),
    ("lenet5", {"data.augment": "miror"}, "Did you mean mirror?"),
    ("lenet5", {"data.augment": "crop:0", "data.resize": 32}, "use crop:4, or set data.resize larger"),
    ("lenet5", {"data.resize": 20}, "cannot be larger. Received: 32 of 20"),
    ("lenet5", {"loss.label_smoothing": 1.0}, "loss.label_smoothing: input should be less than 1"),
    ("lenet5", {"loss.name": "hinge"}, "input should be 'cross_entropy' or 'focal'"),
    ("lenet5", {"model.towers": 2}, "There is no spec field 'model.towers'"),
    ("lenet5", {"data.image_size": 8}, "needs images of at least 16 pixels"),
    (
        "lenet5",
        {"optimizer.name": "sdg"},
        "optimizer.name: input should be 'sgd', 'alexnet', 'adam' or 'adamw'",
    ),
    ("lenet5", {"resources.time_limit_minutes": 0.5}, "from a minute to ten years"),
    ("mlp", {"model.hidden_units": 0}, "at least 1"),
    ("mlp", {"model.hidden_units": 2.5}, "must be of type int"),
    ("lenet5", {"schedule.name": "plateau", "data.validation_fraction": 0}, "need validation images"),
]


@pytest.mark.parametrize(("architecture", "fields", "words"), REFUSED)
def test_bad_input_is_refused_in_words_that_help(
    architecture: str, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        resolve_spec(architecture, fields)
    assert words in str(caught.value)


def test_a_spec_is_complete_without_any_field() -> None:
    spec = resolve_spec("mlp", {})
    assert (spec.data.dataset, spec.data.image_size) == ("digits", 32)
    assert spec.model.options == {"hidden_units": 128, "hidden_layers": 2}
    assert spec.optimizer.lr == 0.01
    assert resolve_spec("mlp", {"optimizer.name": "adam"}).optimizer.lr == 0.001


def test_an_option_of_an_architecture_is_set_by_its_short_and_its_long_path() -> None:
    short = resolve_spec("mlp", {"model.hidden_units": 7})
    assert short == resolve_spec("mlp", {"model.options.hidden_units": 7})
    assert short.model.options["hidden_units"] == 7


def test_a_network_is_stored_as_it_was_written_and_parsed_beside_it() -> None:
    spec = resolve_spec(
        "alexnet", {"model.init": "normal:1e-2", "model.dropout": "spatial", "model.width": 1}
    )
    stored = json.loads(spec.to_json())["model"]
    assert (stored["init"], stored["dropout"], stored["options"]["width"]) == ("normal:1e-2", "spatial", 1)
    assert stored.keys() == {path.split(".")[1] for path, _ in spec_paths() if path.startswith("model.")}
    assert spec.model.parsed_init == Choice(name="normal", argument=0.01)
    assert spec.model.parsed_dropout == Choice(name="spatial", argument=0.2)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "model.init",
            "kaiming_fan_in",
            "Unknown initializer 'kaiming_fan_in'. Did you mean kaiming_fan_out?",
        ),
        ("model.head", 3, "model.head: input should be a valid string"),
        ("model.width", 1.0, "model.width"),
        ("training.shards", 2, "training.shards"),
    ],
)
def test_what_only_a_newer_cnnctl_knows_is_named(path: str, value: object, words: str) -> None:
    tree = json.loads(resolve_spec("lenet5", {}).to_json())
    section, name = path.split(".")
    tree[section][name] = value
    with pytest.raises(NewerSpec, match=re.escape(words)):
        read_spec(json.dumps(tree))


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        resolve_spec("mlp", {}).training.epochs = 3  # type: ignore[misc]


def test_every_path_can_be_set() -> None:
    spec = resolve_spec("lenet5", {})
    for path, sentence in spec_paths():
        if path in ("schema_version", "model.architecture", "model.options", *READ_WITH):
            continue  # those of READ_WITH are set in test_unread_fields
        value: Any = spec
        for name in path.split("."):
            value = getattr(value, name)
        assert resolve_spec("lenet5", {path: value}) == spec, path
        assert sentence, path


@pytest.mark.parametrize(
    ("text", "value"), [("a=1", 1), ("a=1e-4", 1e-4), ("a=true", True), ("a=relu", "relu"), ("a=x=y", "x=y")]
)
def test_an_assignment_is_json_where_it_can_be(text: str, value: object) -> None:
    assert parse_assignment(text) == ("a", value)


@pytest.mark.parametrize("text", ["", "a", "=1"])
def test_an_assignment_without_path_or_value_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--set takes path=value"):
        parse_assignment(text)


@given(
    architecture=st.sampled_from(sorted(lookup.ARCHITECTURES)),
    fields=st.fixed_dictionaries(
        {},
        optional={
            "model.init": st.sampled_from(["zeros", "normal:0.05", "orthogonal", "uniform:1e-3"]),
            "model.dropout": st.sampled_from(["none", "standard:0.25"]),
            "model.l2": st.floats(0, 1e3),
            "optimizer.lr": st.floats(1e-9, 1e3),
            "training.epochs": st.integers(1, 10**6),
            "training.seed": st.integers(0, 2**31 - 1),
            "resources.gpus": st.sampled_from([1, 2, 4, 8]),
        },
    ),
)
def test_a_stored_spec_is_read_back_the_same(architecture: str, fields: dict[str, object]) -> None:
    spec = resolve_spec(architecture, fields)
    again = read_spec(spec.to_json())
    assert again == spec
    assert digest_training(again.to_json()) == digest_training(spec.to_json())


def test_what_a_job_runs_on_and_keeps_changes_nothing_of_what_is_trained() -> None:
    def digest(fields: dict[str, object]) -> str:
        return digest_training(resolve_spec("lenet5", fields).to_json())

    assert digest({"resources.gpus": 2, "checkpoint.every_steps": 7}) == digest({})
    assert digest({"training.seed": 1}) != digest({})


def test_a_datasets_path_is_made_absolute_for_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_spec("lenet5", {"data.dataset": "folder:pets"}).data.dataset == f"folder:{tmp_path}/pets"
    assert resolve_spec("lenet5", {"data.dataset": "npz:~/a.npz"}).data.dataset == f"npz:{Path.home()}/a.npz"


def test_images_are_resized_to_what_the_network_sees_unless_a_crop_needs_room() -> None:
    assert resolve_spec("lenet5", {"data.augment": "crop:4,mirror"}).data.resize == 32
    cropped = resolve_spec("lenet5", {"data.augment": "crop:0", "data.image_size": 227})
    assert cropped.data.resize == 256


@pytest.mark.parametrize(
    ("architecture", "dataset", "augment", "norm", "dropout"),
    [
        ("convnet4", "cifar10", "crop:4,mirror", "lrn", "none"),
        ("alexnet", "cifar10", "crop:0,mirror", "lrn", "standard:0.5"),
        ("alexnet", "digits", "none", "lrn", "standard:0.5"),  # a mirrored digit is another one, or none
        ("lenet5", "cifar10", "none", "none", "none"),
    ],
)
def test_a_network_comes_as_its_paper_has_it(
    architecture: str, dataset: str, augment: str, norm: str, dropout: str
) -> None:
    spec = resolve_spec(architecture, {"data.dataset": dataset})
    assert (spec.data.augment, spec.model.norm, spec.model.dropout) == (augment, norm, dropout)
    assert resolve_spec(architecture, {"data.dataset": dataset, "model.norm": "none"}).model.norm == "none"


def test_alexnets_update_rule_brings_its_decay() -> None:
    assert resolve_spec("lenet5", {"optimizer.name": "alexnet"}).optimizer.weight_decay == 0.0005
    assert resolve_spec("lenet5", {}).optimizer.weight_decay == 0


def test_what_was_added_later_is_stored_only_where_it_is_chosen() -> None:
    spec = resolve_spec("lenet5", {})
    stored = json.loads(spec.to_json())
    assert ADDED.keys().isdisjoint(dict(list_values(stored)))
    assert {path: read_values(stored)[path] for path in ADDED} == ADDED
    # What a spec without a field means is what the field means by default.
    assert ADDED.items() <= dict(list_values(spec.model_dump(mode="json"))).items()
    chosen = resolve_spec(
        "lenet5", {"data.keep": "0:0.5", "data.train_fraction": 0.5, "optimizer.max_norm": 3}
    )
    assert read_spec(chosen.to_json()) == chosen
    assert digest_training(chosen.to_json()) != digest_training(spec.to_json())
