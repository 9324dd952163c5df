"""Queues the runs of a study as ordinary jobs of its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.catalog.dataset_path import find_dataset_path
from service.domain.jobs import JobId
from service.domain.labels import Labels
from service.domain.people import Actor
from service.domain.scheduling_options import DEFAULT_SCHEDULING
from service.domain.states import Action, Stage
from service.domain.studies.plan import PlannedRun
from service.domain.studies.study import Study
from service.store.jobs import attempts, jobs
from service.store.jobs.jobs import WAITS_FOR_SCHEDULER, NewJob
from service.store.people import audit
from service.store.studies import studies
from service.store.studies.numbers import describe_environment
from service.store.transaction import Transaction

PROJECT = "study/"  # and the study's name

NOTHING_KNOWN: Mapping[str, Mapping[str, Any]] = {}
Memory = Mapping[str, tuple[int | None, int | None]]
"""By arm: what each GPU must have for sure, and what is surely enough, in MiB."""


def queue_runs(
    tx: Transaction,
    study: Study,
    runs: Sequence[PlannedRun],
    memory: Memory,
    *,
    actor: Actor,
    fresh: bool = False,
    known: Mapping[str, Mapping[str, Any]] = NOTHING_KNOWN,
) -> None:
    """Add runs to a study; those that an earlier study has trained share its job, unless all shall be fresh.

    `known` are numbers of runs that were made elsewhere, by their training digest.
    """
    done = {} if fresh else _find_done(tx, runs)
    done |= {digest: (None, numbers) for digest, numbers in known.items()}
    new = [run for run in runs if run.training_digest not in done]
    new_jobs = [_to_job(study, run, memory) for run in new]
    created = jobs.create_jobs(tx, new_jobs, reason=WAITS_FOR_SCHEDULER)
    job_ids, rows = iter(created), []
    for run in runs:
        is_done = run.training_digest in done
        job_id, numbers = done[run.training_digest] if is_done else (next(job_ids), None)
        rows.append(
            {
                "stage": run.stage,
                "arm": run.arm,
                "seed": run.seed,
                "tuned": run.tuned,
                "training_digest": run.training_digest,
                "job_id": job_id,
                "shared": is_done and job_id is not None,
                "numbers": numbers,
            }
        )
    studies.add_runs(tx, study.id, rows)
    audit.add_entries(tx, created, Action.SUBMITTED, actor=actor, detail=f"study {study.id}")


def _find_done(
    tx: Transaction, runs: Sequence[PlannedRun]
) -> dict[str, tuple[JobId | None, Mapping[str, Any]]]:
    """By training digest the jobs that have trained just this, in the environment of the newest attempt.

    Files at a path may have changed since; the lab's own datasets and the catalog's never do.
    """
    lasting = {run.training_digest for run in runs if _is_lasting(run.spec.data.dataset)}
    today = describe_environment(attempts.find_environment(tx))
    found = studies.find_done(tx, lasting)
    return {digest: one for digest, one in found.items() if one[1].get("environment") == today}


def _is_lasting(dataset: str) -> bool:
    place = find_dataset_path(dataset)
    return place is None or place.is_own


def _to_job(study: Study, run: PlannedRun, memory: Memory) -> NewJob:
    least, ample = memory[run.arm]
    tags = [f"study-{study.id}", run.arm, *(["tuning"] if run.stage is Stage.TUNE else [])]
    return NewJob(
        spec=run.spec,
        owner=study.owner,
        scheduling=replace(DEFAULT_SCHEDULING, project=f"{PROJECT}{study.name}", priority=study.priority),
        memory_mib=least,
        ample_memory_mib=ample,
        labels=Labels(name=f"{study.name}: {run.arm}, seed {run.seed}", tags=tuple(sorted(set(tags)))),
    )
