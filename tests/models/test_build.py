import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.build import logits_model
from models.catalog.lookup import ARCHITECTURES, CatalogError
from tests.models.built_costs import list_costs

Build = Callable[..., Any]
SPATIAL = "spatial:0.2"
STANDARD = "standard:0.5"


def pixels(count: int = 4, shape: tuple[int, int, int] = (32, 32, 3)) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.float32)


@pytest.fixture
def bfloat16() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


VGG16 = {"stages": "2x64,2x128,3x256,3x512,3x512", "dense_units": 4096}
VARIANTS: list[tuple[str, int, int, dict[str, Any], int]] = [
    ("softmax", 32, 10, {}, 30_730),
    ("mlp", 32, 10, {}, 411_146),
    ("lenet5", 32, 10, {}, 62_006),
    ("convnet4", 32, 10, {}, 89_578),
    ("alexnet", 227, 1000, {}, 60_965_224),
    ("alexnet", 227, 1000, {"towers": 1}, 62_378_344),
    ("alexnet", 224, 1000, {"padding": 2}, 60_965_224),
    ("alexnet", 227, 10, {"towers": 1, "width": 0.5}, 14_601_930),
    ("alexnet", 32, 10, {}, 28_569_994),
    ("nin", 32, 10, {}, 1_087_946),
    ("vgg", 32, 10, {}, 879_914),
    ("vgg", 224, 1000, VGG16, 138_357_544),
]


@pytest.mark.parametrize(("architecture", "side", "num_classes", "options", "parameters"), VARIANTS)
def test_a_network_has_the_parameters_that_its_file_states(
    build: Build,
    architecture: str,
    side: int,
    num_classes: int,
    options: dict[str, Any],
    parameters: int,
) -> None:
    # Zeros are drawn at once.
    model = build(
        architecture, input_shape=(side, side, 3), num_classes=num_classes, options=options, init="zeros"
    )
    assert model.count_params() == parameters
    assert model.output_shape == (None, num_classes)
    stated = importlib.import_module(f"models.architectures.{architecture}").__doc__
    assert f"{parameters:,}" in str(stated)


def test_alexnet_has_the_shapes_of_its_figure(build: Build) -> None:
    model = build("alexnet", input_shape=(227, 227, 3), num_classes=1000, init="zeros", norm="lrn")
    table = {layer.name: (layer.output.shape[1:], layer.count_params()) for layer in model.layers}
    assert table["conv1"] == ((55, 55, 96), 34_944)
    assert table["conv2"] == ((27, 27, 256), 307_456)
    assert table["conv3"] == ((13, 13, 384), 885_120)
    assert table["conv4"] == ((13, 13, 384), 663_936)
    assert table["conv5"] == ((13, 13, 256), 442_624)
    assert table["pool5"] == ((6, 6, 256), 0)
    assert table["fc6"] == ((4096,), 37_752_832)
    assert table["fc7"] == ((4096,), 16_781_312)
    assert table["logits"] == ((1000,), 4_097_000)
    assert [model.get_layer(f"conv{n}").groups for n in (1, 2, 3, 4, 5)] == [1, 2, 1, 2, 2]
    assert [layer.name for layer in model.layers if "lrn" in layer.name] == ["conv1_lrn", "conv2_lrn"]


def test_alexnets_dropout_follows_its_two_hidden_dense_layers(build: Build) -> None:
    names = [layer.name for layer in build("alexnet", dropout=STANDARD).layers]
    assert [name for name in names if "dropout" in name] == ["fc7_dropout", "logits_dropout"]


@pytest.mark.parametrize(("kernel", "stages", "share"), [(5, "2x8", 0.72), (7, "3x8", 0.55)])
def test_stacked_3x3_convolutions_see_as_much_with_fewer_weights(
    build: Build, kernel: int, stages: str, share: float
) -> None:
    def build_one(kernel: int) -> Any:
        return build("vgg", input_shape=(32, 32, 8), options={"stages": stages, "kernel": kernel})

    def weights(model: Any) -> int:
        return sum(
            layer.kernel.numpy().size
            for layer in model.layers
            if layer.name.startswith("conv1_") and layer.weights
        )

    def field(model: Any) -> Any:
        return next(layer.receptive_field for layer in list_costs(model) if layer.name == "pool1")

    small, large = build_one(3), build_one(kernel)
    assert weights(small) / weights(large) == pytest.approx(share, abs=0.005)
    assert field(small) == field(large)


