"""Reads the environment once into a frozen value that entry points pass on as arguments."""

import grp
import math
import os
import reprlib
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

from cnnctl.find import SYSTEM_SOCKET
from service.bound import Bound
from service.errors import SettingError

DATABASE_FILE = "cnnctl.db"
LONGEST_TEXT = 4096  # no path is longer
LONGEST_HOST_BYTES = 100  # it is part of file names, of at most 255 bytes
LONGEST_ADDRESS = 200
WITH_PASSWORDS = ("database", "owner", "broker", "token")
LONGEST_SOCKET_BYTES = 107  # Linux takes no longer path
LAST_PORT = 65_535


def _setting(name: str, meaning: str, default: str = "", *, within: Bound | None = None) -> str:
    variable: str = field(
        metadata={"variable": name, "meaning": meaning, "default": default, "within": within}
    )
    return variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, as text from the environment; the properties below convert it.

    Raises:
        SettingError: at construction, when a value cannot be read.
    """

    home: str = _setting("CNNCTL_HOME", "data folder of the embedded stack", "~/.cnnctl")
    database: str = _setting(
        "CNNCTL_DATABASE_URL",
        "`postgresql://USER:PASSWORD@HOST/DATABASE` or `sqlite:///PATH`; empty: SQLite in the data folder",
    )
    owner: str = _setting(
        "CNNCTL_OWNER_URL",
        "URL of the same database with its owner, which only `cnnctl db upgrade` uses; it then gives the "
        "user of CNNCTL_DATABASE_URL rights to the tables and to nothing else; empty: that user is the owner",
    )
    broker: str = _setting("CNNCTL_BROKER_URL", "Redis URL; empty: message files in the data folder")
    runs: str = _setting("CNNCTL_RUNS_DIR", "folder of the run folders; empty: `runs` in the data folder")
    datasets: str = _setting(
        "CNNCTL_DATASETS_DIR",
        "folder of the datasets: files NAME.npz, and what `cnnctl dataset add` has copied; empty: `datasets` "
        "in the data folder",
    )
    roots: str = _setting(
        "CNNCTL_DATA_ROOTS",
        "folders, separated by colons, that must contain every `folder:` and `npz:` dataset, also one to be "
        "added, after symbolic links are followed; empty: any folder",
    )
    group: str = _setting(
        "CNNCTL_GROUP",
        "group of this machine that may open the service's files: with SQLite it writes the data folder, "
        "with a database server it only reads run folders; empty: only the service's own user",
    )
    host: str = _setting("CNNCTL_HOST", "name of this host in the queue; empty: the machine's own name")
    address: str = _setting(
        "CNNCTL_ADDRESS",
        "name or address by which other hosts reach this one, for jobs over several; "
        "empty: the address by which it reaches the database",
    )
    gpus: str = _setting(
        "CNNCTL_GPUS",
        "`required`: the GPUs that NVML finds, or the worker refuses to start; `auto`: the same, but a host "
        "without NVML that never had real GPUs simulates two; `sim:N`: N simulated GPUs",
        "auto",
    )
    start_method: str = _setting(
        "CNNCTL_START_METHOD",
        "`forkserver` (warm start) or `spawn` (a fresh Python per attempt)",
        "forkserver",
    )
    tick: str = _setting(
        "CNNCTL_TICK_SECONDS",
        "longest pause between two checks of the scheduler; the database notifies it of changes",
        "0.5",
        within=Bound(
            least=0.001,
            most=2,
            why="it delays the detection of a dead worker, and a job whose notification is lost",
        ),
    )
    heartbeat: str = _setting(
        "CNNCTL_HEARTBEAT_SECONDS",
        "pause between two heartbeats of a worker",
        "1",
        within=Bound(
            least=0.01, most=600, why="each heartbeat is a write, and a stop request waits that long"
        ),
    )
    lease: str = _setting(
        "CNNCTL_LEASE_SECONDS",
        "time without a heartbeat after which a worker's attempts are lost",
        "30",
        within=Bound(least=0.03, most=86_400, why="a job on a dead host waits that long"),
    )
    resend: str = _setting(
        "CNNCTL_RESEND_SECONDS",
        "age at which an unclaimed dispatch is sent again",
        "5",
        within=Bound(
            least=0.5,
            most=3600,
            why="a job whose message was lost waits that long, and a host is silent after four times that",
        ),
    )
    quantum: str = _setting(
        "CNNCTL_QUANTUM_SECONDS",
        "how long a job keeps its GPUs before a job of its priority class may preempt it",
        "30",
        within=Bound(least=0.001, most=604_800, why="a short job waits that long, at most a week"),
    )
    grace: str = _setting(
        "CNNCTL_GRACE_SECONDS",
        "time to checkpoint between SIGTERM and SIGKILL",
        "20",
        within=Bound(least=0.01, most=3600, why="a person who stops a job or a worker waits that long"),
    )
    retry: str = _setting(
        "CNNCTL_RETRY_LIMIT",
        "how often a job is queued again after a lost attempt",
        "3",
        within=Bound(least=0, most=1000, why="each attempt holds the GPUs for a while"),
    )
    checkpoint: str = _setting(
        "CNNCTL_CHECKPOINT_SECONDS",
        "least time between two checkpoints of a job, whatever its spec asks for; "
        "a checkpoint at a stop or at the end does not wait",
        "1",
        within=Bound(least=0.001, most=86_400, why="a crash loses that much training, at most a day"),
    )
    disk_reserve: str = _setting(
        "CNNCTL_DISK_RESERVE",
        "percent of the run folders' disk to keep free: below it no attempt starts on the host, and "
        "checkpoints are written only at a stop and at the end; 0 keeps nothing free",
        "5",
        within=Bound(least=0, most=100, why="it is a percentage"),
    )
    upload_limit: str = _setting(
        "CNNCTL_UPLOAD_LIMIT_GIB",
        "largest file, in GiB, that somebody may upload as a dataset, before and after it is unpacked",
        "20",
        within=Bound(least=0.001, most=16_384, why="from a mebibyte to what no disk of a lab has room for"),
    )
    mail_command: str = _setting(
        "CNNCTL_MAIL_COMMAND", "command that sends the mail on its standard input", "sendmail -t"
    )
    webhooks: str = _setting(
        "CNNCTL_WEBHOOK_HOSTS",
        "private, loopback or link-local host names or addresses, separated by commas, that webhooks may "
        "reach; set it for all processes",
    )
    url: str = _setting(
        "CNNCTL_URL",
        "address of the API that commands ask, as in `https://gpu01.lab:8433`; empty: that of "
        "`cnnctl login`, else CNNCTL_SOCKET if its folder is there, else the data folder of this machine",
    )
    token: str = _setting("CNNCTL_TOKEN", "token for CNNCTL_URL; empty: that of `cnnctl login`")
    socket: str = _setting(
        "CNNCTL_SOCKET", "unix socket of the API, over which the kernel says who asks", SYSTEM_SOCKET
    )
    api_address: str = _setting(
        "CNNCTL_API_ADDRESS",
        "HOST:PORT on which the API takes tokens and browsers; `none`: only the socket",
        "127.0.0.1:8433",
    )
    api_hosts: str = _setting(
        "CNNCTL_API_HOSTS",
        "names by which clients and browsers reach the API, separated by commas, the one for links first; "
        "requests to other names are refused",
        "localhost,127.0.0.1,[::1]",
    )
    api_rate: str = _setting(
        "CNNCTL_API_RATE",
        "requests a second that the API answers to one person; after a pause twice as many at once",
        "50",
        within=Bound(least=1, most=100_000, why="a page that a person keeps open asks a few times a second"),
    )
    api_certificate: str = _setting(
        "CNNCTL_API_CERTIFICATE", "PEM file with the API's TLS certificate and its chain; empty: no TLS"
    )
    api_key: str = _setting("CNNCTL_API_KEY", "PEM file with the key of that certificate")
    log_level: str = _setting("CNNCTL_LOG_LEVEL", "debug, info, warning or error", "info")

    def __post_init__(self) -> None:
        for one in fields(self):
            _storable(self, one.name)
            if one.metadata["within"]:
                _within(self, one.name, one.metadata["within"])
        if not self.retry.isdecimal():
            raise _unreadable(self, "retry", "a whole number")
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise _unreadable(self, "lease", f"at least three heartbeats ({3 * self.heartbeat_seconds:g})")
        _one_of(self, "start_method", ("forkserver", "spawn"))
        _one_of(self, "log_level", ("debug", "info", "warning", "error"))
        _words(self, "mail_command")
        if not self.host.isprintable() or "/" in self.host or len(self.host.encode()) > LONGEST_HOST_BYTES:
            raise _unreadable(self, "host", f"at most {LONGEST_HOST_BYTES} printable characters without /")
        if len(self.address) > LONGEST_ADDRESS:
            raise _unreadable(self, "address", f"a name or address of at most {LONGEST_ADDRESS} characters")
        if not all(root.is_absolute() for root in self.data_roots):
            raise _unreadable(self, "roots", "absolute paths, separated by colons")
        kind, _, count = self.gpus.partition(":")
        if self.gpus not in ("auto", "required") and not (
            kind == "sim" and count.isdecimal() and 1 <= int(count) <= 64
        ):
            raise _unreadable(self, "gpus", "auto, required, or sim:N with N from 1 to 64")
        if not _names_redis(self.broker):
            raise _unreadable(self, "broker", "redis://HOST:6379/0 or rediss://HOST:6379/0")
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_BYTES or not Path(self.socket).is_absolute():
            raise _unreadable(self, "socket", f"an absolute path of at most {LONGEST_SOCKET_BYTES} bytes")
        if self.url and not _is_web_address(self.url):
            raise _unreadable(self, "url", "http://HOST:PORT or https://HOST:PORT")
        if self.api_address != "none" and not _is_host_and_port(self.api_address):
            raise _unreadable(self, "api_address", "HOST:PORT, as in 127.0.0.1:8433, or none")
        if not all(self.api_host_names):
            raise _unreadable(self, "api_hosts", "host names, separated by commas")
        if bool(self.api_certificate) != bool(self.api_key):
            raise _unreadable(self, "api_key", "set together with CNNCTL_API_CERTIFICATE, or neither")
        _ = self.home_dir, self.runs_dir, self.datasets_dir, self.group_id  # raise if they cannot be found

    def environment(self) -> Mapping[str, str]:
        """The variables whose values are paths, made absolute: another process may run in another folder."""
        paths = {
            "CNNCTL_HOME": str(self.home_dir),
            "CNNCTL_RUNS_DIR": str(self.runs_dir) if self.runs else "",
            "CNNCTL_DATASETS_DIR": str(self.datasets_dir) if self.datasets else "",
            "CNNCTL_DATABASE_URL": _absolute_sqlite(self.database),
        }
        return {name: path for name, path in paths.items() if path}

    @property
    def home_dir(self) -> Path:
        return _folder(self, "home")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home_dir / DATABASE_FILE}"

    @property
    def submits_only(self) -> bool:
        """Whether people only submit and read here; a process of the service also needs the broker."""
        return self.database.startswith("postgresql") and not self.broker

    @property
    def owner_url(self) -> str:
        """The URL that owns the tables."""
        return self.owner or self.database_url

    @property
    def broker_dir(self) -> Path:
        return self.home_dir / "broker"

    @property
    def runs_dir(self) -> Path:
        return _folder(self, "runs") if self.runs else self.home_dir / "runs"

    @property
    def datasets_dir(self) -> Path:
        return _folder(self, "datasets") if self.datasets else self.home_dir / "datasets"

    @property
    def data_roots(self) -> tuple[Path, ...]:
        return tuple(Path(root) for root in self.roots.split(":") if root)

    @property
    def api_host_names(self) -> tuple[str, ...]:
        return tuple(name.strip().lower() for name in self.api_hosts.split(","))

    @property
    def api_requests_per_second(self) -> float:
        return float(self.api_rate)

    @property
    def api_url(self) -> str:
        """Where browsers reach the API; empty where it only has a socket."""
        if self.api_address == "none":
            return ""
        scheme = "https" if self.api_certificate else "http"
        return f"{scheme}://{self.api_host_names[0]}:{self.api_address.rpartition(':')[2]}"

    @property
    def webhook_hosts(self) -> frozenset[str]:
        return frozenset(name for entry in self.webhooks.split(",") if (name := entry.strip().lower()))

    @property
    def group_id(self) -> int | None:
        """The number of the group; None if no group is set."""
        try:
            return grp.getgrnam(self.group).gr_gid if self.group else None
        except KeyError:
            raise _unreadable(self, "group", "a group of this machine") from None

    @property
    def devices_dir(self) -> Path:
        """The folder for device files of simulated GPUs, named by UUID, if somebody makes them."""
        return self.home_dir / "devices"

    @property
    def logs_dir(self) -> Path:
        return self.home_dir / "logs"

    @property
    def host_name(self) -> str:
        return self.host or socket.gethostname()

    @property
    def simulated_gpus(self) -> int | None:
        """How many GPUs to simulate; None: ask the machine."""
        count = self.gpus.partition(":")[2]
        return int(count) if count else None

    @property
    def requires_gpus(self) -> bool:
        return self.gpus == "required"

    @property
    def tick_seconds(self) -> float:
        return float(self.tick)

    @property
    def heartbeat_seconds(self) -> float:
        return float(self.heartbeat)

    @property
    def lease_seconds(self) -> float:
        return float(self.lease)

    @property
    def resend_seconds(self) -> float:
        return float(self.resend)

    @property
    def quantum_seconds(self) -> float:
        return float(self.quantum)

    @property
    def grace_seconds(self) -> float:
        return float(self.grace)

    @property
    def disk_reserve_percent(self) -> float:
        return float(self.disk_reserve)

    @property
    def upload_limit_bytes(self) -> int:
        return round(float(self.upload_limit) * 1024**3)

    @property
    def checkpoint_seconds(self) -> float:
        return float(self.checkpoint)

    @property
    def retry_limit(self) -> int:
        return int(self.retry)


def _absolute_sqlite(url: str) -> str:
    head, slashes, path = url.partition(":///")
    is_relative = head.startswith("sqlite") and slashes and path[:1] not in ("", "/", ":")
    return f"{head}:///{Path(path).absolute()}" if is_relative else url


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingError: a variable cannot be read, or `CNNCTL_…` names no setting.
    """
    known = {f.metadata["variable"]: f for f in fields(Settings)}
    unknown = [name for name in environment if name.startswith("CNNCTL_") and name not in known]
    if unknown:
        raise SettingError(f"Unknown setting {unknown[0]}. Known: {', '.join(known)}")
    values = {f.name: environment.get(name) or f.metadata["default"] for name, f in known.items()}
    return Settings(**values)


