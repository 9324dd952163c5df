from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inference.boxes import clean_boxes, overlap, suppress_overlaps

EDGE = st.integers(0, 12).map(float)
BOXES = st.lists(st.tuples(EDGE, EDGE, EDGE, EDGE), min_size=1, max_size=25)


@settings(deadline=None, max_examples=150)
@given(boxes=BOXES, iou=st.sampled_from([0.0, 0.3, 0.5, 0.9]), data=st.data())
def test_the_boxes_that_stay_are_those_of_tensorflow(boxes: Any, iou: float, data: Any) -> None:
    """Also with equal scores, boxes without area and exchanged corners."""
    scores = data.draw(st.lists(st.integers(0, 5), min_size=len(boxes), max_size=len(boxes)))
    expected = tf.image.non_max_suppression(
        tf.constant(boxes, tf.float32), tf.constant(scores, tf.float32), len(boxes), iou_threshold=iou
    )
    found = suppress_overlaps(np.array(boxes), np.array(scores, float), iou=iou)
    assert found.tolist() == expected.numpy().tolist()


def test_overlap_is_intersection_over_union() -> None:
    box = np.array([0.0, 0.0, 2.0, 2.0])
    others = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [1, 1, 1, 1], [2, 2, 0, 0]], float)
    assert overlap(box, others) == pytest.approx([1, 1 / 7, 0, 0, 1])


def test_classes_are_cleaned_apart_and_the_surest_comes_first() -> None:
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 8], [0, 0, 9, 9]], float)
    scores = np.array([[0.95, 0.0], [0.97, 0.0], [0.5, 0.99]])
    found = clean_boxes(boxes, scores, class_names=["cat", "dog"], threshold=0.9, iou=0.3)
    assert [(box.class_name, box.score) for box in found] == [("dog", 0.99), ("cat", 0.97)]
    assert (found[1].bottom, found[1].right) == (9, 8)


def test_across_classes_one_box_of_a_place_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 1, 10, 11], [50, 50, 60, 60]], np.float64)
    scores = np.array([[0.95, 0.1], [0.2, 0.97], [0.91, 0.93]])
    names = ["cat", "dog"]
    by_class = clean_boxes(boxes, scores, class_names=names, threshold=0.9, iou=0.3)
    found = [(box.class_name, box.left) for box in by_class]
    assert found == [("dog", 1), ("cat", 0), ("dog", 50), ("cat", 50)]
    one = clean_boxes(boxes, scores, class_names=names, threshold=0.9, iou=0.3, across_classes=True)
    assert [(box.class_name, box.left) for box in one] == [("dog", 1), ("dog", 50)]
    assert clean_boxes(boxes, scores, class_names=names, threshold=1.1, iou=0.3) == []
