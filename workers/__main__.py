"""Runs the worker of this host: python -m workers."""

import sys

import structlog

from service.errors import CnnctlError
from service.log import configure_log
from service.parent import stop_when_parent_ends
from service.private_files import close_umask, open_to_group, tighten
from service.settings import load_settings
from service.store.transaction import open_store
from workers.attempts.starter import Starter
from workers.celery_app import make_worker
from workers.host_agent import HostAgent, lock_host


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
    agent = HostAgent(store, settings, starter)
    agent.take_over()  # first of all: trainers without a worker stop when the lease runs out
    if settings.start_method == "forkserver":
        starter.warm_up()
    worker = make_worker(settings, agent)
    worker.start()
    agent.close()  # also where Celery ended by itself: whoever takes no messages must not get work
    agent.stop()
    lock.close()
    return int(worker.exitcode or 0)


if __name__ == "__main__":  # a spawned child imports this file again
    try:
        sys.exit(main(stop_with_stdin="--stop-with-stdin" in sys.argv[1:]))
    except CnnctlError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
