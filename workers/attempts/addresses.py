"""Finds the address and port where trainers of other hosts reach this host's trainer."""

import socket
from urllib.parse import urlsplit

from service.settings import Settings

ANY_PORT = 9  # nothing is sent there: the system only names the local address that it would use


def get_own_address(settings: Settings) -> str:
    """The set address, else the one by which this host reaches the database; without a server, its own."""
    server = urlsplit(settings.database_url).hostname
    if settings.address or not server:
        return settings.address or "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((server, ANY_PORT))
        except OSError:
            return socket.gethostname()
        return str(asked.getsockname()[0])


class HeldPort:
    """A free port, reserved until it is released right before its trainer takes it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("", 0))
        self.number = int(self._socket.getsockname()[1])

    def release(self) -> None:
        self._socket.close()
