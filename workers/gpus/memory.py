"""Checks that a GPU's memory is freed after a trainer; otherwise the next trainer would fail."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pynvml

from service.domain.gpus import Gpu
from service.process import find_start
from workers.gpus.nvml import MIB, list_handle_uses
from workers.process_tree import KILL_SECONDS, ProcessTree

SLACK_MIB = 256  # the memory that a driver reserves varies this much
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1

Used = Mapping[str, int]


def read_used_mib(gpus: Sequence[Gpu], nvml: Any = pynvml) -> Used:
    """Each GPU's memory in use, in MiB by UUID; GPUs that are simulated or do not respond are left out.

    Memory of running processes that NVML names does not count. After a trainer is proven gone, these are
    outsiders, which do not put a GPU out of use: it gets no job while they are there.
    """
    real = [gpu.uuid for gpu in gpus if not gpu.simulated]
    if not real:
        return {}
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return {}
    try:
        read = {uuid: _used_mib(uuid, nvml) for uuid in real}
        return {uuid: mib for uuid, mib in read.items() if mib is not None}
    finally:
        nvml.nvmlShutdown()


def prove_free(
    tree: ProcessTree, gpus: Sequence[Gpu], before: Used, *, kill_seconds: float = KILL_SECONDS
) -> Mapping[str, str]:
    """Kill a trainer and wait for its memory; return the GPUs that are not free of both, with the reasons."""
    if not tree.kill(timeout_seconds=kill_seconds):
        return dict.fromkeys([gpu.uuid for gpu in gpus], explain_still_there(tree))
    return explain_kept_memory(gpus, before)


def explain_still_there(tree: ProcessTree) -> str:
    """Explain why the GPUs of a trainer that cannot be killed are quarantined."""
    pids = ", ".join(map(str, tree.members()))
    return (
        "a process of its last trainer cannot be killed, as happens when the driver hangs: "
        f"{pids}. "
        "When the process is gone, after a reboot at the latest, run: cnnctl gpus release"
    )


def explain_kept_memory(
    gpus: Sequence[Gpu],
    before: Used,
    *,
    read: Callable[[Sequence[Gpu]], Used] = read_used_mib,
    wait_seconds: float = WAIT_SECONDS,
) -> Mapping[str, str]:
    """Wait until no GPU has more memory in use than before; return those that still have, with reasons.

    GPUs that are not in `before`, such as those of an adopted trainer, are not checked.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        now = read(gpus)
        kept = {uuid: now[uuid] - before[uuid] for uuid in now.keys() & before.keys()}
        too_much = {uuid: mib for uuid, mib in kept.items() if mib > SLACK_MIB}
        if not too_much or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    silent = dict.fromkeys(before.keys() - now.keys(), "NVML can no longer read its memory: see nvidia-smi")
    return silent | {
        uuid: f"{mib:,} MiB of its memory were not freed after its last trainer ended: find the process "
        "that holds them with nvidia-smi, or reset the GPU if there is none"
        for uuid, mib in too_much.items()
    }


def _used_mib(uuid: str, nvml: Any) -> int | None:
    try:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        used = int(nvml.nvmlDeviceGetMemoryInfo(handle).used) // MIB
    except nvml.NVMLError:
        return None
    return used - sum(use.memory_mib or 0 for use in list_handle_uses(handle, nvml) if find_start(use.pid))