@pytest.mark.parametrize(
    ("architecture", "biases"),
    [
        ("alexnet", {"conv2", "conv4", "conv5", "fc6", "fc7"}),
        ("convnet4", set()),
        ("nin", set()),
        ("vgg", set()),
    ],
)
def test_paper_begins_as_the_paper_says(build: Build, architecture: str, biases: set[str]) -> None:
    model = build(architecture, init="paper")
    for layer in model.layers:
        if layer.weights:
            kernel, bias = (variable.numpy() for variable in layer.weights)
            assert (bias == (1 if layer.name in biases else 0)).all()
            deviation = 0.05 if architecture == "nin" else 0.01
            deviation = 0.0001 if (architecture, layer.name) == ("convnet4", "conv1") else deviation
            assert kernel.std() == pytest.approx(deviation, rel=0.1)


def test_lenet5s_paper_draws_evenly_by_fan_in(build: Build) -> None:
    kernel = build(init="paper").get_layer("fc3").kernel.numpy()
    assert np.abs(kernel).max() <= 2.4 / 400
    assert kernel.std() == pytest.approx(2.4 / 400 / 3**0.5, rel=0.02)


@pytest.mark.parametrize("architecture", ["lenet5", "convnet4", "alexnet", "vgg"])
def test_global_average_pooling_takes_the_place_of_all_hidden_dense_layers(
    build: Build, architecture: str
) -> None:
    model = build(architecture, head="gap", init="zeros")
    assert model.get_layer("gap").output.shape == model.get_layer("logits").input.shape
    dense = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == ["logits"]
    assert model.count_params() < build(architecture, init="zeros").count_params()


def test_nins_scores_are_the_means_of_one_map_a_class(build: Build) -> None:
    model = build("nin", head="gap")
    assert not any(isinstance(layer, keras.layers.Dense) for layer in model.layers)
    probe = keras.Model(model.input, [model.get_layer("logits_maps").output, logits_model(model).output])
    maps_BHWK, logits_BK = map(keras.ops.convert_to_numpy, probe(np.full((1, 32, 32, 3), 9.0, np.float32)))
    assert maps_BHWK.shape == (1, 8, 8, 10)
    np.testing.assert_allclose(logits_BK, maps_BHWK.mean(axis=(1, 2)), rtol=1e-5)


def test_nins_second_pool_takes_means_whatever_the_first_takes(build: Build) -> None:
    for pool, first in (
        ("max:3/2", keras.layers.MaxPooling2D),
        ("average:3/2", keras.layers.AveragePooling2D),
    ):
        model = build("nin", init="zeros", pool=pool)
        assert isinstance(model.get_layer("pool1"), first)
        assert isinstance(model.get_layer("pool2"), keras.layers.AveragePooling2D)


def test_dropout_before_dense_layers_stands_before_class_maps(build: Build) -> None:
    model = build("nin", init="zeros", head="gap", dropout="standard:0.5", dropout_place="dense")
    assert [layer.name for layer in model.layers if "dropout" in layer.name] == ["logits_dropout"]


@pytest.mark.parametrize(
    ("dropout", "place", "found"),
    [
        ("standard:0.5", "pool", ["pool1_dropout", "pool2_dropout"]),
        ("spatial:0.5", "pool", ["pool1_dropout", "pool2_dropout"]),
        (
            "standard:0.5",
            "all",
            ["pool1_dropout", "pool2_dropout", "fc3_dropout", "fc4_dropout", "logits_dropout"],
        ),
    ],
)
def test_dropout_stands_where_it_was_asked_for(
    build: Build, dropout: str, place: str, found: list[str]
) -> None:
    layers = [
        layer for layer in build(dropout=dropout, dropout_place=place).layers if "dropout" in layer.name
    ]
    assert [layer.name for layer in layers] == found
    assert all(layer.rate == 0.5 for layer in layers)


def test_average_pooling_takes_the_mean_of_overlapping_windows(build: Build) -> None:
    pool = build(pool="average:3/2").get_layer("pool1")
    assert isinstance(pool, keras.layers.AveragePooling2D)
    assert (pool.pool_size, pool.strides) == ((3, 3), (2, 2))


def test_penalties_on_all_weights_take_in_those_of_batch_normalization(build: Build) -> None:
    for penalize, penalized in (("kernels", False), ("all", True)):
        model = build(l2=0.1, penalize=penalize, norm="batch", init="zeros")
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        ones = sum(layer.gamma.shape[0] for layer in layers)
        assert float(sum(model.losses)) == pytest.approx(0.1 * ones if penalized else 0.0)


