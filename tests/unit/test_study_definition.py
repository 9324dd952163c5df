"""A study file is read whole or refused in words; what it plans is paired."""

from collections.abc import Callable

import pytest

from service.commands.studies.catalog import list_definitions
from service.domain.spec import Spec, digest_training
from service.domain.states import Stage
from service.domain.studies.definition import Definition, load_definition
from service.domain.studies.plan import check_study, plan_measured, plan_tuning, resolve_arm
from service.domain.studies.study_file import read_definition
from service.errors import SpecError

STUDY = """
name = "rate"
claim = "A larger rate learns faster."
source = "nobody"
network = "softmax"
factor = ["optimizer.lr"]
base.data.dataset = "digits"
base.training.epochs = 3
[arms.slow]
optimizer.lr = 0.001
[arms.fast]
optimizer.lr = 0.1
[[contrasts]]
first = "fast"
second = "slow"
metric = "test_accuracy"
expect = "higher"
margin = 0.01
[scales.quick]
seeds = 6
[scales.standard]
seeds = 20
base.training.epochs = 10
"""


def check(text: str, *, scale: str = "quick") -> Definition:
    definition = read_definition(text)
    check_study(definition, scale, seeds=6)
    return definition


def list_arms(definition: Definition, scale: str) -> dict[str, Spec]:
    return {arm: resolve_arm(definition, scale, arm, {}) for arm in definition.arms}


def test_a_study_is_the_same_after_it_was_stored() -> None:
    definition = check(STUDY)
    again = load_definition(definition.to_json())
    assert again == definition
    assert again.digest == definition.digest
    assert list(again.scales) == ["quick", "standard"]


def test_arms_are_paired_by_seed_and_differ_in_their_factor_alone() -> None:
    runs = plan_measured(list_arms(check(STUDY), "quick"), seeds=range(6), tuned={})
    assert [(run.arm, run.seed) for run in runs[:4]] == [("slow", 0), ("fast", 0), ("slow", 1), ("fast", 1)]
    assert len({run.training_digest for run in runs}) == 12
    slow, fast = runs[0].spec, runs[1].spec
    assert slow.training.seed == fast.training.seed == 0
    same = fast.model_copy(update={"optimizer": slow.optimizer})
    assert digest_training(same.to_json()) == runs[0].training_digest


def test_a_scale_changes_the_base() -> None:
    (run, *_) = plan_measured(list_arms(check(STUDY), "standard"), seeds=range(1), tuned={})
    assert run.spec.training.epochs == 10


def test_tuning_has_seeds_of_its_own() -> None:
    text = STUDY.replace('factor = ["optimizer.lr"]', 'factor = ["model.l2"]').replace(
        "optimizer.lr", "model.l2"
    )
    text += "[tune]\nseeds = 2\n[tune.grid]\noptimizer.lr = [0.01, 0.1]\n"
    definition = check(text)
    tuning = plan_tuning(definition, "quick")
    tuned = {"slow": {"optimizer.lr": 0.1}}
    specs = {arm: resolve_arm(definition, "quick", arm, tuned.get(arm, {})) for arm in definition.arms}
    measured = plan_measured(specs, seeds=range(6), tuned=tuned)
    assert len(tuning) == 2 * 2 * 2
    assert {run.stage for run in tuning} == {Stage.TUNE}
    assert not {run.seed for run in tuning} & {run.seed for run in measured}
    assert {run.spec.optimizer.lr for run in measured} == {0.1, 0.01}


