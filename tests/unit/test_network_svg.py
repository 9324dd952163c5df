"""Each network is drawn whole, inside its frame, in words and shapes, and as XML without any style."""

from itertools import combinations
from xml.etree.ElementTree import Element, fromstring

import pytest

from cnnctl.views.networks import LayerView, NetworkView
from cnnctl.views.requests import NetworkRequest
from models.catalog.lookup import ARCHITECTURES
from service.commands.networks.description import describe_network
from service.web.network_blocks import KINDS, list_stages
from service.web.network_svg import CELL, LETTER, draw_network

SVG = "{http://www.w3.org/2000/svg}"
VGG16 = {"stages": "2x64,2x128,3x256,3x512,3x512", "dense_units": 4096}
MOST_BYTES = 60_000
Box = tuple[float, float, float, float]


def describe(architecture: str, **fields: object) -> NetworkView:
    return describe_network(architecture, NetworkRequest(fields=fields))


def layer(name: str, kind: str = "Conv2D", **given: object) -> LayerView:
    figures = {"output_shape": (28, 28, 64), "activations": 50_176, "parameters": 100, "macs": 1000}
    more = {"receptive_field": 3, "stride": 1, "dense_parameters": None}
    return LayerView(name=name, kind=kind, **{**figures, **more, **given})  # type: ignore[arg-type]


def network(*layers: LayerView) -> NetworkView:
    return NetworkView(
        architecture="made up",
        input_shape=(28, 28, 3),
        layers=layers,
        total_parameters=sum(one.parameters for one in layers),
        total_macs=sum(one.macs for one in layers),
        training_bytes=1,
    )


def box_of(shape: Element) -> Box:
    """Left, top, right and bottom of a block."""
    if shape.tag == f"{SVG}rect":
        x, y, width, height = (float(shape.attrib[name]) for name in ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    # A pool: M left top L right inner V inner L left bottom Z.
    first, second, third = shape.attrib["d"][1:-1].split("L")
    left, top = map(float, first.split())
    return left, top, float(second.partition(" ")[0]), float(third.split()[1])


def check_drawing(text: str, *, width: int) -> Element:
    """What holds of every drawing."""
    root = fromstring(text)
    _, _, across, down = map(float, root.attrib["viewBox"].split())
    assert across == width
    assert root.attrib["role"] == "img"
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    for element in root.iter():
        assert "style" not in element.attrib
        assert element.tag.removeprefix(SVG) not in ("style", "script")
    for one in root.iter(f"{SVG}text"):
        length = float(one.get("textLength", len(one.text or "") * LETTER))
        x, y = float(one.attrib["x"]), float(one.attrib["y"])
        left = x if one.get("text-anchor") == "start" else x - length / 2
        assert 0 <= left <= left + length <= across, one.text
        assert 0 < y < down
    boxes = [box_of(one) for one in root.iter() if one.get("class") == "block"]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= across
        assert 0 <= top < bottom <= down
        assert right - left < CELL
    for one_box, other in combinations(boxes, 2):
        assert (
            one_box[2] <= other[0]
            or other[2] <= one_box[0]
            or one_box[3] <= other[1]
            or other[3] <= one_box[1]
        )
    return root


@pytest.mark.parametrize("width", [360, 1000])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_of_the_catalog_is_drawn_whole(architecture: str, width: int) -> None:
    view = describe(architecture)
    text = draw_network(view, width=width)
    root = check_drawing(text, width=width)
    hints = [one.text or "" for one in root.findall(f".//{SVG}g/{SVG}title")]
    named = [name for hint in hints for name in hint.split(", ")]
    assert named == ["image", *(layer.name for layer in view.layers)]
    assert len(text.encode()) <= MOST_BYTES


@pytest.mark.parametrize("norm", ["none", "lrn", "batch"])
@pytest.mark.parametrize(
    "architecture", [name for name, one in ARCHITECTURES.items() if one.has_feature_maps]
)
def test_every_kind_of_layer_has_a_class_and_a_word(architecture: str, norm: str) -> None:
    view = describe(architecture, norm=norm, dropout="spatial:0.2")
    assert {layer.kind for layer in view.layers} <= KINDS.keys()
    check_drawing(draw_network(view, width=1000), width=1000)


def test_vgg16_is_drawn_within_its_bytes() -> None:
    request = NetworkRequest(fields=VGG16, input_shape=(224, 224, 3), classes=1000)
    text = draw_network(describe_network("vgg", request), width=1000)
    check_drawing(text, width=1000)
    assert len(text.encode()) <= MOST_BYTES
    assert "138 M parameters" in text


def test_a_pool_ends_its_stage_and_features_are_a_stage_of_their_own() -> None:
    stages = [
        (stage.sides, [block.name for block in stage.blocks]) for stage in list_stages(describe("lenet5"))
    ]
    assert stages == [
        ((32, 32), ["image"]),
        ((28, 28), ["conv1", "pool1"]),
        ((10, 10), ["conv2", "pool2"]),
        ((), ["flatten", "fc3", "fc4", "logits"]),
    ]


def test_layers_that_share_a_prefix_are_one_block() -> None:
    inner = [layer(f"inception_3a/{name}") for name in ("1x1", "3x3", "5x5")]
    view = network(layer("conv1"), *inner, layer("inception_3a/concat", "Concatenate"), layer("add", "Add"))
    blocks = [block for stage in list_stages(view) for block in stage.blocks]
    assert [(one.name, one.kind, one.word) for one in blocks[1:]] == [
        ("conv1", "conv", "convolution"),
        ("inception_3a", "group", "4 layers"),
        ("add", "other", "Add"),
    ]
    assert (blocks[2].parameters, blocks[2].macs) == (400, 4000)
    root = check_drawing(draw_network(view, width=1000), width=1000)
    assert any("inception_3a/5x5" in (one.text or "") for one in root.iter(f"{SVG}title"))


def test_many_equal_layers_in_a_row_are_one_block() -> None:
    view = describe("mlp", hidden_layers=400)
    text = draw_network(view, width=360)
    check_drawing(text, width=360)
    assert "399 × dense" in text
    assert len(text.encode()) <= MOST_BYTES


def test_what_others_have_named_is_text_and_no_markup() -> None:
    name = '<script>alert("1")</script>' * 9
    root = check_drawing(draw_network(network(layer(name)), width=360), width=360)
    assert root.findall(f".//{SVG}g/{SVG}title")[1].text == name
