"""Takes a job in: all checks first, then one row; nothing is stored of a submission that is refused."""

import getpass
import os
from collections.abc import Mapping

from service.commands.dataset_check import check_dataset
from service.domain.jobs import JobId
from service.domain.spec import Spec
from service.domain.spec_request import resolve_spec
from service.domain.states import Action
from service.errors import SpecError
from service.settings import Settings
from service.store import events, hosts, jobs
from service.store.transaction import Store, Transaction

WAITS_FOR_SCHEDULER = "waits for the scheduler"


def submit(
    store: Store,
    settings: Settings,
    architecture: str,
    assignments: Mapping[str, object],
    *,
    owner: str,
) -> JobId:
    """Resolve, check and queue a job.

    Raises:
        SpecError: the spec is not valid, its dataset is damaged, or no host has so many GPUs; nothing
            was stored.
    """
    spec = resolve_spec(architecture, assignments)
    check_dataset(spec, settings)
    with store.transaction() as tx:
        _check_gpus(tx, spec)
        job_id = jobs.create_job(tx, spec, owner=owner, reason=WAITS_FOR_SCHEDULER)
        events.add_event(tx, job_id, Action.SUBMITTED, actor=owner)
    return job_id


def current_user() -> str:
    """The operating-system user; by number where, as in a container, it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"


def _check_gpus(tx: Transaction, spec: Spec) -> None:
    largest = hosts.largest_host(tx)
    wanted = spec.resources.gpus
    if largest is not None and wanted > largest[1]:
        name, count = largest
        raise SpecError(
            f"resources.gpus: no host has {wanted} GPUs. The largest, {name}, has {count}. "
            f"Nearest: --gpus {count}"
        )
