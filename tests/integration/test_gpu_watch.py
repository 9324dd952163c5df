"""Readings of simulated GPUs, from real processes, and a watch whose driver hangs."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.gpus import Gpu
from workers.gpus.file_holders import list_file_holders
from workers.gpus.inventory import simulate_gpus
from workers.gpus.outsiders import GpuUser, list_strangers
from workers.gpus.simulated_readings import SimulatedReadings
from workers.gpus.watch import GpuWatch

GPUS = simulate_gpus("gpu01", 2)
HOLD = "import sys; held = open(sys.argv[1]); print('ready', flush=True); input()"
WORK = "import sys, time; print('ready', flush=True); input()\nwhile True: pass"

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run() -> Iterator[Run]:
    """Start a program in a session of its own and wait until it is ready; it ends with its input."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *words: str, **options: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_who_holds_a_file_is_found_until_it_is_closed(tmp_path: Path, run: Run) -> None:
    held, other = tmp_path / "held", tmp_path / "other"
    held.touch()
    holder = run(HOLD, str(held))
    paths = {str(held), str(other)}
    assert list_file_holders(paths) == {str(held): [holder.pid]}
    holder.communicate("\n")
    assert list_file_holders(paths) == {}


def test_a_process_is_no_stranger_to_its_own_trainer_or_worker(tmp_path: Path, run: Run) -> None:
    process = run("import sys; print('ready', flush=True); input()")
    log = run(
        "import sys; log = open(sys.argv[1], 'a'); print('ready', flush=True); input()",
        str(tmp_path / "events.jsonl"),
    )

    def strangers(pid: int, *trainers: GpuUser, worker_pid: int = 2**22 + 1) -> list[int]:
        return list(list_strangers([pid], trainers, worker_pid=worker_pid))

    assert strangers(process.pid) == [process.pid]
    assert strangers(process.pid, worker_pid=os.getpid()) == []
    assert strangers(process.pid, GpuUser(pid=process.pid, run_dir="/x", gpu_uuids=())) == []
    assert strangers(log.pid, GpuUser(pid=None, run_dir=str(tmp_path), gpu_uuids=())) == []
    process.communicate("\n")
    assert strangers(process.pid) == []  # it has ended


def test_who_holds_the_device_file_of_a_simulated_gpu_is_its_outsider(
    tmp_path: Path, run: Run, start_stranger: Callable[..., int]
) -> None:
    readings = SimulatedReadings(GPUS, tmp_path, threads_per_gpu=1)
    assert [reading.outsiders for reading in readings.read(list).values()] == [(), ()]
    path = tmp_path / GPUS[1].uuid
    path.touch()
    assert not any(reading.outsiders for reading in readings.read(list).values())
    run(HOLD, str(path))  # a child of this process, as if this were its worker
    stranger = start_stranger(path)
    first, second = readings.read(list).values()
    assert first.outsiders == ()
    assert [outsider.pid for outsider in second.outsiders] == [stranger]


def test_a_simulated_gpu_uses_what_its_trainer_does(tmp_path: Path, run: Run) -> None:
    trainer = run(WORK)
    readings = SimulatedReadings(GPUS, tmp_path, threads_per_gpu=1)
    mine = [GpuUser(pid=trainer.pid, run_dir="/x", gpu_uuids=(GPUS[0].uuid,))]
    first = readings.read(lambda: mine)[GPUS[0].uuid]
    assert first.utilization_percent is None  # one look says nothing
    assert first.memory_used_mib is not None
    assert 1 <= first.memory_used_mib < 200
    assert trainer.stdin
    trainer.stdin.write("\n")
    trainer.stdin.flush()
    while not (percent := readings.read(lambda: mine)[GPUS[0].uuid].utilization_percent):
        pass
    assert 0 < percent <= 100
    idle = readings.read(list)[GPUS[0].uuid]
    assert (idle.memory_used_mib, idle.utilization_percent) == (0, 0)
    assert (idle.temperature_celsius, idle.ecc_errors) == (None, None)


class HangingNvml:
    """A driver that does not come back until it is told to."""

    NVMLError = RuntimeError

    def __init__(self) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()

    def nvmlInit(self) -> None:
        self.asked.set()
        self.answer.wait(60)
        raise RuntimeError("Unknown Error")


def test_a_driver_that_hangs_keeps_nobody_waiting() -> None:
    nvml, stopped = HangingNvml(), threading.Event()
    real = Gpu(uuid="GPU-1", host_name="gpu01", number=0, model="H200", memory_mib=9, simulated=False)
    watch = GpuWatch([real], Path("/nowhere"), list, threads_per_gpu=1, nvml=nvml)
    thread = threading.Thread(target=watch.run, args=(stopped,))
    thread.start()
    assert nvml.asked.wait(60)
    assert watch.take() == {}
    stopped.set()
    nvml.answer.set()
    thread.join(60)
    assert watch.take() == {}


def test_a_reading_is_taken_once(tmp_path: Path) -> None:
    watch = GpuWatch(GPUS, tmp_path, list, threads_per_gpu=1)
    watch.read()
    assert watch.has_read.is_set()
    assert set(watch.take()) == {gpu.uuid for gpu in GPUS}
    assert watch.take() == {}
