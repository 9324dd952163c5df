"""Starts studies: everything is checked first, then all is queued in one transaction, or nothing."""

from collections.abc import Sequence
from dataclasses import replace

from cnnctl.views.requests import StudyRequest
from cnnctl.views.studies import StudyView
from service.commands.jobs.admission import check_admission
from service.commands.jobs.dataset_check import check_dataset
from service.commands.jobs.dataset_size import measure_dataset
from service.commands.jobs.dataset_version import PATH, keep_dataset, pin_dataset
from service.commands.jobs.job_memory import Needs, check_memory, predict_needs
from service.commands.people.permissions import check_scope
from service.commands.studies.catalog import find_definition
from service.commands.studies.reading import describe_study
from service.domain.bounds import check_option
from service.domain.people import Actor
from service.domain.scheduling_options import DEFAULT_SCHEDULING
from service.domain.spec import Spec
from service.domain.states import Action, Priority, Subject
from service.domain.studies.definition import Definition, Fields
from service.domain.studies.measures import dump_numbers, read_numbers
from service.domain.studies.plan import check_study, plan_measured, plan_tuning
from service.domain.studies.study_file import read_definition
from service.errors import SpecError
from service.settings import Settings
from service.store.jobs import jobs
from service.store.people import audit, users
from service.store.studies import studies
from service.store.studies.queueing import Memory, queue_runs
from service.store.transaction import Store, Transaction


def start_study(store: Store, settings: Settings, request: StudyRequest, *, actor: Actor) -> StudyView:
    """Check a study of the catalog or of a file, and queue its first runs.

    Raises:
        SpecError: the study, its scale or a spec of it is wrong, it has too few seeds, or its owner's quota
            is too small; nothing was stored.
        NotAllowed: its owner has no right to its priority.
        DatasetConflict: somebody has removed its dataset just now.
    """
    check_scope(actor, act="start studies")
    check_option("--seeds", request.seeds)
    definition = _pin(store, _read(request))
    scale = request.scale or next(iter(definition.scales))
    seeds = definition.get_scale(scale).seeds if request.seeds is None else request.seeds
    known = {digest: dump_numbers(read_numbers(numbers)) for digest, numbers in request.known.items()}
    specs = check_study(definition, scale, seeds=seeds)
    needs = _check_specs(list(specs.values()), settings)
    first = {arm: specs[arm, 0] for arm in definition.arms}
    runs = plan_tuning(definition, scale) or plan_measured(first, seeds=range(seeds), tuned={})
    priority = Priority(request.priority)
    with store.transaction() as tx:
        for spec, need in zip(specs.values(), needs, strict=True):
            _check_submission(tx, spec, need, actor=actor, priority=priority)
        check_quota(tx, actor.name, runs=max(len(runs), seeds * len(definition.arms)))
        study_id = studies.create_study(
            tx,
            name=definition.name,
            owner=actor.name,
            scale=scale,
            definition=definition.to_json(),
            digest=definition.digest,
            seeds=seeds,
            priority=priority,
        )
        study = studies.get_study(tx, study_id)
        memory = _list_memory(definition, needs)
        queue_runs(tx, study, runs, memory, actor=actor, fresh=request.fresh, known=known)
        after = {"name": study.name, "scale": scale, "seeds": seeds}
        audit.add_entry_about(
            tx, Subject.STUDY, str(study_id), Action.SUBMITTED, actor=actor, before={}, after=after
        )
        return describe_study(tx, study)


def check_quota(tx: Transaction, owner: str, *, runs: int) -> None:
    """Refuse more jobs at once than their owner may have waiting.

    Raises:
        SpecError: the quota is too small.
    """
    user = users.get_user(tx, owner)
    if user.max_queued is None:
        return
    users.lock_user(tx, owner)
    waiting = jobs.count_waiting_jobs(tx, owner)
    if waiting + runs > user.max_queued:
        raise SpecError(
            f"{owner} may have {user.max_queued} jobs waiting, and has {waiting}: {runs} more are too many. "
            "Take fewer --seeds, or ask an administrator: "
            f"cnnctl users set {owner} --max-queued {waiting + runs}"
        )


def _read(request: StudyRequest) -> Definition:
    if (request.name is None) == (request.toml is None):
        raise SpecError("Name a study of the catalog, or give a study file. All studies: cnnctl study list")
    return find_definition(request.name) if request.name is not None else read_definition(request.toml or "")


def _pin(store: Store, definition: Definition) -> Definition:
    """The definition with the versions of the lab's own datasets, which never change."""

    def pin(fields: Fields) -> Fields:
        return {**fields, **pin_dataset(store, {PATH: fields[PATH]})[0]} if PATH in fields else fields  # type: ignore[dict-item]

    scales = {
        name: scale.model_copy(update={"base": pin(scale.base)}) for name, scale in definition.scales.items()
    }
    arms = {name: pin(fields) for name, fields in definition.arms.items()}
    return definition.model_copy(update={"base": pin(definition.base), "arms": arms, "scales": scales})


def _check_specs(specs: Sequence[Spec], settings: Settings) -> Sequence[Needs]:
    """Check the dataset of each spec, each dataset once, and predict the memory."""
    known: set[tuple[str, float, int]] = set()
    for spec in specs:
        key = (spec.data.dataset, spec.data.validation_fraction, spec.training.batch_size)
        if key not in known:
            check_dataset(spec, settings, given=(), report=lambda _: None)
        known.add(key)
    return [
        predict_needs(spec, measure_dataset(spec.data, datasets_dir=settings.datasets_dir)) for spec in specs
    ]


def _check_submission(tx: Transaction, spec: Spec, needs: Needs, *, actor: Actor, priority: Priority) -> None:
    scheduling = replace(DEFAULT_SCHEDULING, priority=priority)
    check_admission(tx, gpus=spec.resources.gpus, owner=actor, scheduling=scheduling, after=())
    check_memory(tx, spec, needs, owner=actor.name, scheduling=scheduling)
    keep_dataset(tx, spec.data.dataset, job="This study")


def _list_memory(definition: Definition, needs: Sequence[Needs]) -> Memory:
    """What each arm needs with the values of the grid that need the most."""
    each = len(needs) // len(definition.arms)
    most = {
        arm: max(needs[number * each : (number + 1) * each], key=lambda need: need.ample_mib)
        for number, arm in enumerate(definition.arms)
    }
    return {arm: (need.least_mib, need.ample_mib) for arm, need in most.items()}
