"""The images of a run: on the devices if they fit, else in files that are decoded during training.

Shapes: N images of a split, H W stored image, C channels.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.datasets.arrays import ImageArrays
from models.datasets.files.decoder import Decoder, recall_survey
from models.datasets.files.depth import WhiteLevels
from models.datasets.files.image_files import ImageFiles, drop_broken
from models.datasets.pixel_statistics import PixelStatistics, pixel_statistics
from models.datasets.split import Indices, hold_out
from models.datasets.subset import choose_subset
from models.datasets.summary import summarize
from models.datasets.unpacked import load_unpacked
from service.domain.spec import Spec

Array = npt.NDArray[np.generic]
MIB = 1024 * 1024
# This many of a folder's training images, evenly spaced, give mean, deviation and colour axes.
STATISTICS_IMAGES = 1000
EVALUATION_BATCHES = 4
COLOUR_CHANNELS = 3

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Images and their labels for a compiled loop, one copy per replica."""

    images: object
    """(N, H, W, C) uint8."""
    labels: object
    """(N,) int32."""
    count: int
    """N."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSplit:
    """One split on the devices."""

    rows: Rows
    """All images of the split."""

    @property
    def count(self) -> int:
        return self.rows.count

    def pieces(self, *, batch_size: int) -> Iterator[Rows]:
        """Yield all images once, for an evaluation."""
        yield self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSplit:
    """One split in files, which are decoded when their images are needed."""

    files: Sequence[Path]
    """The N files."""
    labels: npt.NDArray[np.int32]
    """(N,), in the order of the files."""
    decoder: Decoder
    """Makes (H, W, C) uint8 of a file."""

    @property
    def count(self) -> int:
        return len(self.files)

    def pieces(self, *, batch_size: int) -> Iterator[Rows]:
        """Yield all images once, some batches at a time."""
        size = EVALUATION_BATCHES * batch_size
        images = self.decoder.decode_ahead(self.files, ahead=size)
        for first in range(0, self.count, size):
            labels_n = self.labels[first : first + size]
            piece_nHWC = np.stack([next(images) for _ in labels_n])
            yield Rows(images=tf.constant(piece_nHWC), labels=tf.constant(labels_n), count=len(labels_n))


Split = DeviceSplit | FileSplit


@dataclass(frozen=True, slots=True, kw_only=True)
class RunImages:
    """The three splits of a run, with what the network needs to know about them."""

    train: Split
    """The images to train on, without the held-out ones."""
    validation: Split
    """The held-out images; it may have none."""
    test: Split
    """The images of the final score; it may have none."""
    train_labels: npt.NDArray[np.int32]
    """The labels (N,) of `train`."""
    class_names: tuple[str, ...]
    """By label."""
    channels: int
    """C."""
    statistics: PixelStatistics
    """Mean and deviation of each channel (0 to 255), and the colour axes if `data.augment` shifts colours."""
    note: str = ""
    """What was found in a folder, and what is left out, in words."""
    white_levels: WhiteLevels = field(default_factory=dict)
    """The value of white in files of more than 8 bits."""

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def fingerprint(self) -> str:
        """Identify the images by counts, labels and statistics, for a resumed run to compare."""
        counts = "+".join(str(split.count) for split in (self.train, self.validation, self.test))
        means = ", ".join(f"{mean:.6f}" for mean in self.statistics.mean)
        labels = zlib.crc32(self.train_labels.tobytes())
        return f"{counts} of {self.num_classes} classes, labels {labels:08x}, mean {means}"


def load_images(
    spec: Spec,
    strategy: tf.distribute.Strategy,
    *,
    datasets_dir: Path,
    data_roots: Sequence[Path],
    surveys_dir: Path,
    reserve_percent: float,
    threads: int,
    say: Say,
) -> RunImages:
    """Load the spec's dataset, which must lie in one of the roots, and hold out its validation images.

    Raises:
        DatasetError: the dataset cannot be loaded or is damaged.
    """
    found = load_unpacked(
        spec.data.dataset,
        directory=datasets_dir,
        folder=surveys_dir,
        reserve_percent=reserve_percent,
        roots=data_roots,
    )
    if isinstance(found, ImageArrays):
        train, validation = hold_out(found.y_train, fraction=spec.data.validation_fraction)
        train = _choose(train, found.y_train, spec)
        statistics = _measure(found.x_train, spec)
        return _place_arrays(found, strategy, train=train, validation=validation, statistics=statistics)
    decoder = Decoder(side=spec.data.resize, channels=COLOUR_CHANNELS, threads=threads)
    return _load_files(found, spec, strategy, decoder=decoder, surveys_dir=surveys_dir, say=say)


def _load_files(
    files: ImageFiles,
    spec: Spec,
    strategy: tf.distribute.Strategy,
    *,
    decoder: Decoder,
    surveys_dir: Path,
    say: Say,
) -> RunImages:
    """Decode every file once; leave out unreadable files, and name them before training starts."""
    fits = files.count * spec.data.resize**2 * COLOUR_CHANNELS <= spec.data.in_memory_mib * MIB
    paths = [*files.train, *files.validation, *files.test]
    if fits:
        survey = decoder.survey(paths, keep=True, say=say)
    else:
        survey = recall_survey(decoder, paths, folder=surveys_dir, say=say)
    files, broken = drop_broken(files, survey.broken)
    note = "; ".join(filter(None, [summarize(files), survey.note, broken]))
    spaced = np.unique(np.linspace(0, len(files.train) - 1, STATISTICS_IMAGES).astype(int))
    if survey.images is None:
        sample_NHWC = np.stack(list(decoder.decode_ahead([files.train[i] for i in spaced], ahead=64)))
    else:
        sample_NHWC = survey.images[spaced]  # the training images come first
    statistics = _measure(sample_NHWC, spec)
    seen, y_seen = [*files.train, *files.validation], np.concatenate([files.y_train, files.y_validation])
    train, validation = _split_validation(files, spec)
    train = _choose(train, y_seen, spec)
    if survey.images is not None:
        arrays = ImageArrays(
            x_train=survey.images[: len(seen)],
            y_train=y_seen,
            x_test=survey.images[len(seen) :],
            y_test=files.y_test,
            class_names=files.class_names,
        )
        placed = _place_arrays(arrays, strategy, train=train, validation=validation, statistics=statistics)
        return replace(placed, note=note, white_levels=survey.white_levels)

    def split(paths: Sequence[Path], labels: npt.NDArray[np.int32]) -> FileSplit:
        return FileSplit(files=paths, labels=labels, decoder=decoder)

    return RunImages(
        train=split([seen[i] for i in train], y_seen[train]),
        validation=split([seen[i] for i in validation], y_seen[validation]),
        test=split(files.test, files.y_test),
        train_labels=y_seen[train],
        class_names=files.class_names,
        channels=COLOUR_CHANNELS,
        statistics=statistics,
        note=note,
        white_levels=survey.white_levels,
    )


def _split_validation(files: ImageFiles, spec: Spec) -> tuple[Indices, Indices]:
    """Choose which images train and which validate, out of the training and then the validation images."""
    if files.validation:
        every = np.arange(len(files.train) + len(files.validation))
        return every[: len(files.train)], every[len(files.train) :]
    return hold_out(files.y_train, fraction=spec.data.validation_fraction)


def _choose(train: Indices, labels: npt.NDArray[np.int32], spec: Spec) -> Indices:
    """Leave out what `data.train_fraction` and `data.keep` leave out of the training images."""
    data = spec.data
    chosen = choose_subset(
        labels[train], fraction=data.train_fraction, shares=data.parsed_keep, seed=spec.training.seed
    )
    return train[chosen]


def _measure(x_NHWC: npt.NDArray[np.uint8], spec: Spec) -> PixelStatistics:
    return pixel_statistics(x_NHWC, with_colours=spec.data.parsed_augment.colour_deviation > 0)


def _place_arrays(
    arrays: ImageArrays,
    strategy: tf.distribute.Strategy,
    *,
    train: Indices,
    validation: Indices,
    statistics: PixelStatistics,
) -> RunImages:
    return RunImages(
        train=_place(arrays.x_train[train], arrays.y_train[train], strategy),
        validation=_place(arrays.x_train[validation], arrays.y_train[validation], strategy),
        test=_place(arrays.x_test, arrays.y_test, strategy),
        train_labels=arrays.y_train[train],
        class_names=arrays.class_names,
        channels=arrays.x_train.shape[-1],
        statistics=statistics,
    )


def _place(images: Array, labels: Array, strategy: tf.distribute.Strategy) -> DeviceSplit:
    def copy(context: tf.distribute.InputContext, array: Array) -> tf.Tensor:
        if strategy.num_replicas_in_sync == 1:
            return tf.constant(array)
        devices = strategy.extended.worker_devices  # of this host; replicas are counted over all hosts
        with tf.device(devices[context.replica_id_in_sync_group % len(devices)]):
            return tf.constant(array)

    distribute = strategy.experimental_distribute_values_from_function
    rows = Rows(
        images=distribute(lambda context: copy(context, images)),
        labels=distribute(lambda context: copy(context, labels)),
        count=len(labels),
    )
    return DeviceSplit(rows=rows)
