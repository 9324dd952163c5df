"""What somebody chose in a job's spec, and what is as it is by default."""

from cnnctl.views.jobs import SpecChoiceView, SpecView
from service.domain.jobs import JobId
from service.domain.spec_request import resolve_spec
from service.domain.stored_spec import load_spec_tree, read_values
from service.errors import SpecError
from service.store.jobs import jobs
from service.store.transaction import Store

ARCHITECTURE = "model.architecture"
HIDDEN = ("schema_version", ARCHITECTURE)


def explain_spec(store: Store, job_id: JobId) -> SpecView:
    """Each field of a job's spec beside the default of its architecture.

    Raises:
        JobNotFound: there is no such job.
        SpecError: the stored spec cannot be read.
    """
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
    try:
        values = read_values(load_spec_tree(job.spec))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise SpecError(f"The stored spec of job {job_id} cannot be read") from None
    defaults = _find_defaults(job.architecture)
    return SpecView(
        job=job_id,
        fields=[
            SpecChoiceView(
                field=name,
                value=value,
                default=defaults.get(name),
                chosen=name not in defaults or defaults[name] != value,
            )
            for name, value in values.items()
            if name not in HIDDEN
        ],
        command=f"cnnctl submit --like {job_id}",
    )


def _find_defaults(architecture: str) -> dict[str, object]:
    """What the spec of an architecture has where nothing is set; empty for one that is not known any more."""
    try:
        text = resolve_spec(architecture, {}).to_json()
    except SpecError:
        return {}
    return read_values(load_spec_tree(text))
