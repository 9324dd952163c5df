"""What is made of NVML's answers, which are played: few machines that test have a GPU. Processes are real."""

import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service.domain.gpus import Gpu, Outsider, Reading
from service.errors import NoRealGpus
from service.settings import Settings, load_settings
from workers.gpus.inventory import get_gpus
from workers.gpus.memory import read_used_mib
from workers.gpus.outsiders import GpuUser
from workers.gpus.readings import GpuReadings

MIB = 1024 * 1024
NOWHERE = 2**22 + 1  # above the largest number that Linux gives a process
ME = pwd.getpwuid(os.getuid()).pw_name
Answers = Mapping[str, Any]


class PlayedError(Exception):
    """What NVML raises for a question that a device does not support, or when it cannot work at all."""

    def __init__(self, words: str, value: int = 3) -> None:
        super().__init__(words)
        self.value = value


class PlayedNvml:
    """Answers for GPUs that are given as dictionaries; what one does not name, it does not support."""

    NVMLError = PlayedError
    nvmlMemory_v2, NVML_TEMPERATURE_GPU = 2, 0
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC = 1, 0

    def __init__(self, *gpus: Answers) -> None:
        self.gpus = gpus
        self.opened = 0
        self.reloading = False
        self.broken: PlayedError | None = None

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.broken
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.86.15"

    def nvmlDeviceGetCount(self) -> int:
        if self.reloading:
            raise PlayedError("Driver Not Loaded")
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> Answers:
        if self.gpus[number].get("lost"):
            raise PlayedError("GPU is lost")
        return self.gpus[number]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Answers:
        found = [gpu for gpu in self.gpus if gpu["uuid"] == uuid]
        if not found:
            raise PlayedError("Not Found")
        return found[0]

    def nvmlDeviceGetMemoryInfo(self, handle: Answers, version: int | None = None) -> Any:
        used = self._ask(handle, "taken" if version else "used")
        return SimpleNamespace(total=handle["memory"] * MIB, used=used * MIB)

    def nvmlDeviceGetUtilizationRates(self, handle: Answers) -> Any:
        return SimpleNamespace(gpu=self._ask(handle, "utilization"), memory=1)

    def nvmlDeviceGetTemperature(self, handle: Answers, _sensor: int) -> Any:
        return self._ask(handle, "temperature")

    def nvmlDeviceGetTotalEccErrors(self, handle: Answers, _kind: int, _counter: int) -> Any:
        return self._ask(handle, "ecc")

    def nvmlDeviceGetUUID(self, handle: Answers) -> Any:
        return handle["uuid"]

    def nvmlDeviceGetName(self, handle: Answers) -> Any:
        return handle["name"]

    def nvmlDeviceGetMinorNumber(self, handle: Answers) -> Any:
        return self._ask(handle, "minor")

    def nvmlDeviceGetMigMode(self, handle: Answers) -> Any:
        return [int("instances" in self._ask(handle, "mig")), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, _handle: Answers) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Answers, place: int) -> Any:
        instances = handle["mig"]["instances"]
        if place not in instances:
            raise PlayedError("Not Found")
        return instances[place]

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Answers) -> Any:
        return [_process(*words) for words in self._ask(handle, "compute")]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: Answers) -> Any:
        return [_process(*words) for words in self._ask(handle, "graphics")]

    def _ask(self, handle: Answers, name: str) -> Any:
        if name not in handle:
            raise PlayedError("Not Supported")
        return handle[name]


def _process(pid: int, mib: int | None) -> Any:
    return SimpleNamespace(pid=pid, usedGpuMemory=None if mib is None else mib * MIB)


def gpu(**answers: Any) -> Answers:
    """A GPU that supports nothing more than it must."""
    return {"uuid": "GPU-1", "name": "NVIDIA H200", "memory": 143_771, "used": 700, **answers}


def read(*gpus: Answers, trainers: Sequence[GpuUser] = ()) -> list[Reading]:
    return list(GpuReadings(PlayedNvml(*gpus)).read(lambda: trainers).values())


def outsiders(trainers: Sequence[GpuUser] = (), **answers: Any) -> tuple[Outsider, ...]:
    return read(gpu(**answers), trainers=trainers)[0].outsiders


@pytest.fixture
def stranger(start_stranger: Callable[[], int]) -> int:
    return start_stranger()


