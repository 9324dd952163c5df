import numpy as np
import pytest

from models.datasets.order import epoch_permutation
from models.datasets.split import hold_out
from models.errors import DatasetError

LABELS = np.repeat(np.arange(3, dtype=np.int32), [50, 30, 20])


def test_a_permutation_visits_every_image_once() -> None:
    order = epoch_permutation(1000, seed=3, epoch=5)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))


def test_a_permutation_is_a_function_of_seed_and_epoch_only() -> None:
    first = epoch_permutation(100, seed=3, epoch=5)
    np.random.default_rng(0).random(10)
    np.testing.assert_array_equal(epoch_permutation(100, seed=3, epoch=5), first)
    assert not np.array_equal(epoch_permutation(100, seed=3, epoch=6), first)
    assert not np.array_equal(epoch_permutation(100, seed=4, epoch=5), first)


def test_a_permutation_is_the_same_under_every_version_of_numpy() -> None:
    assert epoch_permutation(8, seed=3, epoch=5).tolist() == [6, 4, 3, 2, 0, 7, 5, 1]


def test_a_split_is_disjoint_complete_sorted_and_in_proportion() -> None:
    train, validation = hold_out(LABELS, fraction=0.1)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(100))
    np.testing.assert_array_equal(validation, np.sort(validation))
    np.testing.assert_array_equal(train, np.sort(train))
    assert np.bincount(LABELS[validation]).tolist() == [5, 3, 2]


def test_the_held_out_images_of_a_class_are_evenly_spaced() -> None:
    _, validation = hold_out(LABELS, fraction=0.1)
    np.testing.assert_array_equal(validation, [5, 15, 25, 35, 45, 55, 65, 75, 85, 95])


def test_shares_that_are_not_whole_still_add_up() -> None:
    _, validation = hold_out(LABELS, fraction=0.07)
    assert np.bincount(LABELS[validation]).tolist() == [4, 2, 1]


def test_a_small_fraction_still_holds_out_one_image() -> None:
    train, validation = hold_out(LABELS, fraction=1e-6)
    assert (len(train), len(validation)) == (99, 1)


def test_fraction_0_holds_out_nothing() -> None:
    train, validation = hold_out(LABELS, fraction=0.0)
    assert (len(train), len(validation)) == (100, 0)


def test_the_last_image_of_a_class_is_never_held_out() -> None:
    labels = np.array([0, 1, 2, 2, 2, 3, 3], np.int32)
    for fraction in (0.01, 0.14, 0.28, 0.43):
        train, validation = hold_out(labels, fraction=fraction)
        assert set(labels[train]) == {0, 1, 2, 3}
        assert len(validation) == max(1, round(7 * fraction))
        assert set(labels[validation]) <= {2, 3}
    with pytest.raises(
        DatasetError, match=r"1 of 3 training images cannot be held out .* each of 3 classes keeps one"
    ):
        hold_out(np.arange(3, dtype=np.int32), fraction=0.1)


@pytest.mark.parametrize(("num_images", "fraction"), [(1, 0.1), (2, 0.9), (0, 0.0)])
def test_a_split_that_leaves_nothing_to_train_on_is_refused(num_images: int, fraction: float) -> None:
    with pytest.raises(DatasetError, match=f"leaves nothing to train on. Received: {num_images} images"):
        hold_out(LABELS[:num_images], fraction=fraction)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(DatasetError, match="at least 0 and below 1"):
        hold_out(LABELS, fraction=fraction)
