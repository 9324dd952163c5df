"""Uses a trained network, for `cnnctl predict`, `evaluate`, `export` and `detect`; prints one JSON document.

As in: python -m models.inference.acts predict RUN_FOLDER --file best.keras photo.jpg
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from models.errors import CannotExport, CannotSlide, DatasetError, DivergedNetwork


def predict(given: argparse.Namespace) -> object:
    """The likeliest classes of each image."""
    from models.inference.saved_network import load_network

    network = load_network(given.folder, file=given.file)
    names = network.about.class_names
    probabilities_NK = network.predict(network.read(given.images))
    found = []
    for image, p_K in zip(given.images, probabilities_NK, strict=True):
        likeliest = (-p_K).argsort(kind="stable")[: given.top]
        classes = [{"class": names[label], "probability": _or_none(p_K[label])} for label in likeliest]
        found.append({"image": str(image), "classes": classes})
    return found


def evaluate(given: argparse.Namespace) -> object:
    """Scores on the test images of a dataset."""
    from models.inference.evaluation import evaluate_network
    from models.inference.saved_network import load_network

    network = load_network(given.folder, file=given.file)
    return evaluate_network(network, given.dataset, directory=given.datasets_dir, ten_crop=given.ten_crop)


def export(given: argparse.Namespace) -> object:
    """Write the network in another format."""
    from models.inference.export import export_network
    from models.inference.saved_network import load_network

    network = load_network(given.folder, file=given.file)
    export_network(network.model, given.output, format=given.format)
    return {"format": given.format, "path": str(given.output)}


def detect(given: argparse.Namespace) -> object:
    """Find objects in a larger image, and draw them into a PNG."""
    from models.inference.detection import detect_objects
    from models.inference.saved_network import load_network

    network = load_network(given.folder, file=given.file)
    return detect_objects(
        network,
        given.image,
        output=given.output,
        threshold=given.threshold,
        iou=given.iou,
        scales=given.scales,
        across_classes=given.across_classes,
    )


ACTS: Mapping[str, Callable[[argparse.Namespace], object]] = {
    "predict": predict,
    "evaluate": evaluate,
    "export": export,
    "detect": detect,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one act and print its document; if it cannot be done, print why, with exit status 2."""
    given = _parser().parse_args(arguments)
    try:
        document = ACTS[given.act](given)
    except (CannotExport, CannotSlide, DatasetError, DivergedNetwork) as error:
        sys.stdout.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    return 0


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.inference.acts", description=__doc__)
    acts = parser.add_subparsers(dest="act", required=True)
    own = {name: acts.add_parser(name, help=act.__doc__) for name, act in ACTS.items()}
    for act in own.values():
        act.add_argument("folder", type=Path)
        act.add_argument("--file", required=True)
    own["predict"].add_argument("images", type=Path, nargs="+")
    own["predict"].add_argument("--top", type=int, default=5)
    own["evaluate"].add_argument("--dataset", required=True)
    own["evaluate"].add_argument("--datasets-dir", type=Path)
    own["evaluate"].add_argument("--ten-crop", action="store_true")
    own["export"].add_argument("--format", required=True)
    own["export"].add_argument("--output", type=Path, required=True)
    own["detect"].add_argument("image", type=Path)
    own["detect"].add_argument("--output", type=Path, required=True)
    own["detect"].add_argument("--threshold", type=float, default=0.9)
    own["detect"].add_argument("--iou", type=float, default=0.3)
    own["detect"].add_argument("--scales", type=float, nargs="+", default=[])
    own["detect"].add_argument("--across-classes", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
