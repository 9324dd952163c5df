"""Makes a study's report from its evidence alone: what was decided, what was seen, what may be said."""

from collections.abc import Mapping, Sequence

from cnnctl.views.studies import (
    ArmPoint,
    ArmView,
    ContrastView,
    StudyEvidence,
    StudyReport,
    StudyRunView,
    Verdict,
)
from models.catalog import lookup
from models.catalog.entries import CatalogError
from service.domain.states import Stage
from service.domain.student import find_mean
from service.domain.studies.definition import Contrast, Definition, digest_stored, load_definition
from service.domain.studies.measures import CURVES, RunNumbers, describe_metric, load_numbers, measure
from service.domain.studies.statistics import (
    FEWEST_PAIRS,
    Estimate,
    Outcome,
    combine,
    correct_by_holm,
    estimate,
    judge,
)
from service.domain.studies.words import say_claim, say_verdict
from service.errors import SpecError

Runs = Mapping[int, tuple[StudyRunView, RunNumbers]]
"""The measured runs of an arm that have numbers, by seed."""


def make_report(evidence: StudyEvidence) -> StudyReport:
    """Judge what the runs came to; runs without numbers are left out, and said.

    Raises:
        SpecError: the definition cannot be read here, or has been changed.
        MissingExtra: SciPy is not installed.
    """
    definition = load_definition(evidence.definition)
    if digest_stored(evidence.definition) != evidence.digest:
        raise SpecError(f"The definition of {evidence.name} is not what was decided: its digest differs")
    runs = {arm: _list_measured(evidence, arm) for arm in definition.arms}
    contrasts = _judge_contrasts(definition, runs)
    claim = [one for one in contrasts if not one.aside]
    return StudyReport(
        name=definition.name,
        scale=evidence.scale,
        claim=definition.claim,
        source=definition.source,
        published=definition.published,
        digest=evidence.digest,
        network=definition.network,
        base={**definition.base, **definition.get_scale(evidence.scale).base},
        factor=definition.factor,
        planned_seeds=evidence.planned_seeds,
        is_complete=_is_complete(evidence, definition),
        undecided=definition.get_scale(evidence.scale).undecided,
        verdict=combine([part.verdict for part in claim]),
        words=say_claim(claim),
        arms=[_describe_arm(evidence, definition, arm, runs[arm]) for arm in definition.arms],
        contrasts=contrasts,
        remarks=list(_list_remarks(evidence, definition)),
        environments=sorted(
            {numbers.environment for of_arm in runs.values() for _, numbers in of_arm.values()}
        ),
        curves=_list_curves(runs),
        metrics={one.metric: describe_metric(one.metric) for one in definition.contrasts},
        images=_describe_images(definition, evidence.scale),
    )


def _describe_images(definition: Definition, scale: str) -> str:
    name = str({**definition.base, **definition.get_scale(scale).base}.get("data.dataset", ""))
    try:
        dataset = lookup.get_dataset(name)
    except CatalogError:
        return ""
    height, width, _ = dataset.image_shape
    return (
        f"{dataset.train_images:,} images to learn from and {dataset.test_images:,} to test, "
        f"{height} x {width} pixels, {dataset.num_classes} classes"
    )


def _list_measured(evidence: StudyEvidence, arm: str) -> Runs:
    return {
        run.seed: (run, load_numbers(run.numbers))
        for run in evidence.runs
        if run.stage == Stage.MEASURE.value and run.arm == arm and run.numbers is not None
    }


def _is_complete(evidence: StudyEvidence, definition: Definition) -> bool:
    measured = [run for run in evidence.runs if run.stage == Stage.MEASURE.value]
    ended = [run for run in measured if run.numbers is not None or run.failure]
    return len(ended) >= evidence.seeds * len(definition.arms)


def _judge_contrasts(definition: Definition, runs: Mapping[str, Runs]) -> Sequence[ContrastView]:
    outcomes = [_measure_pairs(one, runs) for one in definition.contrasts]
    estimates = [
        estimate([(a, b) for _, a, b in pairs], margin=one.margin, is_ratio=one.ratio)
        for one, pairs in zip(definition.contrasts, outcomes, strict=True)
    ]
    corrected = correct_by_holm({str(number): one.p for number, one in enumerate(estimates)})
    return [
        _describe_contrast(one, pairs, found, runs, p=corrected[str(number)])
        for number, (one, pairs, found) in enumerate(
            zip(definition.contrasts, outcomes, estimates, strict=True)
        )
    ]


def _measure_pairs(contrast: Contrast, runs: Mapping[str, Runs]) -> Sequence[tuple[int, Outcome, Outcome]]:
    """Seed and both outcomes of each pair that has them; a ratio takes values above 0 alone."""
    first, second = runs[contrast.first], runs[contrast.second]
    pairs = []
    for seed in sorted(first.keys() & second.keys()):
        a = measure(contrast.metric, first[seed][1])
        b = measure(contrast.metric, second[seed][1])
        if a is not None and b is not None and (not contrast.ratio or min(a.value, b.value) > 0):
            pairs.append((seed, a, b))
    return pairs


