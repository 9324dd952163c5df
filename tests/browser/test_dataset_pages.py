"""The pages of datasets: what there is, adding one with and without scripts, and removing one."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from cnnctl.views.requests import SubmissionRequest, TokenRequest
from service.domain.datasets import INCOMING
from service.file_lock import try_lock
from service.settings import load_settings
from tests.api.conftest import Api
from tests.browser.checks import HOSTILE, check_page
from tests.images import write_folder, write_npz

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def fill_in(page: Page, name: str, description: str = "") -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("What others should know").fill(description)


def choose_file(page: Page, path: Path) -> None:
    page.locator("[name=file]").set_input_files(path)


def begin_upload(page: Page, name: str, path: Path) -> int:
    """Begin the upload of an .npz, or find the one that was begun; its number."""
    content = path.read_bytes()
    request = {
        "name": name,
        "kind": "npz",
        "total_bytes": len(content),
        "digest": hashlib.sha256(content).hexdigest(),
    }
    base = page.url.partition("/datasets")[0]
    answer = page.request.post(f"{base}/api/v1/uploads", data=request, headers={"Origin": base})
    return int(answer.json()["upload"])


@pytest.mark.parametrize("scripts", [True, False])
def test_an_npz_is_added_and_removed(
    shared_api: Api, open_page: Open, tmp_path: Path, *, scripts: bool
) -> None:
    name, path = f"cells-{scripts}".lower(), write_npz(tmp_path / "cells.npz")
    page = open_page(shared_api, "/datasets", java_script_enabled=scripts)
    fill_in(page, name, HOSTILE)
    choose_file(page, path)
    page.get_by_role("button", name="Add").click()
    page.wait_for_url(f"**/datasets/{name}")
    expect(page.locator("main")).to_contain_text(hashlib.sha256(path.read_bytes()).hexdigest())
    expect(page.locator(".note")).to_have_text(HOSTILE)
    dataset = shared_api.client().get_dataset(name).dataset
    assert (dataset.kind, dataset.files, dataset.description) == ("npz", 1, HOSTILE)
    expect(page.get_by_role("link", name="New job with it")).to_have_attribute(
        "href", f"/new?data.dataset={name}"
    )
    page.locator("summary", has_text="Remove").click()
    page.get_by_role("button", name=f"Remove {name}").click()
    page.wait_for_url("**/datasets")
    expect(page.locator(f"#dataset-{name}")).to_have_count(0)


def test_a_folder_is_sent_as_the_command_line_would(shared_api: Api, open_page: Open, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pets")
    some = next(folder.rglob("*.png"))
    deep = some.parent / ("long-" * 25)
    deep.mkdir()
    some.rename(deep / some.name)
    page = open_page(shared_api, "/datasets")
    fill_in(page, "pets")
    page.get_by_label("or a folder of images").set_input_files(folder)
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/datasets/pets")
    shared_api.run("dataset", "add", "pets-again", str(folder))
    client = shared_api.client()
    assert client.get_dataset("pets").dataset.digest == client.get_dataset("pets-again").dataset.digest


def test_a_large_file_comes_in_pieces_and_goes_on_where_it_broke_off(
    shared_api: Api, open_page: Open, tmp_path: Path
) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "many.npz"
    arrays = {f"x_{one}": rng.integers(0, 256, (6000, 28, 28), dtype=np.uint8) for one in ("train", "test")}
    labels = {f"y_{one}": np.arange(6000) % 10 for one in ("train", "test")}
    np.savez(path, **arrays, **labels)  # type: ignore[arg-type]
    assert path.stat().st_size > 8 * 1024 * 1024
    page = open_page(shared_api, "/datasets")
    offsets: list[int] = []

    def break_off(route: Route) -> None:
        offsets.append(int(route.request.url.rpartition("=")[2]))
        route.abort() if len(offsets) == 2 else route.continue_()

    page.route("**/pieces*", break_off)
    fill_in(page, "many")
    choose_file(page, path)
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/datasets/many")
    piece = 4 * 1024 * 1024
    assert offsets == [0, piece, piece, 2 * piece]
    assert (
        shared_api.client().get_dataset("many").dataset.digest
        == hashlib.sha256(path.read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_refused_is_said(shared_api: Api, open_page: Open, tmp_path: Path, *, scripts: bool) -> None:
    page = open_page(shared_api, "/datasets", java_script_enabled=scripts)
    said = page.locator("output.bad" if scripts else ".alert")
    for file, words in (("a.zip", "uncompressed .tar"), ("a.npz", "no .npz file")):
        (tmp_path / file).write_bytes(b"nothing")
        page.goto(page.url.partition("/datasets")[0] + "/datasets")
        fill_in(page, "odd")
        choose_file(page, tmp_path / file)
        page.get_by_role("button", name="Add").click()
        expect(said).to_contain_text(words)
    assert "odd" not in [one.name for one in shared_api.client().list_datasets()]


def test_a_second_upload_of_the_same_leaves_the_first_one_alone(
    shared_api: Api, open_page: Open, tmp_path: Path
) -> None:
    path = write_npz(tmp_path / "twice.npz")
    page = open_page(shared_api, "/datasets", java_script_enabled=False)
    upload = begin_upload(page, "twice", path)
    fill_in(page, "twice")
    choose_file(page, path)
    incoming = load_settings(shared_api.settings).datasets_dir / INCOMING
    with (incoming / f"upload-{upload}").open("a+b") as file:
        assert try_lock(file)  # as the first of two clicks does
        page.get_by_role("button", name="Add").click()
        expect(page.locator(".alert")).to_contain_text("is being written")
    assert begin_upload(page, "twice", path) == upload
    page.get_by_role("link", name="Back", exact=True).click()
    fill_in(page, "twice")
    choose_file(page, path)
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/datasets/twice")


@pytest.mark.parametrize("scripts", [True, False])
def test_an_unfinished_upload_is_shown_to_who_began_it_and_given_up(
    shared_api: Api, open_page: Open, tmp_path: Path, *, scripts: bool
) -> None:
    page = open_page(shared_api, "/datasets", java_script_enabled=scripts)
    upload = begin_upload(page, "half", write_npz(tmp_path / "half.npz"))
    page.reload()
    expect(page.locator(f"#upload-{upload}")).to_contain_text("half")
    expect(page.locator(f"#upload-{upload}")).to_contain_text("0 bytes of")
    assert [one.upload for one in shared_api.client().list_uploads()] == [upload]
    page.get_by_role("button", name="Give up half").click()
    expect(page.locator(f"#upload-{upload}")).to_have_count(0)
    assert shared_api.client().list_uploads() == []


def test_what_a_job_needs_is_not_removed(shared_api: Api, open_page: Open, tmp_path: Path) -> None:
    client = shared_api.client()
    client.add_dataset("needed", write_npz(tmp_path / "needed.npz"))
    job = client.submit(SubmissionRequest(architecture="softmax", fields={"data.dataset": "needed"})).job
    page = open_page(shared_api, "/datasets/needed", java_script_enabled=False)
    expect(page.locator("dd", has_text="it cannot be removed").get_by_role("link")).to_have_text(str(job))
    expect(page.locator("summary", has_text="Remove")).to_have_count(0)
    client.cancel(job)
    page.reload()
    expect(page.locator("summary", has_text="Remove")).to_have_count(1)


def test_who_may_only_read_adds_none(shared_api: Api, open_page: Open) -> None:
    secret = shared_api.client().create_token(TokenRequest(name="reader", scope="read")).secret
    page = open_page(shared_api, "/datasets", sign_in=False, java_script_enabled=False)
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Datasets")).to_be_visible()
    expect(page.get_by_role("button", name="Add")).to_have_count(0)


def test_a_name_that_means_nothing_is_said(shared_api: Api, open_page: Open) -> None:
    for name in ("nothing", "%3Cscript%3E%1b", "x" * 3000):
        page = open_page(shared_api, f"/datasets/{name}")
        expect(page.locator(".alert")).to_contain_text("has no dataset")


def test_it_can_be_used_by_everybody(shared_api: Api, open_page: Open, tmp_path: Path) -> None:
    client = shared_api.client()
    client.add_dataset("a" * 64, write_npz(tmp_path / "long.npz"), description=HOSTILE)
    check_page(open_page, shared_api, "/datasets", "a" * 64, "Of the catalog", "<script>")
    check_page(open_page, shared_api, "/datasets/" + "a" * 64, "<script>")
