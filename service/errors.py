"""The one tree of errors that a person meets: each class is one situation.

A message says what happened, what is allowed, what was given, and what to do next. Every entry point
translates an error once, by its `exit_code` or `http_status`.
"""


class CnnctlError(Exception):
    """Something failed by nobody's mistake; the message says what to do."""

    exit_code = 1
    http_status = 500


class SpecError(CnnctlError):
    """A submission asks for something that does not exist or is impossible; nothing was stored."""

    exit_code = 2
    http_status = 422


class NewerSpec(CnnctlError):
    """A stored spec has a part that this cnnctl does not know; the message names it. Upgrade cnnctl here."""


class SettingError(CnnctlError):
    """An environment variable has a value that is not allowed."""

    exit_code = 2


class NotAllowed(CnnctlError):
    """Only the owner or an administrator may do this; the message says who."""

    exit_code = 5
    http_status = 403


class JobNotFound(CnnctlError):
    """There is no job with this number. See: cnnctl status"""

    exit_code = 3
    http_status = 404


class HookNotFound(CnnctlError):
    """There is no hook with this number. See: cnnctl notify list"""

    exit_code = 3
    http_status = 404


class JobConflict(CnnctlError):
    """The job's state does not allow the operation; the message names the states that do."""

    exit_code = 4
    http_status = 409


class GpuNotFound(CnnctlError):
    """No GPU, or more than one, has that name. See: cnnctl gpus"""

    exit_code = 3
    http_status = 404


class GpuConflict(CnnctlError):
    """The GPU's state does not allow the operation; the message names the right command. See: cnnctl gpus"""

    exit_code = 4
    http_status = 409


class HostNotFound(CnnctlError):
    """There is no host with that name. See: cnnctl hosts"""

    exit_code = 3
    http_status = 404


class HostConflict(CnnctlError):
    """The host is in use; the message says by what. See: cnnctl hosts"""

    exit_code = 4
    http_status = 409


class AlreadyRunning(CnnctlError):
    """Another embedded stack already serves this data folder, or another worker this host."""

    exit_code = 4


class NoRealGpus(CnnctlError):
    """A worker that needs real GPUs has none; the message says why, and how to simulate GPUs instead."""


class TrainersCannotStart(CnnctlError):
    """This host cannot start trainers; the message and the worker's log above it say why."""


class DatabaseUnavailable(CnnctlError):
    """The database does not respond. Check CNNCTL_DATABASE_URL, then: cnnctl doctor"""

    http_status = 503


class DatabaseGone(DatabaseUnavailable):
    """An SQLite file was deleted or replaced while it was in use. Put it back, or stop all processes."""


class WrongRevision(CnnctlError):
    """The database was made by an older version of cnnctl. Run: cnnctl db upgrade"""

    http_status = 503


class NewerDatabase(CnnctlError):
    """A newer cnnctl has upgraded the database, which must stay as it is. Upgrade this cnnctl."""

    http_status = 503


class NoTables(WrongRevision):
    """The database is still empty. Run: cnnctl db upgrade"""


class IncompleteDatabase(CnnctlError):
    """The database lacks tables or columns that the migrations made. Restore a whole backup: docs/stack.md"""

    http_status = 503


class MissingExtra(CnnctlError):
    """The command needs a package that the base install leaves out; the message names the extra."""


class Fenced(CnnctlError):
    """A worker wrote to an attempt that is no longer its own; nothing was changed."""
