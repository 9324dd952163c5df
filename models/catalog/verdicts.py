"""Judges what was measured inside a network, layer by layer. Imports neither NumPy nor Keras."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PREFIX = "layer/"
# What is measured of each layer with weights; activations are those of the hidden layers.
QUANTITIES: Mapping[str, str] = {
    "gradient_norm": "norm of the data loss's gradient with respect to the kernel",
    "gradient_ratio": "`gradient_norm` over that of the first layer",
    "weight_norm": "norm of the kernel",
    "near_zero": "share of the kernel's weights below 0.001 in size",
    "symmetric": "1 where all units have the same weights and the same gradient, else 0",
    "saturated": "share of activations where sigmoid or tanh is within 5 % of its bounds",
    "dead": "share of units whose ReLU is 0 for every image and place",
    "activation_mean": "mean of the activations",
    "activation_variance": "variance of the activations",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a verdict is passed: the quantity, its threshold, why there, and what to try."""

    threshold: float
    reason: str
    advice: str
    source: str


FEWEST_EPOCHS = 3
CHANCE = "chance_accuracy"  # metric: share of the most frequent class among the training images
LARGEST_CHANCE = 0.5  # where most images are of one class, accuracy does not tell who has learned the others
GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, AISTATS 2010"
RULES: Mapping[str, Rule] = {
    "vanishing gradient": Rule(
        threshold=1e-3,
        reason="the first layer's gradient over the last hidden layer's: it learns a thousand times slower",
        advice="try --activation relu, --norm batch or --init he_normal",
        source=f"{GLOROT}, section 4.2",
    ),
    "vanishing signal": Rule(
        threshold=1e-6,
        reason="the last hidden layer's variance of activations over the first's: images look all alike",
        advice="try --init he_normal, --init orthogonal or --norm batch",
        source=f"{GLOROT}, section 4.2",
    ),
    "exploding gradient": Rule(
        threshold=100.0,
        reason="a layer's gradient over its weights: at a learning rate of 0.01, a step outgrows the layer",
        advice="try a smaller --lr, --norm batch or --init orthogonal",
        source="Pascanu, Mikolov and Bengio, On the difficulty of training recurrent networks, ICML 2013",
    ),
    "dead ReLU": Rule(
        threshold=0.5,
        reason="share of units that are 0 for every image: they get no gradient and cannot recover",
        advice="try a smaller --lr, --init he_normal or --norm batch",
        source="Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013",
    ),
    "saturation": Rule(
        threshold=0.5,
        reason="share of activations at their bounds, where the derivative is nearly 0",
        advice="try --init glorot_uniform, --activation relu or --norm batch",
        source=f"{GLOROT}, section 3",
    ),
    "not finite": Rule(
        threshold=1.0,
        reason="how many of the layer's quantities are NaN or infinite: no step can undo that",
        advice="try a smaller --lr, --norm batch or --init orthogonal",
        source="IEEE 754: what is computed with a NaN is a NaN",
    ),
    "does not learn": Rule(
        threshold=1.2,
        reason=f"accuracy over that of the most frequent class, after {FEWEST_EPOCHS} epochs or more, "
        "where that class has at most half of the images",
        advice="try another --lr, --init or --norm batch",
        source="whoever names the most frequent class always has learned nothing; 1.2 leaves room for chance",
    ),
    "symmetric units": Rule(
        threshold=1.0,
        reason="all units of a layer have the same weights and gradient: they always stay equal",
        advice="try --init glorot_uniform or another random initializer",
        source="Goodfellow, Bengio and Courville, Deep Learning, 2016, section 8.4",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong, where (`layer`, empty of the whole network), and by how much; `message` says it."""

    name: str
    layer: str
    value: float
    threshold: float
    message: str


def judge(values: Mapping[str, float | None], *, epochs: int = 0, likely_cause: str = "") -> list[Verdict]:
    """Judge the newest values of metrics, None where one is not finite; a healthy network gets no verdict.

    `likely_cause` is said in place of the usual advice if a network does not learn.
    """
    layers = _by_layer(values)
    verdicts = [
        _verdict(name, layer, value)
        for layer, found in layers.items()
        for name, quantity in (
            ("dead ReLU", "dead"),
            ("saturation", "saturated"),
            ("symmetric units", "symmetric"),
        )
        if (value := found.get(quantity, 0.0)) >= RULES[name].threshold
    ]
    learning = _judge_learning(values, epochs=epochs, likely_cause=likely_cause)
    return [
        *learning,
        *_judge_finiteness(values),
        *_judge_gradients(layers),
        *_judge_signal(layers),
        *verdicts,
    ]


def _judge_learning(
    values: Mapping[str, float | None], *, epochs: int, likely_cause: str
) -> Sequence[Verdict]:
    chance, reached = values.get(CHANCE), [values.get("accuracy"), values.get("val_accuracy")]
    if epochs < FEWEST_EPOCHS or not chance or chance > LARGEST_CHANCE:
        return []
    ratio = max((value for value in reached if value is not None), default=math.inf) / chance
    if ratio > RULES["does not learn"].threshold:
        return []
    return [_verdict("does not learn", "", ratio, likely_cause=likely_cause)]


def _judge_finiteness(values: Mapping[str, float | None]) -> Sequence[Verdict]:
    wrong: dict[str, int] = {}
    for name, value in values.items():
        if name.startswith(PREFIX) and (value is None or not math.isfinite(value)):
            layer = name.removeprefix(PREFIX).rpartition("/")[0]
            wrong[layer] = wrong.get(layer, 0) + 1
    return [_verdict("not finite", layer, wrong[layer]) for layer in sorted(wrong, key=in_order)]


def _judge_gradients(layers: Mapping[str, Mapping[str, float]]) -> Sequence[Verdict]:
    norms = {layer: found["gradient_norm"] for layer, found in layers.items() if "gradient_norm" in found}
    verdicts = []
    for layer, norm in norms.items():
        # At least 1: weights that begin at or near 0 have to grow by more than they are.
        ratio = norm / max(layers[layer].get("weight_norm", 1.0), 1.0)
        if ratio > RULES["exploding gradient"].threshold:
            verdicts.append(_verdict("exploding gradient", layer, ratio))
    hidden = list(norms)[:-1]  # the logits see the loss directly
    if len(hidden) > 1 and norms[hidden[-1]] > 0:
        ratio = norms[hidden[0]] / norms[hidden[-1]]
        if ratio < RULES["vanishing gradient"].threshold:
            verdicts.append(_verdict("vanishing gradient", hidden[0], ratio))
    return verdicts


def _judge_signal(layers: Mapping[str, Mapping[str, float]]) -> Sequence[Verdict]:
    """Compare how much images differ in the last hidden layer with how much they differ in the first."""
    hidden = [layer for layer, found in layers.items() if "activation_variance" in found]
    if len(hidden) < 2 or layers[hidden[0]]["activation_variance"] == 0:
        return []
    ratio = layers[hidden[-1]]["activation_variance"] / layers[hidden[0]]["activation_variance"]
    if ratio >= RULES["vanishing signal"].threshold:
        return []
    return [_verdict("vanishing signal", hidden[-1], ratio)]


def _verdict(name: str, layer: str, value: float, *, likely_cause: str = "") -> Verdict:
    rule = RULES[name]
    where = f" in {layer}" if layer else ""
    message = f"{name}{where}: {value:.2g} ({rule.reason}); {likely_cause or rule.advice}"
    return Verdict(name=name, layer=layer, value=value, threshold=rule.threshold, message=message)


def _by_layer(values: Mapping[str, float | None]) -> Mapping[str, dict[str, float]]:
    layers: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        if name.startswith(PREFIX) and value is not None and math.isfinite(value):
            layer, _, quantity = name.removeprefix(PREFIX).rpartition("/")
            layers.setdefault(layer, {})[quantity] = value
    return {layer: layers[layer] for layer in sorted(layers, key=in_order)}


def in_order(layer: str) -> list[tuple[int, str]]:
    """Sort key that puts hidden10 behind hidden2: networks number their layers, the logits come last."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", layer)]
