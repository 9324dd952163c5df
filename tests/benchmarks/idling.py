"""What the embedded stack costs while there is nothing to do: time of a core, and memory."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from service.store.fleet import hosts
from service.store.transaction import open_store
from tests.benchmarks.figures import Figure
from tests.servers import wait_until
from tests.stack import Stack, cpu_seconds

SECONDS, START_SECONDS = 20.0, 120.0
SETTLE_SECONDS = 3.0


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        stack.cnnctl("db", "upgrade")
        for name in ("scheduler", "worker"):
            stack.start(name)
        try:
            _wait_until_up(stack)
            yield from _measure(_processes(stack))
        finally:
            stack.close()


def _wait_until_up(stack: Stack) -> None:
    store = open_store(f"sqlite:///{stack.home / 'cnnctl.db'}")

    def is_registered() -> bool:
        with store.reading() as tx:
            return bool(hosts.list_hosts(tx))

    wait_until(is_registered, seconds=START_SECONDS)
    store.close()
    time.sleep(SETTLE_SECONDS)


def _processes(stack: Stack) -> dict[str, int]:
    """The processes of the stack by name, the worker's children with it."""
    found = {name: process.pid for name, process in stack.processes.items()}
    children = psutil.Process(found["worker"]).children()
    return {**found, **{_child_name(child): child.pid for child in children}}


def _child_name(child: psutil.Process) -> str:
    words = " ".join(child.cmdline())
    return next((kind for kind in ("forkserver", "resource_tracker") if kind in words), f"child_{child.pid}")


def _measure(pids: dict[str, int]) -> Iterator[Figure]:
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(SECONDS)
    percent = {name: (cpu_seconds(pid) - before[name]) / SECONDS * 100 for name, pid in pids.items()}
    for name, pid in pids.items():
        yield Figure(name=f"idle_{name}_cpu", ratio=percent[name], unit="% of a core", goal="see the sum")
        yield Figure(name=f"idle_{name}_memory", ratio=_memory_mib(pid), unit="MiB", goal="as it is")
    yield Figure(name="idle_stack_cpu", ratio=sum(percent.values()), unit="% of a core", goal="at most 1")


def _memory_mib(pid: int) -> float:
    """The process's own memory and its share of what it shares."""
    return float(psutil.Process(pid).memory_full_info().pss) / 1024**2
