"""Runs the worker of this host: python -m workers."""

import multiprocessing
import os
import sys
import threading

import structlog

from service.errors import AlreadyRunning, CnnctlError
from service.log import configure_log
from service.parent import stop_when_parent_ends
from service.private_files import close_umask, open_to_group, tighten
from service.settings import load_settings
from service.store.transaction import open_store
from service.visible import escape
from workers.attempts.starter import Starter
from workers.celery_app import make_worker
from workers.host_agent import HostAgent
from workers.host_lock import lock_host


def main(*, stop_with_stdin: bool) -> int:
    """Warm up, register, and work until SIGTERM."""
    settings = load_settings()
    configure_log(settings.log_level)
    if stop_with_stdin:
        stop_when_parent_ends()
    close_umask()  # of the trainers, too
    open_to_group(settings, folders=[settings.home_dir, settings.runs_dir])
    for path in tighten(settings):
        structlog.get_logger().info("worker", action="closed_to_others", path=str(path))
    lock = lock_host(settings)  # held for as long as this process lives
    store = open_store(settings.database_url)
    store.wait_until_ready()
    starter = Starter(settings.start_method)
    agent = HostAgent(store, settings, starter, dead_workers=lock.dead_workers)
    lock.write(*lock.dead_workers, agent.worker)
    agent.take_over()  # first: trainers without a worker stop when the lease runs out
    lock.write(agent.worker)
    if settings.start_method == "forkserver":
        starter.warm_up()
    threading.Thread(target=_end_when_late, args=(agent,), daemon=True, name="end").start()
    worker = make_worker(settings, agent)
    worker.start()
    agent.close()
    agent.stop()
    lock.release()
    if agent.replaced:
        raise AlreadyRunning(agent.replaced)
    return int(worker.exitcode or 0)


def _end_when_late(agent: HostAgent) -> None:
    """End this process, whatever it waits for; the host's next worker, or the lease, ends its attempts."""
    left = agent.wait_until_late()
    structlog.get_logger().error("worker", action="stopped_late", attempts_left=list(left))
    os._exit(1)


def run() -> int:
    """Run `main`, print its error if any, and return the exit status."""
    try:
        return main(stop_with_stdin="--stop-with-stdin" in sys.argv[1:])
    except CnnctlError as error:
        print(escape(f"Error: {error}"), file=sys.stderr)  # noqa: T201
        return error.exit_code


if __name__ == "__main__":  # a spawned child imports this file again
    code = run()
    if multiprocessing.active_children():  # trainers that cannot be killed: Python would wait for them
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
