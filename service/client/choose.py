"""Chooses the client of a command: the API somewhere, or the database of this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

from cnnctl.find import find_service
from cnnctl.http_client import HttpClient
from service.settings import Settings


def find_api(settings: Settings, environment: Mapping[str, str] = os.environ) -> HttpClient | None:
    """The API that commands ask; None: the database of this machine.

    What somebody has set for a command goes before a login, and that before the socket of the machine.

    Raises:
        CnnctlError: the login cannot be read.
    """
    set_here = any(environment.get(name) for name in ("CNNCTL_DATABASE_URL", "CNNCTL_HOME"))
    if set_here and not settings.url:
        return None
    socket = settings.socket if environment.get("CNNCTL_SOCKET") else ""
    found = find_service(url=settings.url, token=settings.token, socket=socket)
    if found:
        return found
    # By its folder: while the API restarts there is no socket, and a job must not end up in another database.
    has_service = Path(settings.socket).parent.is_dir()
    return HttpClient.on_socket(Path(settings.socket)) if has_service else None