def test_gpus_are_found_with_all_that_is_known_of_them(tmp_path: Path) -> None:
    nvml = PlayedNvml(gpu(), gpu(uuid="GPU-2", lost=True), gpu(uuid="GPU-3"))
    settings = load_settings({"CNNCTL_HOME": str(tmp_path), "CNNCTL_HOST": "gpu01"})
    first, second = get_gpus(settings, had_real=False, nvml=nvml)
    assert (first.uuid, first.name, first.model, first.driver) == (
        *("GPU-1", "gpu01:0", "NVIDIA H200"),
        "570.86.15",
    )
    assert (first.memory_mib, first.mig, first.simulated) == (143_771, False, False)
    assert second.uuid == "GPU-3"  # one that has fallen off the bus is left out
    assert nvml.opened == 0


def test_a_partitioned_gpu_is_its_instances(tmp_path: Path) -> None:
    part = {"uuid": "MIG-a", "name": "NVIDIA H200 MIG 1g.18gb", "memory": 16_384, "used": 1}
    split = gpu(mig={"instances": {0: part, 4: {**part, "uuid": "MIG-b"}}})
    whole = gpu(uuid="GPU-2", mig={})
    found = get_gpus(settings_of(tmp_path), had_real=True, nvml=PlayedNvml(split, whole))
    assert [(one.uuid, one.number, one.mig) for one in found] == [
        ("MIG-a", 0, True),
        ("MIG-b", 1, True),
        ("GPU-2", 2, False),
    ]


def settings_of(home: Path, gpus: str = "auto") -> Settings:
    return load_settings({"CNNCTL_HOME": str(home), "CNNCTL_HOST": "gpu01", "CNNCTL_GPUS": gpus})


def nvml_that_says(words: str, value: int) -> PlayedNvml:
    nvml = PlayedNvml(gpu())
    nvml.broken = PlayedError(words, value)
    return nvml


NO_LIBRARY = nvml_that_says("NVML Shared Library Not Found", 12)
NO_DRIVER = nvml_that_says("Driver Not Loaded", 9)
MISMATCH = nvml_that_says("RM has detected an NVML/RM version mismatch.", 18)
NOTHING, ONE_LOST = PlayedNvml(), PlayedNvml(gpu(lost=True))


