"""Studies: arms compared over seeds, and what may be said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from cnnctl.views.states import StudyState

Expectation = Literal["higher", "lower", "equal"]
Verdict = Literal["confirmed", "opposite", "equal", "too weak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEntry:
    """A study of the catalog."""

    name: Annotated[str, "as in `cnnctl study run NAME`"]
    claim: Annotated[str, "what it examines"]
    source: Annotated[str, "who claims it, where"]
    published: Annotated[str, "the published value, and what is to be known of it"]
    network: Annotated[str, "the architecture"]
    dataset: Annotated[str, "the images; empty: the network's own"]
    arms: Annotated[Sequence[str], "what is compared"]
    scales: Annotated[Mapping[str, int], "runs of each scale, tuning included"]
    gpu_seconds: Annotated[
        Mapping[str, float | None],
        "what each scale is expected to take of GPUs here, by its newest runs; `null`: none has ended",
    ] = field(default_factory=dict)
    undecided: Annotated[Mapping[str, str], "by scale why it cannot decide the claim, where it cannot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """How far a study is."""

    study: Annotated[int, "its number"]
    name: Annotated[str, "the name of its definition"]
    owner: Annotated[str, "who started it"]
    scale: Annotated[str, "how much is run"]
    claim: Annotated[str, "what it examines"]
    state: Annotated[StudyState, "`running`, `held`, `finished` or `cancelled`"]
    reason: Annotated[str, "why it is held; else empty"]
    digest: Annotated[str, "SHA-256 of what was decided before the first run, hex"]
    planned_seeds: Annotated[int, "seeds of each arm that were decided before the first run"]
    seeds: Annotated[int, "seeds of each arm since it was extended"]
    runs: Annotated[int, "runs in all that are known so far"]
    done: Annotated[int, "runs with a result"]
    failed: Annotated[int, "runs that have ended without one"]
    shared: Annotated[int, "runs whose job an earlier study had run"]
    seconds_left: Annotated[
        float | None, "estimate until the known runs have ended, by those that have; `null`: none has"
    ]
    submitted_at: Annotated[datetime, "when it was started"]
    ended_at: Annotated[datetime | None, "when it was finished or cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRunView:
    """One arm with one seed."""

    stage: Annotated[str, "`tune` or `measure`"]
    arm: Annotated[str, "the arm"]
    seed: Annotated[int, "the seed that pairs the arms"]
    tuned: Annotated[Mapping[str, Any], "the tuned fields of its spec"]
    training_digest: Annotated[str, "SHA-256 of what its spec trains, hex"]
    job: Annotated[int | None, "the job; `null`: its numbers came from elsewhere"]
    shared: Annotated[bool, "whether an earlier study had run this job"]
    numbers: Annotated[Mapping[str, Any] | None, "what it came to, see studies.md; `null`: nothing yet"]
    failure: Annotated[str, "why it has no numbers; empty: it did not fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEvidence:
    """Everything that a study's report is made of; it can be made anew from this alone."""

    name: Annotated[str, "the name of the definition"]
    scale: Annotated[str, "how much is run"]
    definition: Annotated[Mapping[str, Any], "what was decided beforehand; see studies.md"]
    digest: Annotated[str, "SHA-256 of the definition's canonical JSON, hex"]
    planned_seeds: Annotated[int, "seeds of each arm that were decided before the first run"]
    seeds: Annotated[int, "seeds of each arm since it was extended"]
    runs: Annotated[Sequence[StudyRunView], "its runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPoint:
    """What one run of an arm came to in a metric."""

    seed: Annotated[int, "the seed"]
    value: Annotated[float, "the metric; of a run that never arrived the number of its epochs"]
    censored: Annotated[bool, "whether it never arrived: the true value is larger"]
    job: Annotated[int | None, "the job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastView:
    """Two arms, compared in one metric over pairs of runs with the same seed."""

    first: Annotated[str, "an arm"]
    second: Annotated[str, "the arm that it is compared with"]
    metric: Annotated[str, "what is compared"]
    aside: Annotated[bool, "whether it is no part of the claim"]
    expect: Annotated[Expectation, "what the claim says of the first: `higher`, `lower` or `equal`"]
    ratio: Annotated[bool, "whether `mean` and the interval are of the ratio, not of the difference"]
    margin: Annotated[float, "the largest difference that counts as none, decided beforehand"]
    verdict: Annotated[Verdict, "`confirmed`, `opposite`, `equal` or `too weak`"]
    words: Annotated[str, "the verdict in a sentence"]
    pairs: Annotated[int, "pairs of runs with the same seed"]
    missing: Annotated[int, "pairs of finished runs of which one does not have the metric: they are left out"]
    mean: Annotated[float | None, "first minus second, or first over second; `null` without a pair"]
    low: Annotated[float | None, "of the 95 % confidence interval; `null` where runs never arrived"]
    high: Annotated[float | None, "its other end"]
    p: Annotated[float, "exact, two-sided, by the signs of the differences"]
    p_holm: Annotated[float, "the same, corrected for all contrasts of the study"]
    share_above: Annotated[float, "share of the pairs whose first is above its second; ties count half"]
    censored_first: Annotated[int, "runs of the first that never arrived"]
    censored_second: Annotated[int, "runs of the second that never arrived"]
    needed: Annotated[
        int | None, "pairs with which a difference as large as the margin is found in 8 of 10 studies"
    ]
    first_mean: Annotated[float | None, "mean of the first's runs that have a pair; `null`: none has"] = None
    second_mean: Annotated[float | None, "the same of the second"] = None
    first_points: Annotated[Sequence[ArmPoint], "the runs of the first"]
    second_points: Annotated[Sequence[ArmPoint], "the runs of the second"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmView:
    """An arm of a study."""

    name: Annotated[str, "its name"]
    fields: Annotated[Mapping[str, Any], "what differs in it from the base"]
    tuned: Annotated[Mapping[str, Any], "what tuning chose for it"]
    done: Annotated[int, "measured runs with a result"]
    diverged: Annotated[int, "of these, runs whose training diverged: a result of the arm"]
    failed: Annotated[int, "measured runs that ended without a result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """What a study came to."""

    name: Annotated[str, "the name of the definition"]
    scale: Annotated[str, "how much was run"]
    claim: Annotated[str, "what it examines"]
    source: Annotated[str, "who claims it, where"]
    published: Annotated[str, "the published value"]
    digest: Annotated[str, "SHA-256 of what was decided beforehand, hex"]
    network: Annotated[str, "the architecture"]
    base: Annotated[Mapping[str, Any], "fields of the spec that all arms have"]
    factor: Annotated[Sequence[str], "the fields in which arms may differ"]
    planned_seeds: Annotated[int, "seeds of each arm that were decided before the first run"]
    is_complete: Annotated[bool, "whether all runs have ended"]
    undecided: Annotated[str, "why this scale cannot decide the claim; empty: it can"]
    verdict: Annotated[Verdict, "that on the claim: of the weakest of its contrasts"]
    words: Annotated[str, "the verdict on the claim in a sentence"]
    arms: Annotated[Sequence[ArmView], "what was compared"]
    contrasts: Annotated[Sequence[ContrastView], "the comparisons; the claim is all that are no asides"]
    remarks: Annotated[Sequence[str], "what has to be known to read it: extensions, sharing, holes"]
    environments: Annotated[Sequence[str], "on what its runs were trained"]
    curves: Annotated[
        Mapping[str, Mapping[str, Sequence[Sequence[float | None]]]],
        "by metric and arm, of each measured run its value epoch by epoch",
    ] = field(default_factory=dict)
    metrics: Annotated[Mapping[str, str], "what each compared metric is"] = field(default_factory=dict)
    images: Annotated[str, "how many images the dataset has, of what size; empty: not of the catalog"] = ""
