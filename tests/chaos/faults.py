"""The faults: each is done to a live stack, and undoes what the stack cannot repair itself."""

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
from redis import Redis
from redis.exceptions import RedisError

from service.dispatch.dispatcher import queue_name
from service.domain.run_folder import CHECKPOINTS_DIR, TENSORS_FILE
from service.process import is_running
from tests.chaos.live_stack import LEASE_SECONDS, PROCESSES, RECIPES, LiveStack

HOUR = 3600.0
MALFORMED = [
    b"[]",
    b"null",
    b"5",
    b"***",
    b"\xff",
    b"{}",
    b'{"headers": {"task": "run_attempt"}}',
    b"[" * 20_000,
]

Fault = Callable[[LiveStack, random.Random], None]


def kill_trainer(live: LiveStack, chance: random.Random) -> None:
    signal_trainer(live, chance, signal.SIGKILL)


def freeze_trainer(live: LiveStack, chance: random.Random) -> None:
    """A trainer that answers no signal but the last one, for a while."""
    pid = signal_trainer(live, chance, signal.SIGSTOP)
    time.sleep(chance.uniform(0, 3))
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def kill_warm_parent(live: LiveStack, _chance: random.Random) -> None:
    """The parent of all trainers goes; they stay."""
    worker = live.stack.processes["worker"].pid
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(worker).children():
            if "multiprocessing.forkserver" in " ".join(child.cmdline()):
                child.kill()


def kill_worker(live: LiveStack, chance: random.Random) -> None:
    """Sometimes it comes back within the lease and adopts its trainers, sometimes later."""
    live.stack.stop("worker", signal.SIGKILL)
    time.sleep(chance.uniform(0, 1.5 * LEASE_SECONDS))
    live.restart("worker")


def stop_worker(live: LiveStack, chance: random.Random) -> None:
    live.stack.stop("worker")
    live.restart("worker")


def freeze_worker(live: LiveStack, chance: random.Random) -> None:
    """For longer than the lease, or not quite."""
    live.stack.signal("worker", signal.SIGSTOP)
    time.sleep(chance.uniform(0.5, 2 * LEASE_SECONDS))
    live.stack.signal("worker", signal.SIGCONT)


def kill_scheduler(live: LiveStack, chance: random.Random) -> None:
    live.stack.stop("scheduler", signal.SIGKILL)
    time.sleep(chance.uniform(0, 2))
    live.restart("scheduler")


def add_scheduler(live: LiveStack, chance: random.Random) -> None:
    """A second scheduler for a while, and then one of the two is killed."""
    live.stack.start("second scheduler", program="scheduler")
    time.sleep(chance.uniform(1, 4))
    live.stack.stop(chance.choice(["scheduler", "second scheduler"]), signal.SIGKILL)
    if "second scheduler" in live.stack.processes:
        live.stack.processes["scheduler"] = live.stack.processes.pop("second scheduler")


def kill_api(live: LiveStack, chance: random.Random) -> None:
    """In the middle of what people ask of it."""
    end_api(live, chance, signal.SIGKILL)


def stop_api(live: LiveStack, chance: random.Random) -> None:
    end_api(live, chance, signal.SIGTERM)


def end_api(live: LiveStack, chance: random.Random, number: signal.Signals) -> None:
    """End it while two people submit, and start it again after a while."""
    with ThreadPoolExecutor(2) as pool:
        people = [pool.submit(live.submit, chance.choice(RECIPES)) for _ in range(2)]
        time.sleep(chance.uniform(0, 0.1))
        live.stack.stop("api", number)
        time.sleep(chance.uniform(0, 2))
        live.restart("api")
    for person in people:
        person.result()


def listen_without_reading(live: LiveStack, _chance: random.Random) -> None:
    """Somebody asks for all events there have been, reads none of them, and stays."""
    deaf = socket.socket(socket.AF_UNIX)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with suppress(OSError):  # it is being started
        deaf.connect(str(live.socket))
        deaf.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n\r\n")
    live.deaf.append(deaf)


def flush_broker(live: LiveStack, _chance: random.Random) -> None:
    """All messages are gone."""
    if live.redis is not None:
        with suppress(RedisError):
            Redis.from_url(live.redis.url).flushall()
    else:
        for message in (live.settings.broker_dir / "messages").glob("*"):
            message.unlink(missing_ok=True)


def kill_broker(live: LiveStack, chance: random.Random) -> None:
    """Redis is away for a while and has forgotten everything; files cannot be killed, only lost."""
    if live.redis is None:
        flush_broker(live, chance)
        return
    live.redis.kill()
    time.sleep(chance.uniform(0, 4))
    live.redis.start()


def put_malformed(live: LiveStack, chance: random.Random) -> None:
    """Somebody puts into the worker's queue what is no message."""
    queue = queue_name(live.settings.host_name)
    for raw in chance.sample(MALFORMED, k=2):
        if live.redis is not None:
            with suppress(RedisError):
                Redis.from_url(live.redis.url).lpush(queue, raw)
        else:
            (live.settings.broker_dir / "messages" / f"0_{chance.getrandbits(32)}.{queue}.msg").write_bytes(
                raw
            )


