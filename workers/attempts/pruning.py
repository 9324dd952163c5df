"""Deletes checkpoints that a job needs no more, once SQL knows of those that it needs.

A trainer whose worker is gone keeps them all, so that what SQL knows of is always there to resume from.
"""

import shutil
from pathlib import Path

from service.domain.jobs import Attempt
from service.domain.run_folder import is_checkpoint, job_folder_of
from service.domain.states import CheckpointKind
from service.domain.stored_spec import load_spec_tree
from service.store.jobs import attempts, checkpoints, jobs
from service.store.transaction import Store


def prune_checkpoints(store: Store, attempt: Attempt) -> None:
    """Keep the best and the newest of a job's checkpoints, as its spec says, and all that could not be read.

    What this cnnctl cannot read, another may, and what is damaged may be mended: a person throws it away.

    A row with a path outside of the job's folder stays as it is, and takes no other one's place.

    Raises:
        DatabaseUnavailable: nothing was deleted.
        Fenced: the attempt is no longer this worker's; nothing was deleted.
    """
    with store.transaction() as tx:
        attempts.write(tx, attempt)
        keep = load_spec_tree(jobs.get_job(tx, attempt.job_id).spec)["checkpoint"]["keep"]
        of_job = job_folder_of(Path(attempt.run_dir))
        unread = checkpoints.list_passed_over(tx, attempt.job_id)
        listed = checkpoints.list_checkpoints(tx, attempt.job_id)
        known = [c for c in listed if is_checkpoint(c.path, of_job) and c.path not in unread]
        superfluous = [
            checkpoint for checkpoint in known[keep:] if checkpoint.kind is not CheckpointKind.BEST
        ]
        for checkpoint in superfluous:
            checkpoints.remove_checkpoint(tx, attempt.job_id, path=checkpoint.path)
    for checkpoint in superfluous:
        shutil.rmtree(checkpoint.path, ignore_errors=True)
