"""Classifies images that somebody has sent, with the network that a job has trained."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cnnctl.views.networks import PredictionView
from service.commands.networks.trained import get_trained
from service.commands.people.permissions import check_scope
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.errors import SpecError, TooManyRequests
from service.settings import Settings
from service.store.transaction import Store

MOST_IMAGES = 16
TOP = 5  # classes that are said of each
LONGEST_SECONDS = 120.0  # of the process that loads the network
WAIT_SECONDS = 1.0  # for others whose images are looked at: who waits holds a thread of the service
# How files of these kinds begin. Of others, some run programs to be decoded.
KINDS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")

_turn = threading.Lock()  # each look starts a TensorFlow, which takes some 700 MiB: one at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class SentImage:
    """A file as it was sent."""

    name: str
    content: bytes


def predict_sent(
    store: Store, settings: Settings, job_id: JobId, images: Sequence[SentImage], *, actor: Actor
) -> Sequence[PredictionView]:
    """The likeliest classes of images; nothing of them is kept.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has not succeeded, or its files are not on this machine.
        SpecError: there are no images, too many, or one cannot be read.
        NotAllowed: `actor` may only read.
        MissingExtra: Keras is not installed where this runs.
        TooManyRequests: others are at it.
    """
    check_scope(actor, act="use a network")
    if not 1 <= len(images) <= MOST_IMAGES:
        raise SpecError(f"Choose from 1 to {MOST_IMAGES} images. Received: {len(images)}")
    for number, image in enumerate(images, start=1):
        if not image.content.startswith(KINDS):
            raise SpecError(
                f"image {number} cannot be read as an image: it is no PNG, JPEG, GIF, BMP, TIFF or WebP"
            )
    trained = replace(get_trained(store, settings, job_id), longest_seconds=LONGEST_SECONDS)
    if not _turn.acquire(timeout=WAIT_SECONDS):
        raise TooManyRequests("Others let a network look at images just now. Try again in a moment")
    try:
        with TemporaryDirectory(prefix="cnnctl-images-") as folder:
            paths = [Path(folder) / f"image {number}" for number in range(1, len(images) + 1)]
            for path, image in zip(paths, images, strict=True):
                path.write_bytes(image.content)
            try:
                found = trained.predict(paths, top=TOP)
            except SpecError as error:
                raise SpecError(str(error).replace(f"{folder}/", "")) from None
    finally:
        _turn.release()
    return [replace(view, image=image.name) for view, image in zip(found, images, strict=True)]
