"""When a GPU counts as given back. What NVML answers is played, since few machines that test have a GPU."""

from collections.abc import Iterator, Sequence

from service.domain.gpus import Gpu
from workers.gpus.memory import Used, explain_kept_memory, read_used_mib

GPU = Gpu(uuid="GPU-1", host_name="gpu01", number=0, model="A100", memory_mib=40960, simulated=False)


class Readings:
    """Answers one reading after the other, the last one for ever."""

    def __init__(self, *mib: int) -> None:
        self._left: Iterator[int] = iter(mib)
        self._last = 0

    def __call__(self, _gpus: Sequence[Gpu]) -> Used:
        self._last = next(self._left, self._last)
        return {GPU.uuid: self._last}


def test_memory_that_comes_back_late_is_waited_for() -> None:
    assert explain_kept_memory([GPU], {GPU.uuid: 500}, read=Readings(9000, 9000, 600)) == {}


def test_memory_that_stays_is_named_with_its_size() -> None:
    kept = explain_kept_memory([GPU], {GPU.uuid: 500}, read=Readings(9000, 3620), wait_seconds=0.2)
    assert kept[GPU.uuid].startswith("3,120 MiB of its memory were not freed")


def test_what_was_not_read_before_is_not_judged() -> None:
    assert explain_kept_memory([GPU], {}, read=Readings(9000)) == {}


def test_a_gpu_that_answers_no_more_is_named() -> None:
    kept = explain_kept_memory([GPU], {GPU.uuid: 500}, read=lambda _: {})
    assert kept == {GPU.uuid: "NVML can no longer read its memory: see nvidia-smi"}


def test_a_machine_without_nvml_has_no_readings() -> None:
    simulated = Gpu(uuid="sim-1", host_name="gpu01", number=0, model="sim", memory_mib=0, simulated=True)
    assert read_used_mib([simulated]) == {}