def test_penalties_on_all_weights_are_on_biases_too(build: Build) -> None:
    model = build(l2=0.1, penalize="all", init="zeros")
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(np.ones(layer.bias.shape))
    units = sum(layer.bias.shape[0] for layer in model.layers if layer.weights)
    np.testing.assert_allclose(float(sum(model.losses)), 0.1 * units, rtol=1e-5)


def test_lenet5_has_the_shapes_and_parameters_of_its_table(build: Build) -> None:
    model = build("lenet5")
    table = {layer.name: (layer.output.shape[1:], layer.count_params()) for layer in model.layers}
    assert table["conv1"] == ((28, 28, 6), 456)
    assert table["pool1"] == ((14, 14, 6), 0)
    assert table["conv2"] == ((10, 10, 16), 2_416)
    assert table["pool2"] == ((5, 5, 16), 0)
    assert table["flatten"] == ((400,), 0)
    assert table["fc3"] == ((120,), 48_120)
    assert table["fc4"] == ((84,), 10_164)
    assert table["logits"] == ((10,), 850)


def test_mlp_has_an_activation_after_each_hidden_layer(build: Build) -> None:
    model = build("mlp", options={"hidden_units": 4, "hidden_layers": 3}, activation="tanh")
    names = [layer.name for layer in model.layers if "hidden" in layer.name]
    assert names == ["hidden1", "hidden1_tanh", "hidden2", "hidden2_tanh", "hidden3", "hidden3_tanh"]


def test_the_output_is_probabilities(build: Build) -> None:
    probabilities_BK = build()(pixels()).numpy()
    np.testing.assert_allclose(probabilities_BK.sum(axis=1), 1, rtol=1e-6)
    assert (probabilities_BK >= 0).all()


@pytest.mark.usefixtures("bfloat16")
def test_probabilities_are_float32_where_layers_compute_in_bfloat16(build: Build) -> None:
    model = build(pixel_mean=[120.0] * 3, pixel_std=[60.0] * 3)
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert model.get_layer("standardize").compute_dtype == "float32"
    assert model(pixels()).dtype == "float32"


def test_pixels_are_standardized_channel_by_channel(build: Build) -> None:
    mean, std = [125.0, 120.0, 110.0], [60.0, 61.0, 62.0]
    model = build("softmax", pixel_mean=mean, pixel_std=std)
    standardized = keras.Model(model.input, model.get_layer("standardize").output)
    np.testing.assert_allclose(standardized(pixels()), (pixels() - mean) / std, atol=1e-5)
    assert model.count_params() == 30_730


@pytest.mark.parametrize(
    ("mean", "std"), [([1.0], [1.0]), ([1.0] * 3, None), ([1.0] * 3, [1.0, 0.0, 1.0]), (None, [1.0] * 3)]
)
def test_statistics_that_do_not_fit_the_channels_are_refused(build: Build, mean: Any, std: Any) -> None:
    with pytest.raises(
        ValueError, match=r"one number per channel, each deviation above 0. Received: 3 channels"
    ):
        build(pixel_mean=mean, pixel_std=std)