def _unreadable(settings: Settings, name: str, allowed: str) -> SettingError:
    variable = next(f.metadata["variable"] for f in fields(Settings) if f.name == name)
    value = getattr(settings, name)
    received = f"a URL of the kind {name_kind(value)}" if name in WITH_PASSWORDS else reprlib.repr(value)
    return SettingError(f"{variable} must be {allowed}. Received: {received}")


def name_kind(url: str) -> str:
    """The part of a URL with a password that may be shown: its kind, as in 'postgresql'."""
    kind, colon, _ = url.partition("://")
    return reprlib.repr(kind) if colon else "none"


def _names_redis(url: str) -> bool:
    """Whether this is a complete Redis URL, or empty."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not one
    except ValueError:
        return False
    number = parts.path.strip("/")
    readable = parts.scheme in ("redis", "rediss") and parts.hostname and (not number or number.isdecimal())
    return not url or bool(readable)


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not one
    except ValueError:
        return False
    whole = not parts.query and not parts.fragment and parts.path.strip("/") == "" and "@" not in url
    return parts.scheme in ("http", "https") and bool(parts.hostname) and whole


def _is_host_and_port(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdecimal() and int(port) <= LAST_PORT


def _folder(settings: Settings, name: str) -> Path:
    try:
        return Path(getattr(settings, name)).expanduser().absolute()
    except RuntimeError:
        raise _unreadable(settings, name, "a folder; ~NAME must be the home of a user") from None


def _storable(settings: Settings, name: str) -> None:
    """Refuse text that a database or a terminal cannot show."""
    text = getattr(settings, name)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _unreadable(settings, name, "text in UTF-8") from None
    if len(text) > LONGEST_TEXT:
        raise _unreadable(settings, name, f"at most {LONGEST_TEXT} characters")


def _within(settings: Settings, name: str, bound: Bound) -> None:
    try:
        value = float(getattr(settings, name))
    except ValueError:
        value = math.nan
    if not bound.least <= value <= bound.most:
        raise _unreadable(settings, name, f"from {bound.least:g} to {bound.most:g}: {bound.why}")


def _words(settings: Settings, name: str) -> None:
    try:
        words = shlex.split(getattr(settings, name))
    except ValueError:
        words = []
    if not words:
        raise _unreadable(settings, name, "a command with its arguments, quoted as in a shell")


def _one_of(settings: Settings, name: str, allowed: tuple[str, ...]) -> None:
    if getattr(settings, name) not in allowed:
        raise _unreadable(settings, name, " or ".join(allowed))
