from itertools import pairwise

import numpy as np
import pytest

from models.catalog.class_shares import parse_class_shares
from models.catalog.lookup import CatalogError
from models.datasets.subset import choose_subset
from models.errors import DatasetError

LABELS = np.repeat(np.arange(3, dtype=np.int32), [100, 50, 9])


def choose(fraction: float = 1.0, keep: str = "all", *, seed: int = 0) -> list[int]:
    chosen = choose_subset(LABELS, fraction=fraction, shares=parse_class_shares(keep), seed=seed)
    assert np.all(np.diff(chosen) > 0)
    return [int(number) for number in chosen]


def count(chosen: list[int]) -> list[int]:
    return [int(number) for number in np.bincount(LABELS[chosen], minlength=3)]


def test_all_images_are_used_unless_a_part_was_asked_for() -> None:
    assert choose() == list(range(159))


@pytest.mark.parametrize(
    ("fraction", "keep", "counts"),
    [
        (0.1, "all", [10, 5, 1]),
        (0.29, "all", [29, 14, 2]),
        (0.001, "all", [1, 1, 1]),
        (1.0, "0:0.1, 2:0.5", [10, 50, 4]),
        (0.5, "0:0.1", [5, 25, 4]),
    ],
)
def test_every_class_keeps_its_share_and_at_least_an_image(
    fraction: float, keep: str, counts: list[int]
) -> None:
    assert count(choose(fraction, keep)) == counts


def test_a_smaller_part_is_a_part_of_a_larger_one() -> None:
    parts = [set(choose(fraction)) for fraction in (0.01, 0.1, 0.33, 0.7, 1.0)]
    assert all(small < large for small, large in pairwise(parts))
    assert set(choose(0.5, "1:0.2")) < set(choose(0.5))


def test_the_seed_chooses() -> None:
    assert choose(0.1) == choose(0.1) != choose(0.1, seed=1)


@pytest.mark.parametrize("text", ["", "0", "0:", "a:0.5", "0:0.5,", "0:x", "0:0.5,0:0.1", "-1:0.5"])
def test_text_of_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CatalogError, match=r"as in 0:0\.1,3:0\.5"):
        parse_class_shares(text)


@pytest.mark.parametrize("share", ["0", "-0.1", "1.1", "nan", "inf"])
def test_a_share_is_above_0_and_at_most_1(share: str) -> None:
    with pytest.raises(CatalogError, match="above 0 and at most 1"):
        parse_class_shares(f"0:{share}")


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(DatasetError, match="names class 3, which has no training images"):
        choose(keep="3:0.5")