def fail_over(live: LiveStack, chance: random.Random) -> None:
    """Redis is another one's replica for a while, as during a failover."""
    assert live.redis is not None
    with suppress(RedisError):
        Redis.from_url(live.redis.url).replicaof("127.0.0.1", 1)
        time.sleep(chance.uniform(0, 4))
        Redis.from_url(live.redis.url).replicaof("NO", "ONE")


def kill_database(live: LiveStack, chance: random.Random) -> None:
    """It stays away for longer than the lease, or comes back at once."""
    assert live.postgres is not None
    live.postgres.kill()
    time.sleep(chance.uniform(0, 2 * LEASE_SECONDS))
    live.postgres.start()


def lock_database(live: LiveStack, chance: random.Random) -> None:
    """Somebody holds SQLite's only lock for a while."""
    with live.store.transaction():
        time.sleep(chance.uniform(0.5, LEASE_SECONDS))


def send_again(live: LiveStack, chance: random.Random) -> None:
    """Messages come twice, and long after their attempt has ended."""
    live.live_attempts()
    for attempt in chance.sample(live.old_attempts, k=min(4, len(live.old_attempts))):
        live.dispatcher.probe()
        live.dispatcher.send(attempt)
        live.dispatcher.send(attempt)


def jump_clock(live: LiveStack, chance: random.Random) -> None:
    live.clock.write_text(str(chance.choice([HOUR, -HOUR])))
    time.sleep(chance.uniform(0.5, 3))
    if chance.random() < 0.5:
        live.clock.write_text("0")


def reboot(live: LiveStack, chance: random.Random) -> None:
    """Everything of the host is killed at once, and comes back in any order."""
    trainers = [attempt.trainer_pid for attempt in live.live_attempts() if attempt.trainer_pid]
    for name in list(live.stack.processes):
        live.stack.stop(name, signal.SIGKILL)
    for pid in trainers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if live.redis is not None and live.postgres is not None:
        live.redis.kill()
        live.postgres.kill()
    time.sleep(chance.uniform(0, LEASE_SECONDS))
    for name in chance.sample(PROCESSES, k=chance.randint(0, len(PROCESSES))):  # before the servers, or after
        live.restart(name)
    live.heal()


def cancel_and_retry(live: LiveStack, chance: random.Random) -> None:
    if live.submitted:
        live.cancel_and_retry(chance.choice(list(live.submitted)))


def pause_and_resume(live: LiveStack, chance: random.Random) -> None:
    if live.submitted:
        live.pause_and_resume(chance.choice(list(live.submitted)[-6:]))


def preempt(live: LiveStack, chance: random.Random) -> None:
    """Of all that run, one gives way, sometimes twice in a row."""
    for _ in range(chance.choice([1, 2])):
        running = live.live_attempts()
        if running:
            live.preempt(chance.choice(running).job_id)


def damage_checkpoint(live: LiveStack, chance: random.Random) -> None:
    """A bit of a checkpoint on disk flips, or its end is missing."""
    found = sorted(live.settings.runs_dir.glob(f"*/*/{CHECKPOINTS_DIR}/step-*/{TENSORS_FILE}"))
    if not found:
        return
    path = chance.choice(found[-6:])
    with suppress(FileNotFoundError):  # a trainer prunes while we look
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(data[: len(data) - chance.choice([0, 3])]))


def fill_disk(live: LiveStack, chance: random.Random) -> None:
    """The run folders' disk is full for a while; who could not even begin on it is asked for again."""
    with suppress(OSError), live.ballast.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    time.sleep(chance.uniform(0.5, 4))
    live.ballast.unlink()
    live.retry_without_room()


def submit_poison(live: LiveStack, chance: random.Random) -> None:
    """A job that can neither be planned nor trained."""
    live.poison(chance.choice(["[]", "{", '{"training": {"epochs": 1e400}}', "null"]))


def signal_trainer(live: LiveStack, chance: random.Random, number: signal.Signals) -> int | None:
    running = [a for a in live.live_attempts() if a.trainer_pid and a.trainer_started]
    if not running:
        return None
    attempt = chance.choice(running)
    pid, started = attempt.trainer_pid, attempt.trainer_started
    assert pid is not None
    assert started is not None
    if not is_running(pid, started=started):
        return None
    os.kill(pid, number)
    return pid


EVERYWHERE: Mapping[str, Fault] = {
    fault.__name__: fault
    for fault in (
        kill_trainer,
        freeze_trainer,
        kill_warm_parent,
        kill_worker,
        stop_worker,
        freeze_worker,
        kill_scheduler,
        add_scheduler,
        kill_api,
        stop_api,
        listen_without_reading,
        flush_broker,
        kill_broker,
        send_again,
        jump_clock,
        reboot,
        cancel_and_retry,
        pause_and_resume,
        preempt,
        damage_checkpoint,
        put_malformed,
        fill_disk,
        submit_poison,
    )
}
EMBEDDED: Mapping[str, Fault] = {**EVERYWHERE, "lock_database": lock_database}
SERVERS: Mapping[str, Fault] = {**EVERYWHERE, "kill_database": kill_database, "fail_over": fail_over}


def trainers_of(runs_dir: Path) -> Mapping[int, str]:
    """Every process that writes to a trainer's log under `runs_dir`: its number and the log's folder."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                log = (entry / "fd" / "1").readlink()
                if log.name == "trainer.log" and log.is_relative_to(runs_dir):
                    found[int(entry.name)] = str(log.parent)
    return found
