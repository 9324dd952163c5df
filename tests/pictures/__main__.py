"""Takes the pictures of the README from a real run: python -m tests.pictures [FOLDER]

Five people train on eight simulated GPUs until there is something to see; then Chromium looks at the pages.
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from cnnctl.http_client import HttpClient
from cnnctl.views.requests import SubmissionRequest
from service.client.local import LocalClient
from service.domain.people import Actor
from tests.browser.conftest import find_chromium
from tests.servers import find_free_port
from tests.stack import Stack

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
VIEWPORTS = {"": {"width": 1440, "height": 900}, "-narrow": {"width": 390, "height": 844}}
FEW_SECONDS, MANY_SECONDS = 2.0, 300.0
# Who submits what, in this order; those at the end wait.
JOBS = (
    ("ada", "lenet5", "lr 0.01", {"training.epochs": 40, "training.diagnostics": True}),
    (
        "ada",
        "lenet5",
        "lr 0.02",
        {"training.epochs": 400, "optimizer.lr": 0.02},
    ),
    ("bob", "convnet4", "", {"training.epochs": 200, "resources.gpus": 2}),
    ("jan", "lenet5", "seed 1", {"training.epochs": 400, "training.seed": 1, "training.batch_size": 64}),
    ("jan", "lenet5", "seed 2", {"training.epochs": 400, "training.seed": 2, "training.batch_size": 64}),
    ("mei", "nin", "", {"training.epochs": 100}),
    ("carl", "lenet5", "too fast", {"training.epochs": 10, "optimizer.lr": 1e6}),
    ("ada", "convnet4", "on four", {"training.epochs": 20, "resources.gpus": 4}),
    ("bob", "lenet5", "on all", {"training.epochs": 20, "resources.gpus": 8}),
)


def main() -> None:
    """Run the jobs and take all pictures."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else FOLDER
    path = find_chromium()
    if path is None:
        sys.exit("There is no Chromium here. On Debian: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cnnctl-") as home, sync_playwright() as playwright:
        address = f"127.0.0.1:{find_free_port()}"
        stack = Stack(
            Path(home),
            CNNCTL_GPUS="sim:8",
            CNNCTL_HOST="gpu01",
            CNNCTL_API_ADDRESS=address,
            CNNCTL_SOCKET=f"{home}/api.sock",
        )
        try:
            stack.store.upgrade()
            for program in ("scheduler", "worker", "api"):
                stack.start(program)
            numbers = _run_jobs(stack)
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            _take_pictures(browser, HttpClient.on_socket(Path(home) / "api.sock"), numbers, folder)
        finally:
            stack.close()


def _run_jobs(stack: Stack) -> Mapping[str, int]:
    """Submit all jobs and wait until some have come far enough; their numbers by their names."""
    deadline = time.monotonic() + MANY_SECONDS
    while not (stack.gpus() and (stack.home / "api.sock").exists()):
        assert time.monotonic() < deadline, stack.logs()
        time.sleep(FEW_SECONDS)
    numbers: dict[str, int] = {}
    for owner, network, name, fields in JOBS:
        client = LocalClient(stack.store, stack.settings, Actor(name=owner))
        like = numbers["lr 0.01"] if name == "lr 0.02" else None
        request = SubmissionRequest(
            architecture=None if like else network,
            fields=fields if like else {"data.dataset": "digits", **fields},
            name=name,
            project="vision" if owner in ("ada", "bob") else "",
            tags=["ablation"] if owner == "jan" else [],
            like=like,
        )
        numbers[name or network] = client.submit(request).job
    stack.wait(numbers["lr 0.02"], lambda job: job["epochs"] >= 60, seconds=MANY_SECONDS)
    return numbers


def _take_pictures(browser: Browser, client: HttpClient, numbers: Mapping[str, int], folder: Path) -> None:
    alike = ",".join(str(numbers[name]) for name in ("lr 0.01", "lr 0.02", "seed 1", "seed 2"))
    pages = {"now": "/", "job": f"/jobs/{numbers['lr 0.02']}", "compare": f"/compare?jobs={alike}"}
    link = client.make_link().url
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    base = link.rpartition("/open/")[0]
    for suffix, viewport in VIEWPORTS.items():
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        for name, place in pages.items():
            page.goto(base + place)
            page.locator("html[data-live]").wait_for(state="attached")
            for plot in page.locator(".plot").all():
                plot.locator("canvas").wait_for()
            page.screenshot(path=folder / f"{name}{suffix}.png")
            print(f"{name}{suffix}.png", flush=True)
    context.close()


main()
