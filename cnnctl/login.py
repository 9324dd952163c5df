"""The login of this person on this machine: which API, and the token for it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cnnctl.errors import CnnctlError


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What `cnnctl login` keeps."""

    url: str
    token: str


def login_file() -> Path:
    """Where it is kept: in the user's config folder."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return Path(config or Path.home() / ".config") / "cnnctl" / "login.json"


def read_login() -> Login | None:
    """The login; None: there is none.

    Raises:
        CnnctlError: its file cannot be read, or others could.
    """
    try:
        path = login_file()
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise CnnctlError(f"Others may read {path}, which holds your token. First: chmod 600 {path}")
            return Login(**json.load(file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except RuntimeError:  # there is no home
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CnnctlError(f"{path} cannot be read: {error}. Make it anew: cnnctl login URL") from None


def write_login(login: Login) -> Path:
    """Keep a login, for this user alone; returns where."""
    path = login_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(login), file)
    new.replace(path)
    return path


def forget_login() -> bool:
    """Forget the login; False where there is none."""
    try:
        login_file().unlink()
    except FileNotFoundError:
        return False
    return True
