"""What Prometheus gets from the running API is what the page, the alerts and the dashboard say."""

import http.client
import json
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cnnctl.views.requests import TokenRequest
from docs.generate import FOLDER
from service.commands.people.credentials import create_token
from service.db.engine import make_engine
from service.domain.gpus import Gpu, Reading
from service.domain.people import Actor
from service.domain.spec_request import resolve_spec
from service.domain.states import JobState
from service.scheduler.policy.wait_classes import MEANINGS
from service.store.fleet import hosts, leases, readings
from service.store.jobs import attempts, jobs
from service.store.transaction import Store
from tests.api.warm_python import start_api
from tests.servers import find_free_port

PAGE = (FOLDER / "monitoring.md").read_text()
DASHBOARD = json.loads((FOLDER / "grafana" / "cnnctl.json").read_text())
HOSTILE = 'a"b\\c\nd{e="f"} 1\r# é'
NAME = re.compile(r"\bcnnctl_[a-z_]+")
START_SECONDS = 60


@dataclass(frozen=True)
class Api:
    """A running `cnnctl api`."""

    socket: Path
    port: int
    store: Store

    def get(self, *, token: str | None = None, by_socket: bool = False) -> tuple[int, str]:
        """Ask for the metrics: status and text."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if by_socket:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.socket))
        with closing(connection):
            connection.request("GET", "/metrics", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def scrape(self) -> Mapping[str, Metric]:
        """Each metric by the name under which the text declares it."""
        status, text = self.get(by_socket=True)
        assert status == 200, text
        declared = re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)
        return dict(zip(declared, text_string_to_metric_families(text), strict=True))


@contextmanager
def running_api(url: str) -> Iterator[Api]:
    """Serve a database; the folder's name is short, since a socket's path is bounded."""
    with tempfile.TemporaryDirectory(prefix="api-") as folder, closing(Store(make_engine(url))) as store:
        port = find_free_port()
        api = Api(socket=Path(folder) / "s", port=port, store=store)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
        settings = {
            "CNNCTL_HOME": folder,
            "CNNCTL_DATABASE_URL": url,
            "CNNCTL_SOCKET": str(api.socket),
            "CNNCTL_API_ADDRESS": f"127.0.0.1:{port}",
            "PYTHONPATH": str(FOLDER.parent),
        }
        log = Path(folder) / "log"
        process = start_api({**kept, **settings}, log=log)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not api.socket.exists():
                assert not process.has_ended(), log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield api
        finally:
            process.end(signal.SIGTERM)


@pytest.fixture
def api(store_url: str) -> Iterator[Api]:
    with running_api(store_url) as api:
        yield api


def fill(store: Store) -> None:
    """One of everything that has labels."""
    device = Gpu(uuid="u", host_name="gpu01", number=0, model="H200", memory_mib=1000, simulated=False)
    reading = Reading(temperature_celsius=40, utilization_percent=50, memory_used_mib=10)
    with store.transaction() as tx:
        hosts.register_host(tx, "gpu01", worker="w1", cores=2, devices=[device])
        readings.set_readings(tx, {"u": reading})
        job = jobs.create_job(tx, resolve_spec("lenet5", {}), owner=HOSTILE, reason="waits")
        jobs.create_job(tx, resolve_spec("lenet5", {}), owner="ada", reason="waits")
        assert jobs.set_state_if(tx, job, JobState.QUEUED, JobState.RUNNING, reason="")
        attempt = attempts.create_attempt(tx, job, host_name="gpu01")
        leases.acquire(tx, attempt.id, ["u"])
        jobs.count_preemption(tx, job)


def list_labels(metric: Metric) -> str:
    """The labels of a metric as the page has them; every histogram has `le` besides."""
    labels = {label for sample in metric.samples for label in sample.labels} - {"le"}
    return ", ".join(f"`{label}`" for label in sorted(labels))


def test_the_page_lists_exactly_what_is_exported(api: Api) -> None:
    fill(api.store)
    exported = {
        (name, metric.type, list_labels(metric), metric.documentation)
        for name, metric in api.scrape().items()
    }
    rows = re.findall(r"^\| `(cnnctl_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", PAGE, re.MULTILINE)
    assert set(rows) == exported
    assert len(rows) == len(exported)


def test_values_are_those_of_the_store_and_odd_names_come_back_as_they_were(api: Api) -> None:
    fill(api.store)
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in api.scrape().values()
        for sample in metric.samples
    }
    gpu = (("gpu", "0"), ("host", "gpu01"))
    assert samples["cnnctl_jobs", ("state", "running")] == 1
    assert samples["cnnctl_queued_jobs", ("reason", "other")] == 1
    assert samples[("cnnctl_gpu_memory_bytes", *gpu)] == 1000 * 1024**2
    assert samples[("cnnctl_gpu_memory_used_bytes", *gpu)] == 10 * 1024**2
    assert samples[("cnnctl_gpu_utilization_ratio", *gpu)] == 0.5
    assert samples[("cnnctl_gpu_temperature_celsius", *gpu)] == 40
    assert samples["cnnctl_preemptions_total", ("owner", HOSTILE)] == 1
    assert samples["cnnctl_host_alive", ("host", "gpu01")] == 1
    assert samples["cnnctl_scheduler_alive",] == 0
    assert samples["cnnctl_api_requests_in_flight",] == 1
    assert samples["cnnctl_job_wait_seconds_bucket", ("le", "+Inf")] == 0
    assert 0 <= samples["cnnctl_gpu_seconds_total", ("owner", HOSTILE)] < 600


def test_whoever_may_read_may_scrape_and_nobody_else(api: Api) -> None:
    request = TokenRequest(name="prometheus", scope="read", days=1)
    made = create_token(api.store, request, actor=Actor(name="ada"))
    assert api.get(token=made.secret)[0] == 200
    assert api.get(by_socket=True)[0] == 200
    for token in (None, "cnnctl_wrong", made.secret[:-1]):
        status, text = api.get(token=token)
        assert status == 401
        assert "cnnctl_jobs" not in text


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory, sqlite_with_tables: Path) -> frozenset[str]:
    """The names of all samples of a service in which there is something."""
    path = tmp_path_factory.mktemp("monitored") / "cnnctl.db"
    path.write_bytes(sqlite_with_tables.read_bytes())
    with running_api(f"sqlite:///{path}") as api:
        fill(api.store)
        return frozenset(sample.name for metric in api.scrape().values() for sample in metric.samples)


def test_the_dashboard_asks_only_for_what_there_is(names: frozenset[str]) -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in NAME.findall(query)}
    assert asked <= names
    declared = set(re.findall(r"^\| `(cnnctl_\w+)` \| \w+ \|", PAGE, re.MULTILINE))
    left_out = {name for name in declared if not any(one.startswith(name) for one in asked)}
    assert left_out == set(), "the dashboard shows all"


def test_the_dashboard_can_be_imported_anywhere() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    for panel in DASHBOARD["panels"]:
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"]))) - {"__range"}
    assert used == variables
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))


def test_the_alerts_ask_only_for_what_there_is(names: frozenset[str]) -> None:
    *_, rules = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    alerts = rules["groups"][0]["rules"]
    assert {alert["labels"]["severity"] for alert in alerts} == {"page", "ticket"}
    assert {name for alert in alerts for name in NAME.findall(alert["expr"])} <= names


def test_the_page_lists_the_reasons() -> None:
    assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", PAGE, re.MULTILINE)) == MEANINGS
