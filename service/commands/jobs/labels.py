"""Changes what people call a job and write about it, in any state of the job."""

from dataclasses import asdict

from cnnctl.views.jobs import LabelsView
from service.commands.people.permissions import check_may_change
from service.domain.jobs import JobId
from service.domain.labels import LabelChanges, change
from service.domain.people import Actor
from service.domain.states import Action
from service.store.jobs import jobs, labels
from service.store.people import audit
from service.store.transaction import Store


def change_labels(store: Store, job_id: JobId, changes: LabelChanges, *, actor: Actor) -> LabelsView:
    """Change name, note and tags of a job; the audit keeps what they were.

    Raises:
        JobNotFound: there is no such job.
        NotAllowed: it is somebody else's.
        SpecError: see `domain.labels.change`; nothing was changed.
    """
    with store.transaction() as tx:
        check_may_change(tx, jobs.get_job(tx, job_id), actor)
        jobs.lock_job(tx, job_id)
        before = labels.get_labels(tx, job_id)
        after = change(before, changes)
        was, is_now = asdict(before), asdict(after)
        changed = [name for name in was if was[name] != is_now[name]]
        if changed:
            labels.set_labels(tx, job_id, after)
            audit.add_entry(
                tx,
                job_id,
                Action.CHANGED,
                actor=actor,
                detail=", ".join(changed),
                before={name: was[name] for name in changed},
                after={name: is_now[name] for name in changed},
            )
    return LabelsView(job=job_id, name=after.name, tags=after.tags, note=after.note)
