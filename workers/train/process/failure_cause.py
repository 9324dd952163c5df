"""Classifies why a trainer failed: a cause for the service, and one line for the job's owner."""

import errno

from service.domain.states import Cause

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# By name, because TensorFlow is imported late.
CAUSES = {
    "DivergedError": Cause.NAN_LOSS,
    "DatasetError": Cause.DATA_ERROR,
    "ResourceExhaustedError": Cause.OUT_OF_MEMORY,
    # TensorFlow's messages for a failing GPU; another attempt may get another GPU.
    "InternalError": Cause.DEVICE_ERROR,
    "UnavailableError": Cause.DEVICE_ERROR,
    "AbortedError": Cause.DEVICE_ERROR,
    "UnknownError": Cause.DEVICE_ERROR,
}
SAY_IT_ALL = {"DivergedError", "DatasetError", "CatalogError", "HostsApart", "DifferentStarts"}
ADVICE = {
    Cause.OUT_OF_MEMORY: ". Try a smaller training.batch_size or more GPUs",
    Cause.DISK_FULL: ". Free space, then retry: the job continues from its newest checkpoint",
}


def explain(error: Exception) -> tuple[Cause, str]:
    """Return the cause and one line; trainer.log has the details."""
    name = type(error).__name__
    cause = _classify_cause(error, name)
    if name in SAY_IT_ALL:
        return cause, str(error).strip()
    lines = str(error).strip().splitlines() or ["no message"]
    words = f"{name}: {lines[0]}" if cause is Cause.ERROR else f"{cause.value.replace('_', ' ')}: {lines[0]}"
    return cause, words + ADVICE.get(cause, "")


def is_disk_full(error: Exception) -> bool:
    """Whether an error means that the disk is full; some libraries keep only the text."""
    return getattr(error, "errno", None) in DISK_FULL or "No space left" in str(error)


def _classify_cause(error: Exception, name: str) -> Cause:
    if isinstance(error, MemoryError):
        return Cause.OUT_OF_MEMORY
    return Cause.DISK_FULL if is_disk_full(error) else CAUSES.get(name, Cause.ERROR)