def test_simulated_gpus_have_a_part_of_the_hosts_memory_each(tmp_path: Path) -> None:
    found = get_gpus(settings_of(tmp_path, "sim:4"), had_real=True, nvml=PlayedNvml(gpu()))
    assert len(found) == 4
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB
    assert {one.memory_mib for one in found} == {whole // 4}
    assert {(one.driver, one.simulated) for one in found} == {(None, True)}


def test_a_machine_without_nvml_that_never_had_gpus_simulates_two(tmp_path: Path) -> None:
    found = get_gpus(settings_of(tmp_path), had_real=False, nvml=NO_LIBRARY)
    assert [one.simulated for one in found] == [True, True]


@pytest.mark.parametrize(
    ("nvml", "gpus", "had_real", "words"),
    [
        (MISMATCH, "auto", False, r"version mismatch\. See"),
        (NO_DRIVER, "auto", False, "Driver Not Loaded"),
        (NOTHING, "auto", False, "finds no usable GPU"),
        (ONE_LOST, "auto", False, "finds no usable GPU"),
        (NO_LIBRARY, "auto", True, "Library Not Found"),
        (NO_LIBRARY, "required", False, "Library Not Found"),
        (MISMATCH, "required", True, "version mismatch"),
    ],
)
def test_gpus_that_cannot_be_used_are_not_simulated_by_accident(
    tmp_path: Path, *, nvml: PlayedNvml, gpus: str, had_real: bool, words: str
) -> None:
    with pytest.raises(NoRealGpus, match=rf"{words}.*CNNCTL_GPUS=sim:2") as refused:
        get_gpus(settings_of(tmp_path, gpus), had_real=had_real, nvml=nvml)
    assert ("had GPUs before under the name gpu01" in str(refused.value)) is had_real
    assert nvml.opened == 0


def test_real_gpus_are_used_where_they_are_required(tmp_path: Path) -> None:
    (found,) = get_gpus(settings_of(tmp_path, "required"), had_real=False, nvml=PlayedNvml(gpu()))
    assert found.uuid == "GPU-1"


def test_what_a_device_measures_is_read_and_what_it_does_not_support_is_none() -> None:
    full, bare = read(
        gpu(taken=90, utilization=97, temperature=61, ecc=2, compute=[], graphics=[]), gpu(uuid="GPU-2")
    )
    assert full == Reading(memory_used_mib=90, utilization_percent=97, temperature_celsius=61, ecc_errors=2)
    assert bare == Reading(memory_used_mib=700)


def test_a_process_that_computes_is_an_outsider_with_its_user(stranger: int) -> None:
    (found,) = outsiders(compute=[(stranger, 1200)])
    assert (found.pid, found.user, found.memory_mib) == (stranger, ME, 1200)
    assert str(found).startswith(f"{ME}'s python")
    assert outsiders(compute=[(stranger, None)])[0].memory_mib is None


def test_a_display_server_with_a_few_mib_is_none(stranger: int) -> None:
    assert outsiders(graphics=[(stranger, 4)]) == ()
    assert len(outsiders(graphics=[(stranger, 900)])) == 1
    assert len(outsiders(graphics=[(stranger, 4)], compute=[(stranger, 4)])) == 1


def test_this_worker_its_children_and_a_trainer_that_it_adopted_are_none(stranger: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        adopted = [GpuUser(pid=stranger, run_dir="/nowhere", gpu_uuids=("GPU-9",))]
        uses = [(os.getpid(), 1), (child.pid, 500), (stranger, 500)]
        assert outsiders(adopted, compute=uses) == ()
        assert [one.pid for one in outsiders(compute=uses)] == [stranger]
        assert child.stdin
        child.stdin.close()


def test_a_number_from_outside_this_container_is_an_outsider_unless_a_job_holds_the_gpu() -> None:
    assert outsiders(compute=[(NOWHERE, 800)]) == (Outsider(pid=NOWHERE, memory_mib=800),)
    holder = [GpuUser(pid=None, run_dir="/nowhere", gpu_uuids=("GPU-1",))]
    assert outsiders(holder, compute=[(NOWHERE, 800)]) == ()


def test_memory_that_is_in_use_though_nvml_names_nobody_has_an_outsider_who_cannot_be_seen() -> None:
    assert outsiders(taken=90) == ()
    assert outsiders(taken=900) == (Outsider(memory_mib=900),)
    assert "cannot be seen" in str(outsiders(taken=900)[0])
    holder = [GpuUser(pid=None, run_dir="/nowhere", gpu_uuids=("GPU-1",))]
    assert outsiders(holder, taken=900) == ()


def test_memory_of_outsiders_does_not_count_as_kept_by_the_last_trainer(stranger: int) -> None:
    one = Gpu(uuid="GPU-1", host_name="gpu01", number=0, model="H200", memory_mib=9, simulated=False)
    assert read_used_mib([one], PlayedNvml(gpu())) == {"GPU-1": 700}
    assert read_used_mib([one], PlayedNvml(gpu(used=1900, compute=[(stranger, 1200)]))) == {"GPU-1": 700}
    assert read_used_mib([one], PlayedNvml(gpu(used=1900, compute=[(NOWHERE, 1200)]))) == {"GPU-1": 1900}
    assert read_used_mib([one], PlayedNvml(gpu(uuid="GPU-2"))) == {}


def test_a_driver_that_stopped_answering_is_opened_anew() -> None:
    answers = dict(gpu())
    nvml = PlayedNvml(answers)
    readings = GpuReadings(nvml)
    assert readings.read(list) == readings.read(list) == {"GPU-1": Reading(memory_used_mib=700)}
    assert nvml.opened == 1
    del answers["used"]
    assert readings.read(list) == {"GPU-1": Reading()}
    assert nvml.opened == 0
    nvml.gpus = (gpu(uuid="GPU-2"),)
    assert set(readings.read(list)) == {"GPU-2"}
    assert nvml.opened == 1


def test_a_driver_that_finds_no_gpu_or_is_being_reloaded_is_opened_anew() -> None:
    nvml = PlayedNvml(gpu(lost=True))
    readings = GpuReadings(nvml)
    assert readings.read(list) == {}
    assert nvml.opened == 0
    nvml.reloading = True
    assert readings.read(list) == {}
    assert nvml.opened == 0
    nvml.reloading, nvml.gpus = False, (gpu(),)
    assert set(readings.read(list)) == {"GPU-1"}
    assert nvml.opened == 1
