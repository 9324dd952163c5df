"""How late people's pages hear of what is done, and what that costs: many clients on the stream of events."""

import selectors
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil

from service.domain.people import Actor
from service.domain.states import Action, Subject
from service.store.people import audit
from service.store.transaction import Store, open_store
from tests.api.conftest import Api
from tests.benchmarks.databases import database_urls
from tests.benchmarks.figures import Figure
from tests.stack import cpu_seconds

CLIENTS = 200
SECONDS = 120.0  # flat memory over ten minutes is asked for; make bench has not so long
PAUSE_SECONDS = 0.2  # between two acts: a job has about five, so that is a job a second
SETTLE_SECONDS = 3.0
MARK = b'"detail": "'
BENCH = Actor(name="bench")


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cnnctl-") as folder, database_urls() as urls:
        api = Api(Path(folder), urls["postgresql"])
        api.environment["CNNCTL_API_RATE"] = "100000"
        api.start()
        try:
            with closing(open_store(urls["postgresql"])) as store:
                yield from _measure(api, store)
        finally:
            api.stop()


def _measure(api: Api, store: Store) -> Iterator[Figure]:
    assert api.process is not None
    pid = api.process.pid
    with _listen(api) as late:
        _act(store, seconds=SETTLE_SECONDS)
        late.clear()
        memory, used = _memory_mib(pid), cpu_seconds(pid)
        acts = _act(store, seconds=SECONDS)
        used, grown = cpu_seconds(pid) - used, _memory_mib(pid) - memory
        time.sleep(SETTLE_SECONDS)
        assert len(late) == acts * CLIENTS, f"{len(late)} of {acts} acts for {CLIENTS} clients were told"
    p95 = 1000 * statistics.quantiles(late, n=20)[-1]
    share = 100 * used / SECONDS
    name = f"stream_{CLIENTS}_clients"
    yield Figure(name=f"{name}_p95", ratio=p95, unit="ms", goal="under 500")
    goal = f"under 10, {acts / SECONDS:.1f} events a second"
    yield Figure(name=f"{name}_cpu", ratio=share, unit="% of a core", goal=goal)
    goal = f"none, in {SECONDS:g} s after {memory:.0f} MiB"
    yield Figure(name=f"{name}_memory_growth", ratio=grown, unit="MiB", goal=goal)


@contextmanager
def _listen(api: Api) -> Iterator[list[float]]:
    """Open all streams; how late each event came to each client, in seconds."""
    late: list[float] = []
    stop = threading.Event()
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for _ in range(CLIENTS):
            client = opened.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(api.socket))
            client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            selector.register(client, selectors.EVENT_READ)
        reader = threading.Thread(target=_read, args=(selector, late, stop))
        reader.start()
        yield late
        stop.set()
        reader.join()


def _read(selector: selectors.BaseSelector, late: list[float], stop: threading.Event) -> None:
    while not stop.is_set():
        for key, _ in selector.select(timeout=0.2):
            assert isinstance(key.fileobj, socket.socket)
            text = key.fileobj.recv(65536)
            late += [time.time() - said_at for said_at in _find_moments(text)]


def _find_moments(text: bytes) -> Sequence[float]:
    """When the acts were done that a part of a stream tells of; one of ours is never cut in two."""
    return [float(part.partition(b'"')[0]) for part in text.split(MARK)[1:]]


def _act(store: Store, *, seconds: float) -> int:
    """Do something every now and then, and say when in its entry; how often."""
    acts, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with store.transaction() as tx:
            audit.add_entry_about(
                tx, Subject.USER, "ada", Action.CHANGED, actor=BENCH, detail=f"{time.time()}"
            )
        acts += 1
        time.sleep(PAUSE_SECONDS)
    return acts


def _memory_mib(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / 1024**2
