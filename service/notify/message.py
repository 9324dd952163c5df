"""Writes a notification: in words for a mail, and as one JSON object for a webhook."""

from dataclasses import dataclass

from cnnctl.views.people import WebhookMessage
from models.catalog.verdicts import PREFIX
from service.domain.hooks import Notification
from service.store.jobs import attempts, jobs, logs, metrics
from service.store.transaction import Transaction
from service.visible import escape

LOG_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to a person, by mail or, as `document`, by a webhook."""

    subject: str
    text: str
    document: WebhookMessage


def write_message(tx: Transaction, note: Notification) -> Message:
    """Write how a job ended or was preempted, the reason, the last metrics and the last lines of its log."""
    job = jobs.get_job(tx, note.job_id)
    attempt = attempts.get_attempt(tx, note.attempt_id) if note.attempt_id else None
    log = logs.get_log_tail(tx, note.attempt_id).splitlines()[-LOG_LINES:] if note.attempt_id else []
    values = {n: v for n, v in metrics.last_values(tx, job.id).items() if not n.startswith(PREFIX)}
    how = "was preempted" if note.occasion.value == "preemption" else note.job_state.value
    subject = f"cnnctl: job {job.id} {how} ({job.architecture} on {job.dataset})"
    lines = [f"Job {job.id} {how}: {note.reason}" if note.reason else f"Job {job.id} {how}.", ""]
    lines += [f"  {name:24} {'not finite' if v is None else f'{v:.4f}'}" for name, v in values.items()]
    lines += ["", "Last lines of its log:", *(f"  {line}" for line in log)] if log else []
    lines += ["", f"Details: cnnctl status {job.id}"]
    text = escape("\n".join(lines))
    return Message(
        subject=escape(subject),
        text=text,
        document=WebhookMessage(
            job=job.id,
            occasion=note.occasion.value,
            state=note.job_state.value,
            owner=job.owner,
            project=job.scheduling.project,
            architecture=job.architecture,
            dataset=job.dataset,
            attempt=attempt.number if attempt else None,
            outcome=attempt.outcome.value if attempt and attempt.outcome else None,
            cause=attempt.cause.value if attempt and attempt.cause else None,
            reason=note.reason,
            metrics=values,
            log_tail=log,
            text=text,
        ),
    )
