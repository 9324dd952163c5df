"""What NVML answers of a real GPU. Skipped where there is none; docs/gpu.md has what was measured."""

import getpass
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pynvml
import pytest

from service.domain.gpus import Gpu, Reading
from service.settings import load_settings
from tests.gpu_program import take_memory
from workers.gpus.inventory import get_gpus
from workers.gpus.memory import explain_kept_memory, read_used_mib
from workers.gpus.outsiders import GpuUser
from workers.gpus.readings import GpuReadings

TAKEN_MIB = 2048


def _has_gpu() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return True


pytestmark = pytest.mark.skipif(not _has_gpu(), reason="this machine has no GPU that NVML knows")


@pytest.fixture
def gpus(tmp_path: Path) -> Sequence[Gpu]:
    return get_gpus(load_settings({"CNNCTL_HOME": str(tmp_path)}), had_real=False)


@pytest.fixture
def readings() -> Iterator[GpuReadings]:
    readings = GpuReadings()
    yield readings
    readings._close()


def _read(readings: GpuReadings, gpu: Gpu, *trainers: GpuUser) -> Reading:
    return readings.read(lambda: trainers)[gpu.uuid]


def test_the_inventory_names_every_gpu_with_its_memory_and_driver(gpus: Sequence[Gpu]) -> None:
    question = [
        "nvidia-smi",
        "--query-gpu=uuid,name,memory.total,driver_version",
        "--format=csv,noheader,nounits",
    ]
    lines = subprocess.run(question, capture_output=True, text=True, check=True).stdout.splitlines()
    told = [tuple(line.split(", ")) for line in lines]
    assert [(gpu.uuid, gpu.model, str(gpu.memory_mib), gpu.driver) for gpu in gpus if not gpu.mig] == told
    assert not any(gpu.simulated for gpu in gpus)


def test_an_idle_gpu_has_its_measurements_and_no_outsiders(
    gpus: Sequence[Gpu], readings: GpuReadings
) -> None:
    for gpu in gpus:
        reading = _read(readings, gpu)
        assert 0 < (reading.temperature_celsius or 0) < 120
        assert reading.utilization_percent is not None
        assert 0 <= (reading.memory_used_mib or 0) <= gpu.memory_mib
        assert reading.outsiders == ()


def test_a_strangers_process_is_named_with_its_user_and_memory(
    gpus: Sequence[Gpu], readings: GpuReadings
) -> None:
    with take_memory(TAKEN_MIB) as pid:
        (outsider,) = _read(readings, gpus[0]).outsiders
        assert outsider.pid == pid
        assert outsider.user == getpass.getuser()
        assert TAKEN_MIB <= (outsider.memory_mib or 0) < TAKEN_MIB + 2048
    assert _read(readings, gpus[0]).outsiders == ()


def test_a_context_alone_is_seen(gpus: Sequence[Gpu], readings: GpuReadings) -> None:
    with take_memory(0) as pid:
        assert [outsider.pid for outsider in _read(readings, gpus[0]).outsiders] == [pid]


def test_a_trainer_of_ours_is_no_outsider(gpus: Sequence[Gpu], readings: GpuReadings) -> None:
    with take_memory(TAKEN_MIB) as pid:
        trainer = GpuUser(pid=pid, run_dir="/nowhere", gpu_uuids=(gpus[0].uuid,))
        assert _read(readings, gpus[0], trainer).outsiders == ()


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_a_stranger_is_seen_from_within_a_container(gpus: Sequence[Gpu]) -> None:
    program = (
        "from workers.gpus.readings import GpuReadings\n"
        "for reading in GpuReadings().read(lambda: ()).values():\n"
        "    print(len(reading.outsiders))"
    )
    inside = ["unshare", "--fork", "--pid", "--mount-proc", sys.executable, "-c", program]
    with take_memory(TAKEN_MIB):
        done = subprocess.run(inside, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", *["0"] * (len(gpus) - 1)]


def test_the_memory_of_a_killed_program_comes_back(gpus: Sequence[Gpu]) -> None:
    before = read_used_mib(gpus)
    with take_memory(TAKEN_MIB) as pid:
        os.kill(pid, signal.SIGKILL)
        assert explain_kept_memory(gpus, before) == {}


def test_memory_that_somebody_keeps_is_named(gpus: Sequence[Gpu]) -> None:
    """Where NVML does not name who keeps it, as in containers; here the program is simply not subtracted."""
    before = read_used_mib(gpus)
    with take_memory(TAKEN_MIB):
        kept = explain_kept_memory(gpus, before, read=_read_all_used, wait_seconds=0.5)
        assert "did not come back" in kept[gpus[0].uuid]


def _read_all_used(gpus: Sequence[Gpu]) -> dict[str, int]:
    pynvml.nvmlInit()
    try:
        handles = {gpu.uuid: pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid) for gpu in gpus}
        return {uuid: pynvml.nvmlDeviceGetMemoryInfo(handle).used >> 20 for uuid, handle in handles.items()}
    finally:
        pynvml.nvmlShutdown()