def _describe_contrast(
    contrast: Contrast,
    pairs: Sequence[tuple[int, Outcome, Outcome]],
    found: Estimate,
    runs: Mapping[str, Runs],
    *,
    p: float,
) -> ContrastView:
    verdict: Verdict = judge(
        found, p=p, expect=contrast.expect, margin=contrast.margin, is_ratio=contrast.ratio
    )
    return ContrastView(
        first=contrast.first,
        second=contrast.second,
        metric=contrast.metric,
        aside=contrast.aside,
        expect=contrast.expect,
        ratio=contrast.ratio,
        margin=contrast.margin,
        verdict=verdict,
        words=say_verdict(contrast, found, verdict, p=p),
        pairs=found.pairs,
        missing=len(runs[contrast.first].keys() & runs[contrast.second].keys()) - found.pairs,
        mean=found.mean if found.pairs else None,
        low=found.low,
        high=found.high,
        p=found.p,
        p_holm=p,
        share_above=found.share_above,
        censored_first=found.censored_first,
        censored_second=found.censored_second,
        needed=max(found.needed, FEWEST_PAIRS) if found.needed else None,
        first_mean=_mean([a for _, a, _ in pairs]),
        second_mean=_mean([b for _, _, b in pairs]),
        first_points=[_point(seed, a, runs[contrast.first]) for seed, a, _ in pairs],
        second_points=[_point(seed, b, runs[contrast.second]) for seed, _, b in pairs],
    )


def _mean(outcomes: Sequence[Outcome]) -> float | None:
    return find_mean([one.value for one in outcomes]) if outcomes else None


def _point(seed: int, outcome: Outcome, runs: Runs) -> ArmPoint:
    return ArmPoint(seed=seed, value=outcome.value, censored=outcome.is_censored, job=runs[seed][0].job)


def _describe_arm(evidence: StudyEvidence, definition: Definition, arm: str, runs: Runs) -> ArmView:
    measured = [run for run in evidence.runs if run.stage == Stage.MEASURE.value and run.arm == arm]
    return ArmView(
        name=arm,
        fields=definition.arms[arm],
        tuned=measured[0].tuned if measured else {},
        done=len(runs),
        diverged=sum(numbers.diverged for _, numbers in runs.values()),
        failed=sum(bool(run.failure) for run in measured),
    )


def _list_remarks(evidence: StudyEvidence, definition: Definition) -> Sequence[str]:
    measured = [run for run in evidence.runs if run.stage == Stage.MEASURE.value]
    open_runs = sum(run.numbers is None and not run.failure for run in measured)
    failed = [run for run in measured if run.failure]
    shared = sum(run.shared for run in evidence.runs)
    remarks = []
    if not measured:
        remarks.append("No measured run has been queued yet: the arms are being tuned.")
    elif not _is_complete(evidence, definition):
        remarks.append(
            f"Not complete: {open_runs} of {len(measured)} runs have not ended. No verdict is final."
        )
    if evidence.seeds != evidence.planned_seeds:
        remarks.append(
            f"Extended afterwards: {evidence.planned_seeds} seeds were decided beforehand, "
            f"{evidence.seeds} were run. A study that is extended until it shows something proves less."
        )
    if failed:
        remarks.append(f"{len(failed)} runs have no result: {failed[0].failure}. Their pairs are left out.")
    if diverged := [load_numbers(run.numbers).diverged for run in measured if run.numbers].count(True):
        remarks.append(
            f"{diverged} runs diverged: they count, with the accuracy of chance, and reach no target."
        )
    if shared:
        remarks.append(f"{shared} runs are jobs that an earlier study had run with the same spec.")
    if elsewhere := sum(run.job is None and run.numbers is not None for run in evidence.runs):
        remarks.append(f"{elsewhere} runs were made elsewhere, and taken over.")
    if known := shared + elsewhere:
        remarks.append(f"So results of {known} runs were known when the number of seeds was decided.")
    environments = {run.numbers.get("environment") for run in measured if run.numbers is not None}
    if len(environments) > 1:
        remarks.append(
            "Runs were trained in different environments: the last bits of pairs are not comparable."
        )
    if definition.null_test:
        remarks.append("This is a null test: its arms may be equal, and then no difference is to be found.")
    return remarks


def _list_curves(runs: Mapping[str, Runs]) -> Mapping[str, Mapping[str, Sequence[Sequence[float | None]]]]:
    return {
        metric: {
            arm: [numbers.curves[metric] for _, numbers in of_arm.values() if metric in numbers.curves]
            for arm, of_arm in runs.items()
        }
        for metric in CURVES
    }
