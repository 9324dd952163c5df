"""Deletes checkpoints that a job no longer needs, once SQL knows the checkpoints that it needs.

A trainer whose worker is gone keeps all of its checkpoints, so that every checkpoint in SQL exists on the
disk.
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
    """Keep a job's best and newest checkpoints, as its spec says, and all that could not be read.

    Another cnnctl may read a checkpoint that this one cannot, and a damaged checkpoint may be repaired: only
    a person deletes them. A row with a path outside the job's folder stays, and does not count.

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