def replacing(old: str, new: str) -> Callable[[], str]:
    return lambda: STUDY.replace(old, new)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (replacing('claim = "A larger rate learns faster."', ""), "A study needs claim"),
        (replacing("margin = 0.01", ""), "A study needs contrasts.0.margin"),
        (replacing("margin = 0.01", "margin = -0.01"), "margin of test_accuracy must be above 0"),
        (replacing("margin = 0.01", "margin = 0.9\nratio = true"), "must be a factor above 1"),
        (replacing("margin = 0.01", "margin = nan"), "margin"),
        (replacing('expect = "higher"', 'expect = "better"'), "expect"),
        (replacing('source = "nobody"', 'source = "nobody"\ncolour = "red"'), "has no field 'colour'"),
        (replacing('name = "rate"', 'name = "../rate"'), "name"),
        (replacing("test_accuracy", "test_acuracy"), "There is no metric 'test_acuracy'"),
        (replacing("test_accuracy", "near_zero"), "needs training.diagnostics"),
        (replacing("test_accuracy", "epochs_to:accuracy:x"), "There is no metric"),
        (replacing("optimizer.lr = 0.1", "optimizer.lr = 0.001"), "are equal"),
        (replacing("optimizer.lr = 0.1", "optimizer.lr = 0.1\nmodel.l2 = 1.0"), "factor only"),
        (replacing("optimizer.lr = 0.1", "optimizer.lr = 0.1\ntraining.seed = 3"), "seed pairs the arms"),
        (replacing("optimizer.lr = 0.1", 'optimizer.lr = 0.1\noptimizer.momentum="x"'), "factor only"),
        (replacing('first = "fast"', 'first = "faster"'), "There is no arm 'faster'"),
        (replacing('first = "fast"', 'first = "slow"'), "twice"),
        (replacing("seeds = 6", "seeds = 5"), "fewer than 6"),
        (replacing('network = "softmax"', 'network = "sofmax"'), "softmax"),
        (replacing('"digits"', '"digit"'), "digits"),
        (replacing("base.training.epochs = 3", "base.training.epochs = 0"), "epochs"),
        (replacing("base.training.epochs = 3", "base.loss.gamma = 3.0"), "would have no effect"),
        (replacing('first = "fast"', 'aside = true\nfirst = "fast"'), "must be the claim itself"),
        (replacing('source = "nobody"', 'source = "a\\n\\n**b**"'), "one printable line"),
        (replacing('"digits"', '"npz:here.npz"'), "absolute path"),
        (
            replacing('factor = ["optimizer.lr"]', 'factor = ["optimizer.lr", "model.l2"]'),
            "which no arm sets",
        ),
        (replacing("[scales.quick]", "[scales.quick]\ngrid.model.l2 = [0.0, 1.0]"), "no effect without"),
        (replacing("[scales.quick]", "[tune]\ngrid.model.l2 = [0.1, 0.1]\n[scales.quick]"), "each once"),
        (replacing("[scales.quick]", "[tune]\ngrid.optimizer.lr = [1, 2]\n[scales.quick]"), "in the factor"),
        (
            replacing("[scales.quick]", '[tune]\nmetric="gap"\ngrid.model.l2 = [0.1, 1.0]\n[scales.quick]'),
            "must not look at the test images",
        ),
        (
            replacing(
                "[scales.quick]",
                "[tune]\n" + "".join(f"grid.x{n} = [1, 2, 3, 4]\n" for n in range(12)) + "[scales.quick]",
            ),
            "100 combinations",
        ),
        (replacing("[scales.quick]", "[scales.quick]\nbase.training.seed = 3"), "seed pairs the arms"),
        (lambda: "x = " + "9" * 5000, "TOML"),
        (lambda: "base." + "a." * 3000 + "b = 1", "TOML"),
        (lambda: "x = [", "TOML"),
        (lambda: "x = " + "[" * 100_000, "TOML"),
        (lambda: STUDY + "#" * 300_000, "at most"),
        (lambda: "arms = 3\nbase = 4\nscales = 5", "A study needs"),
    ],
)
def test_what_is_wrong_is_said(text: Callable[[], str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check(text())


def test_a_layer_that_is_not_there_is_refused() -> None:
    text = STUDY.replace("test_accuracy", "layer/fc9/near_zero").replace(
        "base.training.epochs = 3", "base.training.epochs = 3\nbase.training.diagnostics = true"
    )
    with pytest.raises(SpecError, match=r"arm fast has no such layer\. Layers with weights: logits"):
        check(text)


def test_so_few_seeds_that_no_corrected_p_could_pass_are_refused() -> None:
    second = STUDY[STUDY.index("[[contrasts]]") : STUDY.index("[scales.quick]")].replace("accuracy", "loss")
    definition = read_definition(STUDY.replace("[scales.quick]", second + "[scales.quick]"))
    with pytest.raises(SpecError, match="With 2 contrasts a study needs 7 seeds at least"):
        check_study(definition, "quick", seeds=6)
    check_study(definition, "quick", seeds=7)


def test_arms_may_not_differ_in_what_a_choice_brings_with_it() -> None:
    text = STUDY.replace("optimizer.lr = 0.001", 'model.init = "paper"').replace(
        "optimizer.lr = 0.1", 'model.init = "he_normal"'
    )
    text = text.replace("optimizer.lr", "model.init").replace("softmax", "convnet4")
    with pytest.raises(SpecError, match=r"differ in more than their factor: in data\.normalize"):
        check(text)
    check(text.replace("base.training", 'base.data.normalize = "mean"\nbase.training'))


@pytest.mark.parametrize("definition", list_definitions(), ids=lambda one: one.name)
def test_every_study_of_the_catalog_can_be_run_at_every_scale(definition: Definition) -> None:
    assert definition.source
    for name, scale in definition.scales.items():
        check_study(definition, name, seeds=scale.seeds)
