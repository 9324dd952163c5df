"""Chooses the client of a command: the API somewhere, or the database of this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

from cnnctl.http_client import HttpClient
from cnnctl.login import read_login
from service.settings import Settings


def find_api(settings: Settings, environment: Mapping[str, str] = os.environ) -> HttpClient | None:
    """The API that commands ask; None: the database of this machine.

    What somebody has set for a command goes before a login, and that before the socket of the machine.

    Raises:
        CnnctlError: the login cannot be read.
    """
    if settings.url:
        login = read_login()
        token = settings.token or (login.token if login and login.url == settings.url else "")
        return HttpClient.at(settings.url, token=token)
    if environment.get("CNNCTL_DATABASE_URL") or environment.get("CNNCTL_HOME"):
        return None
    if environment.get("CNNCTL_SOCKET"):
        return HttpClient.on_socket(Path(settings.socket))
    login = read_login()
    if login:
        return HttpClient.at(login.url, token=login.token)
    # By its folder: while the API restarts there is no socket, and a job must not end up in another database.
    has_service = Path(settings.socket).parent.is_dir()
    return HttpClient.on_socket(Path(settings.socket)) if has_service else None
