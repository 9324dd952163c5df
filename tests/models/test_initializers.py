import math

import keras
import numpy as np
import numpy.typing as npt
import pytest

from models.catalog.lookup import INITIALIZERS, CatalogError, Choice, parse_choice
from models.initializers import Orthogonal, make_initializer


def draw(text: str, shape: tuple[int, ...], *, seed: int = 1) -> npt.NDArray[np.float32]:
    choice = parse_choice(text, kind="initializer", entries=INITIALIZERS)
    drawn: npt.NDArray[np.float32] = keras.ops.convert_to_numpy(make_initializer(choice, seed=seed)(shape))
    return drawn


@pytest.mark.parametrize(
    ("text", "variance"),
    [
        ("normal:0.02", 0.02**2),
        ("uniform:0.3", 0.3**2 / 3),
        ("glorot_uniform", 2 / 700),
        ("glorot_normal", 2 / 700),
        ("he_uniform", 2 / 400),
        ("he_normal", 2 / 400),
        ("kaiming_fan_out", 2 / 300),
        ("lecun_normal", 1 / 400),
    ],
)
def test_the_variance_is_the_one_of_the_paper(text: str, variance: float) -> None:
    kernel_IO = draw(text, (400, 300))
    assert kernel_IO.mean() == pytest.approx(0, abs=4 * math.sqrt(variance / kernel_IO.size))
    assert kernel_IO.var() == pytest.approx(variance, rel=0.03)


def test_a_convolutions_fan_in_counts_its_window() -> None:
    assert draw("he_normal", (5, 5, 16, 500)).var() == pytest.approx(2 / (5 * 5 * 16), rel=0.03)


def test_a_convolutions_fan_out_counts_its_window() -> None:
    assert draw("kaiming_fan_out", (5, 5, 500, 16)).var() == pytest.approx(2 / (5 * 5 * 16), rel=0.03)


@pytest.mark.parametrize("shape", [(600, 520), (520, 600)])
def test_a_large_orthogonal_kernel_is_orthonormal(shape: tuple[int, int]) -> None:
    kernel_IO = draw("orthogonal", shape)
    square = kernel_IO.T @ kernel_IO if shape[0] > shape[1] else kernel_IO @ kernel_IO.T
    np.testing.assert_allclose(square, np.eye(520), atol=1e-4)


@pytest.mark.parametrize("shape", [(12, 12), (24, 12), (12, 24)])
def test_no_element_of_an_orthogonal_kernel_has_a_preferred_sign(shape: tuple[int, int]) -> None:
    """A decomposition alone prefers signs: of LAPACK's SVD and QR, means are far from 0."""
    draws = 2000
    kernels = np.stack([draw("orthogonal", shape, seed=seed) for seed in range(draws)])
    deviations = kernels.mean(axis=0) * math.sqrt(max(shape) * draws)  # normal with variance 1
    assert np.abs(deviations).max() < 5
    assert deviations.std() == pytest.approx(1, abs=0.2)


def test_uniform_stays_within_its_half_width() -> None:
    assert np.abs(draw("uniform:0.1", (100, 100))).max() <= 0.1


def test_zeros_are_zero() -> None:
    assert not draw("zeros", (5, 5, 3, 6)).any()


@pytest.mark.parametrize("shape", [(400, 120), (5, 5, 3, 6), (3, 3, 64, 64)])
def test_orthogonal_has_orthonormal_columns_with_more_inputs_than_units(shape: tuple[int, ...]) -> None:
    kernel_IO = draw("orthogonal", shape).reshape(-1, shape[-1])
    np.testing.assert_allclose(kernel_IO.T @ kernel_IO, np.eye(shape[-1]), atol=1e-5)


def test_orthogonal_has_orthonormal_rows_with_more_units_than_inputs() -> None:
    kernel_IO = draw("orthogonal", (1, 1, 20, 50)).reshape(20, 50)
    np.testing.assert_allclose(kernel_IO @ kernel_IO.T, np.eye(20), atol=1e-5)


def test_orthogonal_is_rebuilt_from_its_saved_form() -> None:
    saved = keras.saving.serialize_keras_object(Orthogonal(seed=4))
    copy = keras.saving.deserialize_keras_object(saved)
    drawn, again = (keras.ops.convert_to_numpy(made((6, 4))) for made in (Orthogonal(seed=4), copy))
    np.testing.assert_array_equal(again, drawn)


def test_orthogonal_refuses_a_vector() -> None:
    with pytest.raises(ValueError, match=r"at least 2 dimensions. Received: shape="):
        Orthogonal(seed=1)((5,))


def test_an_unknown_initializer_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CatalogError, match=r"Did you mean orthogonal?"):
        make_initializer(Choice(name="ortogonal"), seed=1)
