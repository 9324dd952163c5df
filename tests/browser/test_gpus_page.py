"""The page of hosts and GPUs: it shows how each is and was, and administrators take some out of use there."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import Page, expect

from cnnctl.views.requests import TokenRequest
from service.domain.gpus import Gpu, Outsider, Reading
from service.domain.jobs import Attempt
from service.store.fleet import hosts, readings
from service.store.transaction import Store
from tests.api.conftest import Api
from tests.browser.checks import HOSTILE, check_page
from tests.conftest import HOST, Clock

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
FIRST, SECOND = f"{HOST}-0", f"{HOST}-1"
EVIL = "gpu02 <script>alert(1)</script>"


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = datetime.now(timezone.utc) - timedelta(minutes=30)
    return clock


def read(store: Store, gpu: str, percent: int, **values: object) -> None:
    reading = Reading(utilization_percent=percent, memory_used_mib=0, **values)  # type: ignore[arg-type]
    with store.transaction() as tx:
        readings.set_readings(tx, {gpu: reading})


@pytest.fixture
def api(make_api: Callable[..., Api], store: Store, claimed: Callable[..., Attempt], clock: Clock) -> Api:
    """Its first GPU is held by a job of ada; its second one is used from outside."""
    claimed()
    for percent in (20, 60, 100):
        read(store, FIRST, percent)
        clock.advance(60)
    clock.now = datetime.now(timezone.utc)
    outsiders = (Outsider(pid=4711, user="carl", command=HOSTILE, memory_mib=2048),)
    read(store, SECOND, 7, temperature_celsius=61, ecc_errors=3, outsiders=outsiders)
    with store.transaction() as tx:
        hosts.heartbeat(tx, HOST, worker="w1", clock_ahead_seconds=2.5)
    return make_api()


def add_gone_host(store: Store, clock: Clock) -> None:
    """A host whose worker has been silent for a day."""
    device = Gpu(uuid="gone", host_name=EVIL, number=0, model=HOSTILE, memory_mib=0, simulated=False)
    clock.advance(-24 * 3600)
    with store.transaction() as tx:
        hosts.register_host(tx, EVIL, worker="w2", cores=2, devices=[device])


def test_it_says_how_each_gpu_is_and_was(api: Api, open_page: Open) -> None:
    page = open_page(api, "/gpus?hours=1")
    expect(page.locator("#part-line")).to_contain_text("1 host, 2 GPUs: 1 trains, 1 used from outside")
    expect(page.locator(f"#{HOST}")).to_contain_text("worker alive")
    expect(page.locator(f"#{HOST}")).to_contain_text("2.5 s ahead")
    first, second = page.locator(f"#gpu-{FIRST}"), page.locator(f"#gpu-{SECOND}")
    for words in ("in use", "job 1", "mean 60 %, most 100 %", "held by ada"):
        expect(first).to_contain_text(words)
    expect(first.locator(".holds title")).to_contain_text("job 1 of ada, 3")
    assert first.locator(".band.use path").count() == 1
    assert first.locator(".band.use .gap").count() == 2
    for words in ("outside", "carl, not ours", "pid 4711", "3 uncorrected memory errors", "61 °C", "nobody"):
        expect(second).to_contain_text(words)


def test_each_act_of_a_gpu(api: Api, open_page: Open) -> None:
    page = open_page(api, "/gpus?hours=6", java_script_enabled=False)
    gpu = page.locator(f"#gpu-{FIRST}")

    def press(name: str, reason: str = "") -> None:
        gpu.get_by_text("Change").click()
        if reason:
            gpu.get_by_label("Reason").fill(reason)
        gpu.get_by_role("button", name=name, exact=True).click()

    gpu.get_by_text("Change").click()
    gpu.get_by_label("Reason").press("Enter")  # which would do the first of the acts
    page.reload()
    expect(gpu).to_contain_text("in use")
    press("Drain", "a new fan")
    expect(gpu).to_contain_text("draining")
    expect(gpu).to_contain_text("a new fan (by ")
    assert page.url.endswith(f"/gpus?hours=6#{HOST}")
    press("Undrain")
    expect(gpu).to_contain_text("in use")
    press("Quarantine")  # without a reason the browser sends nothing
    expect(gpu).to_contain_text("in use")
    gpu.get_by_label("Reason").fill("it smokes")
    gpu.get_by_role("button", name="Quarantine").click()
    expect(page.locator("#part-line")).to_contain_text("1 quarantined (it smokes (by ")
    press("Release")
    expect(gpu).to_contain_text("in use")


def test_what_happens_comes_into_an_open_page_and_disturbs_no_form(api: Api, open_page: Open) -> None:
    page = open_page(api, "/gpus")
    expect(page.locator("html[data-live]")).to_be_attached()
    gpu = page.locator(f"#gpu-{SECOND}")
    gpu.get_by_text("Change").click()
    gpu.get_by_label("Reason").fill("half a sen")
    api.client().drain_gpus([FIRST], reason="moved")
    expect(page.locator(f"#gpu-{FIRST}")).to_contain_text("draining")
    expect(page.locator("#part-line")).to_contain_text("1 draining")
    expect(gpu.get_by_label("Reason")).to_have_value("half a sen")


def test_each_act_of_a_host_changes_the_gpus_that_it_can(api: Api, open_page: Open) -> None:
    api.client().quarantine_gpus([FIRST], reason="broken")
    page = open_page(api, "/gpus")
    host = page.locator(f"#{HOST}")

    def press(name: str, reason: str = "") -> None:
        host.get_by_text("Change all").click()
        if reason:
            host.get_by_label("Reason").first.fill(reason)
        host.get_by_role("button", name=name, exact=True).first.click()

    def states() -> list[str]:
        return [gpu.state for gpu in api.client().list_gpus()]

    press("Drain")
    expect(page.locator(f"#gpu-{SECOND}")).to_contain_text("drained")
    assert states() == ["quarantined", "drained"]
    press("Undrain")
    expect(page.locator(f"#gpu-{SECOND}")).to_contain_text("outside")
    press("Quarantine", "wet")
    expect(page.locator("#part-line")).to_contain_text("2 quarantined")
    press("Release")
    expect(page.locator("#part-line")).not_to_contain_text("quarantined")
    assert states() == ["available", "available"]


def test_a_host_that_is_gone_is_removed_after_a_second_look(
    api: Api, open_page: Open, store: Store, clock: Clock
) -> None:
    add_gone_host(store, clock)
    page = open_page(api, "/gpus", java_script_enabled=False)
    assert page.get_by_text("Remove", exact=True).count() == 1  # not of the one that is alive
    expect(page.get_by_role("button", name="Remove")).to_be_hidden()
    page.get_by_text("Remove", exact=True).click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#part-line")).to_contain_text("1 host, 2 GPUs")


def test_who_may_not_sees_no_button_and_is_refused(api: Api, open_page: Open) -> None:
    secret = api.client().create_token(TokenRequest(name="reader", scope="read")).secret
    page = open_page(api, "/gpus", sign_in=False)
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(f"#{HOST}")).to_be_visible()
    assert page.get_by_text("Change").count() == 0
    answer = page.request.post(f"{api.url}/gpus/drain", form={"gpu": FIRST}, headers={"Origin": api.url})
    assert (answer.status, "Only an administrator may" in answer.text()) == (403, True)


@pytest.mark.parametrize("query", ["hours=2", "hours=", "hours=%FF", "days=1"])
def test_an_address_that_says_nonsense_is_explained(page: Page, query: str) -> None:
    page.goto(f"/gpus?{query}")
    expect(page.locator(".alert")).to_contain_text("hours")


def test_words_from_outside_are_text(api: Api, open_page: Open, store: Store, clock: Clock) -> None:
    add_gone_host(store, clock)
    with store.transaction() as tx:  # as a worker does
        hosts.quarantine_gpu(tx, "gone", reason="\u202ereversed \x1b[31m" + "z" * 10_000)
    page = check_page(open_page, api, "/gpus", "<script>alert(1)</script>", "\\u202ereversed", "\\x1b[31m")
    page.goto(page.url + "#" + EVIL)
    expect(page.locator("section:target")).to_contain_text("gpu02")
