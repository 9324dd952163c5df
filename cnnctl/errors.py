"""The errors that a person meets: each class is one situation.

A message says what happened, what is allowed, what was given, and what to do next. Every entry point
translates an error once, by its `exit_code` or `http_status`; over HTTP its class is the problem's type.
"""

import re


class CnnctlError(Exception):
    """Something failed by nobody's mistake; the message says what to do."""

    exit_code = 1
    http_status = 500

    @classmethod
    def problem_type(cls) -> str:
        """The class as a URI, as in `urn:cnnctl:job-not-found` (RFC 9457)."""
        return "urn:cnnctl:" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()


class SpecError(CnnctlError):
    """A request asks for something that does not exist or is impossible; nothing was stored."""

    exit_code = 2
    http_status = 422


class DatasetRefused(CnnctlError):
    """What was given cannot become one of the lab's datasets; nothing was kept of it."""

    exit_code = 2
    http_status = 422


class StorageFull(CnnctlError):
    """The disk of the datasets has no room for it; nothing was lost."""

    http_status = 507


class NotAuthenticated(CnnctlError):
    """The service does not know who asks. Make a token at the service's machine: cnnctl token create"""

    exit_code = 5
    http_status = 401


class NotAllowed(CnnctlError):
    """Only the owner or an administrator may do this; the message says who."""

    exit_code = 5
    http_status = 403


class NotFound(CnnctlError):
    """There is nothing of that name or number; the message says what there is."""

    exit_code = 3
    http_status = 404


class JobNotFound(NotFound):
    """There is no job with this number. See: cnnctl status"""


class StudyNotFound(NotFound):
    """There is no study with this number. See: cnnctl study status"""


class FileNotThere(NotFound):
    """A job has no such file, or the service cannot read it. See: cnnctl download JOB --list"""


class HookNotFound(NotFound):
    """There is no hook with this number. See: cnnctl notify list"""


class TokenNotFound(NotFound):
    """There is no token with this number. See: cnnctl token list"""


class DatasetNotFound(NotFound):
    """The lab has no dataset of that name. See: cnnctl dataset list"""


class UploadNotFound(NotFound):
    """There is no unfinished upload with this number: it is finished, removed, or too old."""


class GpuNotFound(NotFound):
    """No GPU, or more than one, has that name. See: cnnctl gpus"""


class HostNotFound(NotFound):
    """There is no host with that name. See: cnnctl hosts"""


class Conflict(CnnctlError):
    """The state of what was named does not allow the operation; the message names the states that do."""

    exit_code = 4
    http_status = 409


class StudyConflict(Conflict):
    """The study is not in a state for this, or somebody has just changed it. See: cnnctl study status"""


class JobConflict(Conflict):
    """The job's state does not allow the operation; the message names the states that do."""


class GpuConflict(Conflict):
    """The GPU's state does not allow the operation; the message names the right command. See: cnnctl gpus"""


class HostConflict(Conflict):
    """The host is in use; the message says by what. See: cnnctl hosts"""


class DatasetConflict(Conflict):
    """The name is taken, or an unfinished job needs the dataset; the message says whose or which."""


class UploadConflict(Conflict):
    """A piece does not follow on what was received; the message says where to go on."""


class JobFailed(CnnctlError):
    """A job that somebody waited for failed or was cancelled; the message has the reason."""


class KeyReused(Conflict):
    """A request came with the Idempotency-Key of another request. Each request needs a key of its own."""


class TooLarge(CnnctlError):
    """A request's body is longer than the service reads; the message says how long it may be."""

    exit_code = 2
    http_status = 413


class TooManyRequests(CnnctlError):
    """One person asks more often than the service answers. Wait as long as the message says."""

    http_status = 429


class ServiceUnavailable(CnnctlError):
    """The API does not answer. Ask whoever runs the service; on its machine: cnnctl doctor"""

    http_status = 503


class OtherVersion(CnnctlError):
    """The service has another version and its answer cannot be read. Install the version that it names."""
