"""Finds the API that commands and notebooks ask."""

from pathlib import Path

from cnnctl.http_client import HttpClient
from cnnctl.login import read_login

SYSTEM_SOCKET = "/run/cnnctl/api.sock"
API_SOCKET = "api.sock"  # of an embedded stack, in its data folder


def find_service(*, url: str, token: str, socket: str) -> HttpClient | None:
    """The API at a URL, else on a socket, else that of the login; None: none of them is given.

    An empty text was not given. At a URL the token of the login counts where none was given.

    Raises:
        CnnctlError: the login cannot be read, or the URL is none.
    """
    if socket and not url:
        return HttpClient.on_socket(Path(socket))
    login = read_login()
    if url:
        saved = login.token if login and login.url == url else ""
        return HttpClient.at(url, token=token or saved)
    return HttpClient.at(login.url, token=login.token) if login else None
