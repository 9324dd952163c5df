"""The errors of the service itself; those that reach clients are in `cnnctl.errors`."""

from cnnctl.errors import CnnctlError as CnnctlError
from cnnctl.errors import Conflict as Conflict
from cnnctl.errors import DatasetConflict as DatasetConflict
from cnnctl.errors import DatasetNotFound as DatasetNotFound
from cnnctl.errors import DatasetRefused as DatasetRefused
from cnnctl.errors import FileNotThere as FileNotThere
from cnnctl.errors import GpuConflict as GpuConflict
from cnnctl.errors import GpuNotFound as GpuNotFound
from cnnctl.errors import HookNotFound as HookNotFound
from cnnctl.errors import HostConflict as HostConflict
from cnnctl.errors import HostNotFound as HostNotFound
from cnnctl.errors import JobConflict as JobConflict
from cnnctl.errors import JobNotFound as JobNotFound
from cnnctl.errors import KeyReused as KeyReused
from cnnctl.errors import NotAllowed as NotAllowed
from cnnctl.errors import NotAuthenticated as NotAuthenticated
from cnnctl.errors import NotFound as NotFound
from cnnctl.errors import ServiceUnavailable as ServiceUnavailable
from cnnctl.errors import SpecError as SpecError
from cnnctl.errors import StorageFull as StorageFull
from cnnctl.errors import StudyConflict as StudyConflict
from cnnctl.errors import StudyNotFound as StudyNotFound
from cnnctl.errors import TokenNotFound as TokenNotFound
from cnnctl.errors import TooLarge as TooLarge
from cnnctl.errors import TooManyRequests as TooManyRequests
from cnnctl.errors import UploadConflict as UploadConflict
from cnnctl.errors import UploadNotFound as UploadNotFound


class NewerSpec(CnnctlError):
    """A stored spec has a part that this cnnctl does not know; the message names it. Upgrade cnnctl here."""


class SettingError(CnnctlError):
    """An environment variable has a value that is not allowed."""

    exit_code = 2


class AlreadyRunning(CnnctlError):
    """Another embedded stack already serves this data folder, or another worker this host."""

    exit_code = 4


class NoRealGpus(CnnctlError):
    """A worker that needs real GPUs has none; the message says why, and how to simulate GPUs instead."""


class TrainersCannotStart(CnnctlError):
    """This host cannot start trainers; the message and the worker's log above it say why."""


class DatabaseUnavailable(ServiceUnavailable):
    """The database does not respond. Check CNNCTL_DATABASE_URL, then: cnnctl doctor"""


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
