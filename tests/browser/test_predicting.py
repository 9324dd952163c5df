"""A trained network says on its job's page what it sees in images that somebody chooses."""

import io
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from cnnctl.views.requests import SubmissionRequest, TokenRequest
from models.datasets.arrays import ImageArrays
from models.datasets.load import load_arrays
from service.domain.gpus import Gpu
from service.domain.jobs import JobId
from service.domain.people import SCHEDULER
from service.domain.states import Outcome
from service.store.fleet import hosts
from service.store.jobs import attempts
from service.store.jobs.endings import end_attempt
from service.store.transaction import open_store
from tests.api.conftest import Api
from tests.browser.checks import check_page
from tests.conftest import HOST, place

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
GPU = Gpu(uuid="one", host_name=HOST, number=0, model="simulated (CPU)", memory_mib=0, simulated=True)


@pytest.fixture(scope="module")
def job(shared_api: Api, golden: Path) -> int:
    """A job that has trained the network of the golden folder."""
    request = SubmissionRequest(architecture="lenet5", fields={"data.dataset": "digits"})
    number = shared_api.client().submit(request).job
    folder = shared_api.home / "runs" / str(number) / "1"
    shutil.copytree(golden / "runs" / "1" / "1", folder)
    with closing(open_store(shared_api.settings["CNNCTL_DATABASE_URL"])) as store:
        with store.transaction() as tx:
            hosts.register_host(tx, HOST, worker="w1", cores=2, devices=[GPU])
            attempt = place(tx, JobId(number), GPU.uuid)
            attempts.write(tx, attempt, model_path=str(folder / "model.keras"), weights_digest="d" * 64)
            end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor=SCHEDULER, retry_limit=0)
    return number


def make_digit(number: int) -> FilePayload:
    """An image of the test images, as a browser sends it."""
    stream = io.BytesIO()
    pixels = load_digits().x_test[number, ..., 0]
    Image.fromarray(np.kron(pixels, np.ones((4, 4), np.uint8))).save(stream, "PNG")
    return {"name": f"<b>{number}</b>.png", "mimeType": "image/png", "buffer": stream.getvalue()}


def load_digits() -> ImageArrays:
    return load_arrays("digits", directory=None)


def test_it_says_the_likeliest_classes(shared_api: Api, open_page: Open, job: int) -> None:
    page = open_page(shared_api, f"/jobs/{job}", java_script_enabled=False)
    page.get_by_label("Images").set_input_files([make_digit(number) for number in range(6)])
    page.get_by_role("button", name="What are they?").click(no_wait_after=True)
    found = page.locator("tr:has(th[scope=rowgroup])")
    expect(found).to_have_count(6, timeout=120_000)
    labels = load_digits().y_test
    right = [f" {labels[n]} " in f" {found.nth(n).inner_text()} ".replace("\t", " ") for n in range(6)]
    assert sum(right) >= 5
    expect(found.first.locator("th")).to_have_text("<b>0</b>.png")
    assert page.locator(".same code").inner_text() == f"cnnctl predict {job} IMAGE…"


@pytest.mark.parametrize("content", [b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n{} loop"])
def test_what_is_no_image_is_refused_before_anything_is_started(
    shared_api: Api, open_page: Open, job: int, content: bytes
) -> None:
    page = open_page(shared_api, f"/jobs/{job}")
    file: FilePayload = {"name": "notes.png", "mimeType": "image/png", "buffer": content}
    page.get_by_label("Images").set_input_files([make_digit(0), file])
    page.get_by_role("button", name="What are they?").click(no_wait_after=True)
    expect(page.locator(".alert")).to_contain_text("image 2 cannot be read as an image: it is no PNG")


@pytest.mark.long  # a second start of TensorFlow: what the library refuses, its own tests say
def test_what_the_library_cannot_read_is_said(shared_api: Api, open_page: Open, job: int) -> None:
    page = open_page(shared_api, f"/jobs/{job}")
    file: FilePayload = {"name": "cut.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\ncut"}
    page.get_by_label("Images").set_input_files([make_digit(0), file])
    page.get_by_role("button", name="What are they?").click(no_wait_after=True)
    expect(page.locator(".alert")).to_contain_text(
        re.compile("(?<!/)image 2 cannot be read as an image"), timeout=120_000
    )


def test_who_may_only_read_starts_nothing(shared_api: Api, open_page: Open, job: int) -> None:
    secret = shared_api.client().create_token(TokenRequest(name="reader", scope="read")).secret
    page = open_page(shared_api, f"/jobs/{job}", sign_in=False)
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Images").set_input_files([make_digit(0)])
    page.get_by_role("button", name="What are they?").click(no_wait_after=True)
    expect(page.locator(".alert")).to_contain_text("scope")


def test_a_job_without_a_network_has_no_such_form(shared_api: Api, open_page: Open) -> None:
    request = SubmissionRequest(architecture="lenet5", fields={"data.dataset": "digits"})
    number = shared_api.client().submit(request).job
    check_page(open_page, shared_api, f"/jobs/{number}", "Files")
    page = open_page(shared_api, f"/jobs/{number}")
    expect(page.get_by_label("Images")).to_have_count(0)
