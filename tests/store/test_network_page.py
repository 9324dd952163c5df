"""The page of a network says what the command line says, over the same client."""

import json
import shlex
from xml.etree.ElementTree import fromstring

import pytest
from click.testing import CliRunner

from cnnctl.views.codec import to_json
from models.catalog.lookup import ARCHITECTURES, get_architecture
from service.cli.main import main
from service.client.local import LocalClient
from service.domain.people import Actor
from service.settings import load_settings
from service.store.transaction import Store
from service.web.network_page import NetworkPage, describe_page


@pytest.fixture
def client(store: Store) -> LocalClient:
    return LocalClient(store, load_settings({}), Actor(name="ada"))


def field_of(page: NetworkPage, name: str) -> tuple[str, str, bool]:
    (found,) = [field for field in page.fields if field.name == name]
    return found.value, found.default, found.is_given


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_of_the_catalog_has_its_page(client: LocalClient, architecture: str) -> None:
    page = describe_page(client, architecture, {})
    assert page.error == ""
    assert fromstring(page.drawing).tag.endswith("svg")
    names = [field.name for field in page.fields]
    assert len(set(names)) == len(names)
    assert {f"model.{option.name}" for option in get_architecture(architecture).options} < set(names)
    assert {"model.init", "model.l2", "data.image_size", "training.batch_size", "classes"} < set(names)
    assert all(field.summary for field in page.fields)
    assert all(field.value == field.default and not field.is_given for field in page.fields)
    assert page.describe_command == f"cnnctl describe {architecture}"


def test_the_commands_make_the_network_that_is_shown(client: LocalClient) -> None:
    query = {
        "model.dropout": "spatial:0.3",
        "model.width": "0.5",
        "model.head": "",
        "data.image_size": "96",
        "training.batch_size": "64",
        "classes": "100",
    }
    page = describe_page(client, "alexnet", query)
    assert page.error == ""
    assert field_of(page, "model.dropout") == ("spatial:0.3", "standard:0.5", True)
    assert field_of(page, "model.dropout_place") == ("pool", "dense", False)
    assert field_of(page, "model.head") == ("flatten", "flatten", False)
    done = CliRunner().invoke(main, [*shlex.split(page.describe_command)[1:], "--json"])
    assert json.loads(done.stdout) == to_json(page.network)
    assert page.submit_command == (
        "cnnctl submit alexnet --set model.dropout=spatial:0.3 --set model.width=0.5 "
        "--set data.image_size=96 --set training.batch_size=64"
    )


def test_the_catalog_names_what_can_be_chosen(client: LocalClient) -> None:
    choices = {field.name: field.choices for field in describe_page(client, "alexnet", {}).fields}
    assert choices["model.head"] == ("flatten", "gap")
    assert choices["model.dropout_place"] == ("dense", "pool", "all")
    assert choices["model.towers"] == ("1", "2")
    assert choices["model.l2"] == ()


@pytest.mark.parametrize(
    ("architecture", "query", "said"),
    [
        ("alexnt", {}, "Did you mean alexnet?"),
        ("alexnet", {"model.dropuot": "none"}, "Did you mean model.dropout?"),
        ("alexnet", {"model.init": "ortogonal"}, "Did you mean orthogonal?"),
        ("alexnet", {"optimizer.lr": "0.1"}, "describe takes fields of the network"),
        ("alexnet", {"data.image_size": "large"}, "data.image_size"),
        ("alexnet", {"data.image_size": "1000000"}, "must have a value from"),
        ("alexnet", {"classes": "ten"}, "takes a whole number"),
        ("alexnet", {"classes": "1000000000"}, "--classes must have"),
        ("mlp", {"model.hidden_layers": "1000000000"}, "at most 1,000 layers"),
        ("alexnet", {"": "1"}, "--set takes path=value"),
        ("; rm -rf /", {}, "Unknown architecture"),
    ],
)
def test_what_is_wrong_is_said_in_the_place_of_the_drawing(
    client: LocalClient, architecture: str, query: dict[str, str], said: str
) -> None:
    page = describe_page(client, architecture, query)
    assert said in page.error
    assert (page.network, page.drawing, page.describe_command, page.submit_command) == (None, "", "", "")
    assert bool(page.fields) == (architecture in ARCHITECTURES)


def test_a_value_cannot_leave_its_word_of_the_command(client: LocalClient) -> None:
    value = "normal:0.01; rm -rf /"
    page = describe_page(client, "lenet5", {"model.init": value})
    assert page.error
    page = describe_page(client, "vgg", {"model.stages": "1x8, 1x8"})
    assert shlex.split(page.submit_command)[3:] == ["--set", "model.stages=1x8, 1x8"]
