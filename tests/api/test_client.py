"""Both clients have every method of the protocol, and over the API each gives what the store gives."""

import inspect
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cnnctl.client import Client
from cnnctl.errors import SpecError
from cnnctl.http_client import HttpClient
from cnnctl.views.codec import to_json
from cnnctl.views.requests import (
    GarbageRequest,
    HookRequest,
    JobQuery,
    LabelRequest,
    NetworkRequest,
    SubmissionRequest,
    TokenRequest,
)
from service.client.local import LocalClient
from service.commands.networks.catalog import SECTIONS
from service.domain.gpus import Reading
from service.domain.people import Actor
from service.settings import load_settings
from service.store.fleet import hosts, readings
from service.store.transaction import Store, open_store
from tests.api.conftest import Api
from workers.gpus.inventory import simulate_gpus

REQUEST = SubmissionRequest(
    architecture="softmax", fields={"data.dataset": "synthetic"}, name="first", tags=["a"]
)


@pytest.mark.parametrize("client", [HttpClient, LocalClient])
def test_a_client_has_every_method_of_the_protocol(client: type) -> None:
    methods = {name: one for name, one in vars(Client).items() if not name.startswith("_") and callable(one)}
    for name, method in methods.items():
        wanted, found = (inspect.signature(one) for one in (method, getattr(client, name)))
        assert wanted.return_annotation == found.return_annotation, name
        more = list(found.parameters.values())[len(wanted.parameters) :]
        assert all(one.default is not one.empty for one in more), name  # what the API alone gives
        for mine, theirs in zip(wanted.parameters.values(), found.parameters.values(), strict=False):
            assert mine.replace(default=0) == theirs.replace(default=0), name


def test_the_api_gives_what_the_store_gives(api: Api) -> None:
    over = api.client()
    first = over.submit(REQUEST).job
    second = over.submit(SubmissionRequest(like=first, fields={"optimizer.lr": 0.5}, hold=True)).job
    over.change_labels(second, LabelRequest(note="a note", add_tags=["b"]))
    over.add_hook(HookRequest(channel="mail", address="ada@example.org", on=["end"]))
    over.change_user("ada", {"weight": 2.0, "max_gpus": None})
    with closing(open_store(api.settings["CNNCTL_DATABASE_URL"])) as store:
        actor = Actor(name=over.get_me().name, operator=True)
        local: Client = LocalClient(store, load_settings(api.settings), actor)
        for client in (over, local):
            assert [one.job for one in client.list_jobs(JobQuery(tag=["b"])).items] == [second]
            assert client.list_jobs(limit=1).next == second
        assert to_json(over.get_job(first)) == to_json(local.get_job(first))
        assert to_json(over.list_jobs()) == to_json(local.list_jobs())
        assert to_json(over.count_jobs(JobQuery(text="NOTE"))) == to_json(
            local.count_jobs(JobQuery(text="NOTE"))
        )
        assert to_json(over.diff(first, second)) == to_json(local.diff(first, second))
        assert to_json(over.compare([second, first])) == to_json(local.compare([second, first]))
        assert to_json(over.get_progress(first)) == to_json(local.get_progress(first))
        assert to_json(over.get_metrics(first, after=3)) == to_json(local.get_metrics(first, after=3))
        both = [first, second]
        curves = [one.get_curves(both, ["loss", "lr"], start=3, points=2) for one in (over, local)]
        assert to_json(curves[0]) == to_json(curves[1])
        assert [(one.job, one.metric) for one in curves[0]][1:3] == [(first, "lr"), (second, "loss")]
        assert to_json(over.get_bands(both, "loss")) == to_json(local.get_bands(both, "loss"))
        for fields, groups in (((), 2), (("training.seed", "optimizer.lr"), 1)):
            assert len(over.get_bands(both, "loss", ignoring=fields)) == groups
        assert to_json(over.list_history(second)) == to_json(local.list_history(second))
        assert to_json(over.list_audit(subject="hook")) == to_json(local.list_audit(subject="hook"))
        assert to_json(over.list_hooks()) == to_json(local.list_hooks())
        assert to_json(over.list_usage()) == to_json(local.list_usage())
        assert to_json(over.list_usage_by_day()) == to_json(local.list_usage_by_day())
        add_reading(store)
        before = to_json(local.list_gpu_history(hours=1, points=7))
        assert before[0]["utilization"] == [*6 * [None], [50.0, 50.0]]
        found = to_json(over.list_gpu_history(hours=1, points=7))
        assert found in (
            before,
            to_json(local.list_gpu_history(hours=1, points=7)),
        )  # a minute may have begun
        assert to_json(over.get_health()) == to_json(local.get_health())
        network = NetworkRequest(fields={"head": "gap"}, input_shape=(64, 48, 1))
        assert to_json(over.describe_network("lenet5", network)) == to_json(
            local.describe_network("lenet5", network)
        )
        for section in SECTIONS:
            assert to_json(over.list_catalog(section)) == to_json(local.list_catalog(section))
        assert to_json(over.list_spec_fields()) == to_json(local.list_spec_fields())
        assert to_json(over.read_log(first)) == to_json(local.read_log(first))
        assert to_json(over.read_log(first, tail=True)) == to_json(local.read_log(first, tail=True))
        assert to_json(over.explain_spec(second)) == to_json(local.explain_spec(second))
        assert to_json(over.list_files(first)) == to_json(local.list_files(first))
        for client in (over, local):
            with pytest.raises(SpecError, match=r"Did you mean lenet5\?"):
                client.describe_network("lenet", NetworkRequest())
            with pytest.raises(SpecError, match="at most 1,000 layers"):
                client.describe_network("mlp", NetworkRequest(fields={"hidden_layers": 10**6}))
            with pytest.raises(SpecError, match=r"Did you mean datasets\?"):
                client.list_catalog("dataset")
    assert {one.subject for one in over.examine()} >= {"python", "database"}
    assert over.collect_garbage(GarbageRequest(dry_run=True)).folders == ()


