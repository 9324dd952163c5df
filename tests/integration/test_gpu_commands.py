"""cnnctl gpus and cnnctl hosts as a person types them, and how the table fits a terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console

from cnnctl.views.fleet import GpuView
from service.cli.display.gpu_table import gpu_table
from service.cli.ops.up import _announce
from service.commands.fleet.hosts import remove_host
from service.domain.gpus import Outsider, Reading
from service.domain.spec_request import resolve_spec
from service.errors import NotAllowed
from service.settings import load_settings
from service.store.fleet import hosts, leases, readings
from service.store.jobs import attempts, jobs
from service.store.transaction import Store, open_store
from tests.conftest import ADA
from tests.stack import ROOT
from workers.gpus.inventory import simulate_gpus

Cnnctl = Callable[..., Result]


@pytest.fixture(autouse=True)
def home_store(home: Path) -> Iterator[Store]:
    """The database of the data folder, in which a host with two simulated GPUs is alive."""
    with closing(open_store(f"sqlite:///{home / 'cnnctl.db'}")) as store:
        with store.transaction() as tx:
            hosts.register_host(tx, "gpu01", worker="w", cores=2, devices=simulate_gpus("gpu01", 2))
        yield store


def test_gpus_are_taken_out_of_use_and_given_back(cnnctl: Cnnctl) -> None:
    assert "gpu01:1 gets no new job" in cnnctl("gpus", "drain", "gpu01:1", "--reason", "a talk").stdout
    shown = cnnctl("gpus").stdout
    assert "drained" in shown
    assert "gpu01:1 drained: a talk (by " in shown
    assert "available again" in cnnctl("gpus", "undrain", "sim-gpu01-1").stdout
    assert "is quarantined" in cnnctl("gpus", "quarantine", "gpu01:0", "--reason", "hot").stdout
    cnnctl("gpus", "drain", "gpu01:0", code=4)
    assert "available again" in cnnctl("gpus", "release", "gpu01:0").stdout
    assert "There is no GPU gpu09:0" in cnnctl("gpus", "drain", "gpu09:0", code=3).stderr
    assert "Missing option '--reason'" in cnnctl("gpus", "quarantine", "gpu01:0", code=2).stderr


def test_json_has_whole_uuids_and_does_not_go_with_watching(cnnctl: Cnnctl) -> None:
    views = json.loads(cnnctl("gpus", "--json").stdout)
    assert [view["uuid"] for view in views] == ["sim-gpu01-0", "sim-gpu01-1"]
    assert "cannot be combined with --json" in cnnctl("gpus", "--json", "--watch", code=2).stderr
    assert "--watch needs a terminal" in cnnctl("gpus", "--watch", code=2).stderr


def test_watching_draws_anew_until_ctrl_c(home_store: Store, home: Path) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "CNNCTL_HOME": str(home), "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "service.cli.main", "gpus", "--watch"]
    with subprocess.Popen(words, env=environment, stdout=slave, stderr=slave) as process:
        os.close(slave)
        try:
            read_until(master, "free")
            with home_store.transaction() as tx:
                hosts.drain_gpu(tx, "sim-gpu01-0", reason="by root")
            read_until(master, "gpu01:0 drained: by root")
        finally:
            process.send_signal(signal.SIGINT)
        assert "\x1b[?25h" in read_until(master, None)  # the cursor is back
        assert process.wait(timeout=60) == 0
    os.close(master)


def read_until(terminal: int, words: str | None) -> str:
    """What a program writes to a terminal until it writes these words, or ends."""
    said = ""
    while words is None or words not in said:
        try:
            said += os.read(terminal, 65536).decode()
        except OSError:  # it has ended
            break
    assert words is None or words in said, said
    return said


def test_hosts_are_a_line_each(cnnctl: Cnnctl, home_store: Store) -> None:
    shown = cnnctl("hosts").stdout
    assert "heartbeat" in shown
    assert "2/2" in shown
    with home_store.transaction() as tx:
        hosts.leave(tx, "gpu01", worker="w")
    assert "has left" in cnnctl("hosts").stdout
    (view,) = json.loads(cnnctl("hosts", "--json").stdout)
    assert (view["host"], view["alive"], view["heartbeat_at"], view["gpus_free"]) == ("gpu01", False, None, 0)
    assert "no worker" in cnnctl("gpus").stdout


def test_a_host_that_takes_no_messages_is_told_by_hosts_status_and_doctor(
    cnnctl: Cnnctl, home_store: Store
) -> None:
    with home_store.transaction() as tx:
        hosts.set_unanswering(tx, "gpu01", worker="w")
    assert "takes no messages" in cnnctl("hosts").stdout
    (view,) = json.loads(cnnctl("hosts", "--json").stdout)
    assert (view["alive"], view["reason"]) == (False, "its worker takes no messages")
    assert "CNNCTL_BROKER_URL" in cnnctl("status").stdout
    words = ("doctor", "--process", "worker")
    assert "not alive: its worker takes no messages" in cnnctl(*words, code=1, CNNCTL_HOST="gpu01").stdout
    findings = json.loads(cnnctl("doctor", "--json", code=1).stdout)
    (stack,) = [finding for finding in findings if finding["subject"] == "stack"]
    assert "The worker of gpu01 is alive but takes no messages" in stack["remedy"]


def test_a_host_that_is_gone_is_removed_and_known_again_when_its_worker_is_back(
    cnnctl: Cnnctl, home_store: Store
) -> None:
    remove = ("hosts", "remove", "gpu09")
    assert "There is no host gpu09. Known: gpu01" in cnnctl(*remove, code=3).output
    with home_store.transaction() as tx:
        hosts.register_host(tx, "gpu09", worker="v", cores=2, devices=simulate_gpus("gpu09", 3))
        hosts.quarantine_gpu(tx, "sim-gpu09-0", reason="hot")
    assert "its worker is alive. Stop it first" in cnnctl(*remove, code=4).output
    with home_store.transaction() as tx:
        hosts.leave(tx, "gpu09", worker="v")
        number = jobs.create_job(tx, resolve_spec("lenet5", {}), owner="ada", reason="")
        attempt = attempts.create_attempt(tx, number, host_name="gpu09")
        leases.acquire(tx, attempt.id, ["sim-gpu09-1"])
    assert "a job holds GPUs of it" in cnnctl(*remove, code=4).output
    with home_store.transaction() as tx:
        leases.release(tx, attempt.id)
    assert "gpu09 is removed" in cnnctl(*remove).stdout
    assert [view["host"] for view in json.loads(cnnctl("hosts", "--json").stdout)] == ["gpu01"]
    assert {view["host"] for view in json.loads(cnnctl("gpus", "--json").stdout)} == {"gpu01"}
    cnnctl(*remove, code=3)
    with home_store.transaction() as tx:
        alive = hosts.reserve_host(tx, "gpu09", worker="u", cores=2, dead_workers=(), lease_seconds=30)
        assert alive is None
        hosts.register_host(tx, "gpu09", worker="u", cores=2, devices=simulate_gpus("gpu09", 3))
    back = [view["state"] for view in json.loads(cnnctl("gpus", "--json").stdout) if view["host"] == "gpu09"]
    assert back == ["quarantined", "available", "available"]


def test_only_administrators_remove_hosts(home_store: Store, home: Path) -> None:
    settings = load_settings({"CNNCTL_HOME": str(home)})
    with pytest.raises(NotAllowed, match="Only an administrator may remove a host"):
        remove_host(home_store, settings, "gpu01", actor=ADA)


def test_up_counts_the_gpus_of_its_own_host(
    home_store: Store, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with home_store.transaction() as tx:
        hosts.register_host(tx, "earlier", worker="v", cores=2, devices=simulate_gpus("earlier", 3))
        hosts.leave(tx, "earlier", worker="v")
    _announce(home_store, load_settings({"CNNCTL_HOME": str(home), "CNNCTL_HOST": "gpu01"}), "")
    assert "cnnctl is up with 2 × simulated (CPU) on gpu01." in capsys.readouterr().err


def test_outsiders_are_named_under_the_table(cnnctl: Cnnctl, home_store: Store) -> None:
    bob = Outsider(pid=4711, user="bob", command="python", memory_mib=1200)
    with home_store.transaction() as tx:
        readings.set_readings(tx, {"sim-gpu01-1": Reading(outsiders=(bob,), ecc_errors=3)})
    shown = cnnctl("gpus").stdout
    assert "outside" in shown
    assert "gpu01:1 used from outside the queue: bob's python, pid 4711, 1,200 MiB" in shown
    assert "gpu01:1 3 uncorrected memory errors" in shown


VIEWS: Sequence[GpuView] = [
    GpuView(
        uuid=f"GPU-4f0e7a12-2c3d-4e5f-8a9b-0c1d2e3f4a5{number}",
        host="gpu01",
        number=number,
        model="NVIDIA H200 MIG 1g.18gb",
        memory_mib=143_771,
        simulated=False,
        mig=True,
        driver=None,
        state="available",
        reason="",
        job=1234,
        owner="adalovelace",
        since=datetime(2026, 1, 1, 12, tzinfo=timezone.utc),
        alive=True,
        temperature_celsius=61,
        utilization_percent=100,
        memory_used_mib=140_000,
        ecc_errors=0,
        outsiders=[],
        read_at=None,
    )
    for number in range(2)
]


@pytest.mark.parametrize("width", [80, 140])
def test_a_row_is_one_line_and_no_number_is_cut(width: int) -> None:
    console = Console(width=width)
    with console.capture() as table:
        console.print(gpu_table(VIEWS, width=width))
    head, *rows = table.get().splitlines()
    assert len(rows) == 2
    for words in ("gpu01:1", "H200 MIG", "in use", "adalove", " 1234 ", "137/140", "100 %", "61 °C"):
        assert words in rows[1]
    assert ("GPU-4f0e7a12 " in rows[1]) is ("UUID" in head) is (width > 100)
