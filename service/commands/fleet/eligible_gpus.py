"""Finds the GPUs that a job may run on, free or not, and which of them limits its memory."""

import math
from collections import defaultdict
from collections.abc import Sequence

from service.domain.gpus import Gpu, is_model
from service.domain.scheduling_options import SchedulingOptions
from service.store.fleet import hosts
from service.store.transaction import Transaction


def list_eligible_gpus(tx: Transaction, scheduling: SchedulingOptions, *, gpus: int) -> Sequence[Gpu]:
    """The GPUs that a job may run on: MIG instances take jobs on one GPU only."""
    return [
        gpu
        for gpu in hosts.list_gpus(tx)
        if scheduling.host_name in (None, gpu.host_name)
        and is_model(gpu.model, scheduling.gpu_model or "")
        and not (gpu.mig and gpus > 1)
    ]


def find_limit(devices: Sequence[Gpu], *, gpus: int, hosts: int = 1) -> Gpu | None:
    """The smallest of the GPUs that a job would get if it got those with the most memory; None: too few."""
    by_host = defaultdict(list)
    for gpu in devices:
        by_host[gpu.host_name].append(gpu)
    each = gpus // hosts
    smallest = [
        sorted(own, key=capacity_mib, reverse=True)[each - 1] for own in by_host.values() if len(own) >= each
    ]
    smallest.sort(key=capacity_mib, reverse=True)
    return smallest[hosts - 1] if len(smallest) >= hosts else None


def capacity_mib(gpu: Gpu) -> float:
    """A GPU's memory; infinite if it is unknown, and for a simulated GPU, which shares the host's."""
    return math.inf if gpu.simulated or not gpu.memory_mib else gpu.memory_mib