def add_reading(store: Store) -> None:
    """Register a host with a GPU that was read once."""
    with store.transaction() as tx:
        hosts.register_host(tx, "gpu01", worker="w", cores=2, devices=simulate_gpus("gpu01", 1))
        readings.set_readings(tx, {"sim-gpu01-0": Reading(utilization_percent=50)})


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_folder_is_uploaded_and_an_upload_that_broke_off_goes_on(api: Api, tmp_path: Path) -> None:
    images = tmp_path / "images"
    for name in ("cat", "dog"):
        (images / name).mkdir(parents=True)
        for number in range(12):
            make_image(images / name / f"{number}.png", seed=number)
    over = api.client()
    seen: list[tuple[int, int]] = []
    view = over.add_dataset("pets", images, description="of mine", report=lambda *at: seen.append(at))
    assert (view.name, view.files, view.owner) == ("pets", 24, over.get_me().name)
    assert seen[-1][0] == seen[-1][1]
    assert [one.version for one in over.list_datasets()] == [view.version]
    assert over.get_dataset("pets").dataset == view
    assert "pets" in {entry.name for entry in over.list_catalog("datasets")}
    assert "of mine; 24 images in 2 classes" in " ".join(api.run("list", "datasets").stdout.split())
    api.kill()
    api.start()
    over.remove_dataset("pets")
    assert over.list_datasets() == []


def make_image(path: Path, *, seed: int) -> None:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_doctor_and_gc_ask_the_api_where_commands_do(api: Api) -> None:
    said = json.loads(api.run("doctor", "--json", code=1).stdout)
    assert {"API", "you", "service", "python", "database"} <= {one["subject"] for one in said}
    assert "nothing was deleted" in api.run("gc", "--dry-run").stdout


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_login_is_kept_for_its_user_alone_until_it_is_forgotten(api: Api, tmp_path: Path) -> None:
    token = api.client().create_token(TokenRequest(name="laptop")).secret
    laptop: dict[str, Any] = {"CNNCTL_SOCKET": "", "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    assert "not valid" in api.run("login", api.url, code=5, typed="cnn_wrong\n", **laptop).stderr
    api.run("login", api.url, typed=f"{token}\n", **laptop)
    kept = tmp_path / "cnnctl" / "login.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "by token laptop from 127.0.0.1" in api.run("whoami", **laptop).stdout
    assert api.run("submit", "softmax", "--dataset", "synthetic", **laptop).stdout == "1\n"
    kept.chmod(0o644)
    assert f"chmod 600 {kept}" in api.run("whoami", code=1, **laptop).stderr
    kept.chmod(0o600)
    assert token not in api.run("logout", **laptop).stderr
    assert not kept.exists()