def test_logits_model_shares_all_variables_and_ends_before_the_softmax(build: Build) -> None:
    model = build(dropout=STANDARD, norm="batch")
    logits = logits_model(model)
    assert [id(variable) for variable in logits.variables] == [id(variable) for variable in model.variables]
    np.testing.assert_allclose(keras.ops.softmax(logits(pixels())), model(pixels()), rtol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(build: Build) -> None:
    first, again, other = build(seed=1), build(seed=1), build(seed=2)
    for a, b, c in zip(first.get_weights(), again.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not a.any() or not np.array_equal(a, c)  # biases are zero


def test_layers_of_one_shape_begin_with_different_weights(build: Build) -> None:
    model = build("mlp", options={"hidden_units": 16, "hidden_layers": 3})
    second, third = (model.get_layer(name).kernel.numpy() for name in ("hidden2", "hidden3"))
    assert second.shape == third.shape
    assert not np.array_equal(second, third)


def test_dropout_leaves_the_first_weights_of_all_layers_as_they_are(build: Build) -> None:
    plain, dropped = build(), build(dropout=SPATIAL)
    for a, b in zip(plain.get_weights(), dropped.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_biases_begin_at_zero_and_kernels_as_asked(build: Build) -> None:
    for weight in build(init="normal:0.5").weights:
        assert weight.numpy().any() == weight.path.endswith("kernel")


def test_zeros_keep_all_hidden_units_equal(build: Build) -> None:
    options = {"hidden_units": 5, "hidden_layers": 1}
    model = build("mlp", init="zeros", activation="sigmoid", options=options)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    for _ in range(3):
        model.train_on_batch(pixels() / 255, np.arange(4))
    kernel_IO = model.get_layer("hidden1").kernel.numpy()
    assert kernel_IO.any()
    # Equal but for the rounding of a matrix product, whose columns are not summed in one order.
    np.testing.assert_allclose(kernel_IO, np.repeat(kernel_IO[:, :1], 5, axis=1), rtol=1e-5)


# TensorFlow 2.21 does not know NumPy 2's `copy` yet; Keras meets it when it saves.
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning:keras.src.backend.tensorflow.core"
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_network_gives_the_same_probabilities(
    build: Build, architecture: str, tmp_path: Path
) -> None:
    model = build(
        architecture,
        init="he_normal" if architecture == "alexnet" else "orthogonal",  # QR of its dense layers takes 15 s
        dropout=SPATIAL if ARCHITECTURES[architecture].has_feature_maps else STANDARD,
        norm="none" if architecture == "softmax" else "batch",
        l1=1e-5,
        l2=1e-4,
        pixel_mean=[125.0] * 3,
        pixel_std=[60.0] * 3,
    )
    model.save(tmp_path / "network.keras")
    restored = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(restored(pixels()), model(pixels()))
    np.testing.assert_allclose(sum(restored.losses), sum(model.losses))


def test_spatial_dropout_follows_each_pooling(build: Build) -> None:
    names = [layer.name for layer in build(dropout=SPATIAL).layers]
    assert [name for name in names if "dropout" in name] == ["pool1_dropout", "pool2_dropout"]
    assert names[names.index("pool1") + 1] == "pool1_dropout"


@pytest.mark.parametrize(
    ("architecture", "dropouts"),
    [
        ("softmax", ["logits_dropout"]),
        ("mlp", ["hidden1_dropout", "hidden2_dropout", "logits_dropout"]),
        ("lenet5", ["fc3_dropout", "fc4_dropout", "logits_dropout"]),
    ],
)
def test_standard_dropout_comes_before_each_dense_layer(
    build: Build, architecture: str, dropouts: list[str]
) -> None:
    names = [layer.name for layer in build(architecture, dropout=STANDARD).layers]
    assert [name for name in names if "dropout" in name] == dropouts
    assert names[names.index("logits") - 1] == "logits_dropout"


def test_batch_normalization_stands_between_linear_part_and_activation(build: Build) -> None:
    model = build(norm="batch")
    names = [layer.name for layer in model.layers]
    for name in ("conv1", "conv2", "fc3", "fc4"):
        at = names.index(name)
        assert names[at : at + 3] == [name, f"{name}_norm", f"{name}_relu"]
        assert model.get_layer(f"{name}_norm").synchronized
        assert not model.get_layer(name).use_bias
    assert model.get_layer("logits").use_bias


def test_penalties_are_on_kernels_only(build: Build) -> None:
    model = build(l1=1e-3, l2=1e-2)
    kernels = [weight.numpy() for weight in model.weights if weight.path.endswith("kernel")]
    expected = sum(1e-3 * np.abs(kernel).sum() + 1e-2 * np.square(kernel).sum() for kernel in kernels)
    np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-5)
    assert len(model.losses) == len(kernels) == 5


def test_without_penalties_there_is_no_regularization_loss(build: Build) -> None:
    assert build().losses == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"architecture": "lenet"}, "Did you mean lenet5?"),
        (
            {"input_shape": (40, 12, 3)},
            "at least 16 pixels a side, or nothing",
        ),
        ({"activation": "rellu"}, "Did you mean relu?"),
        ({"norm": "batc"}, "Did you mean batch?"),
        ({"init": "zero"}, "Did you mean zeros?"),
        ({"architecture": "softmax", "dropout": SPATIAL}, "softmax has none. Use standard:0.2"),
        ({"options": {"depth": 3}}, "Unknown option of lenet5 'depth'"),
    ],
)
def test_what_the_catalog_does_not_allow_is_not_built(build: Build, overrides: Any, message: str) -> None:
    with pytest.raises(CatalogError, match=re.escape(message)):
        build(**overrides)


def test_without_an_activation_depth_adds_nothing(build: Build) -> None:
    network = logits_model(build("mlp", activation="linear", options={"hidden_layers": 4}))
    first, second = pixels(), pixels()[::-1]
    between = (network(first) + network(second)) / 2
    np.testing.assert_allclose(network((first + second) / 2), between, rtol=1e-4, atol=1e-3)
