"""Our layers and boxes against cases that nobody here wrote: ONNX's own, and Keras's test of layers."""

import importlib
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras.src import testing
from onnx.backend.test.case import node as cases

from models.inference.boxes import suppress_overlaps
from models.layers.dropout import Dropout
from models.layers.local_response_normalization import LocalResponseNormalization
from models.layers.spatial_dropout import SpatialDropout2D
from models.layers.tower_conv2d import TowerConv2D


def cases_of(operator: str) -> list[Any]:
    """Those of one operator; `collect_testcases` would compute all, 3 s at each start of pytest."""
    importlib.import_module(f"{cases.__name__}.{operator.lower()}")
    of_it = [
        case for case in cases._NodeTestCases if [n.op_type for n in case.model.graph.node] == [operator]
    ]
    assert of_it
    return [pytest.param(case, id=case.name) for case in of_it]


def attributes_of(case: Any) -> dict[str, Any]:
    node = case.model.graph.node[0]
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


@pytest.mark.parametrize("case", cases_of("LRN"))
def test_local_response_normalization_gives_what_onnx_says(case: Any) -> None:
    """ONNX divides alpha by the size of the window, and has channels first."""
    given = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0, **attributes_of(case)}
    layer = LocalResponseNormalization(
        n=given["size"], k=given["bias"], alpha=given["alpha"] / given["size"], beta=given["beta"]
    )
    for (x_BCHW,), (expected_BCHW,) in case.data_sets:
        found_BHWC = keras.ops.convert_to_numpy(layer(np.moveaxis(x_BCHW, 1, -1)))
        np.testing.assert_allclose(np.moveaxis(found_BHWC, -1, 1), expected_BCHW, rtol=1e-5)


@pytest.mark.parametrize("case", cases_of("NonMaxSuppression"))
def test_the_boxes_that_stay_are_those_that_onnx_says(case: Any) -> None:
    centred = attributes_of(case).get("center_point_box", 0)
    for (boxes_BN4, scores_BKN, most, iou, threshold), (expected,) in case.data_sets:
        found = []
        for image, scores_KN in enumerate(scores_BKN):
            boxes_N4 = boxes_BN4[image].astype(np.float64)
            if centred:
                middle, size = boxes_N4[:, :2], boxes_N4[:, 2:]
                boxes_N4 = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
            for label, scores_N in enumerate(scores_KN):
                sure = np.flatnonzero(scores_N > threshold[0])
                kept = sure[suppress_overlaps(boxes_N4[sure], scores_N[sure], iou=float(iou[0]))]
                found += [[image, label, int(number)] for number in kept[: int(most[0])]]
        assert found == expected.tolist()


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights:UserWarning")
@pytest.mark.parametrize(
    ("layer", "arguments", "shape", "weights", "seeds"),
    [
        (Dropout, {"rate": 0.4, "seed": 3}, (2, 5), 0, 1),
        (SpatialDropout2D, {"rate": 0.4, "seed": 3}, (2, 4, 4, 6), 0, 1),
        (LocalResponseNormalization, {"n": 3, "groups": 2}, (2, 4, 4, 6), 0, 0),
        (LocalResponseNormalization, {"n": 3, "within": True}, (2, 4, 4, 6), 0, 0),
        (TowerConv2D, {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "same"}, (2, 4, 4, 6), 2, 0),
    ],
)
def test_every_layer_of_ours_passes_the_test_that_keras_has_for_its_own(
    layer: Any, arguments: dict[str, Any], shape: tuple[int, ...], weights: int, seeds: int
) -> None:
    output = (*shape[:-1], arguments.get("filters", shape[-1]))
    testing.TestCase().run_layer_test(
        layer,
        init_kwargs=arguments,
        input_shape=shape,
        expected_output_shape=output,
        expected_num_trainable_weights=weights,
        expected_num_non_trainable_weights=0,
        expected_num_seed_generators=seeds,
        expected_num_losses=0,
        supports_masking=layer in (Dropout, SpatialDropout2D),
    )
