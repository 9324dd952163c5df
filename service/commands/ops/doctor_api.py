"""Checks that the API answers where its socket is."""

from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from cnnctl.connection import Connection
from cnnctl.errors import CnnctlError
from cnnctl.find import API_SOCKET
from cnnctl.version import find_version
from cnnctl.views.access import VersionView
from cnnctl.views.ops import Finding
from service.settings import Settings


def check_api(settings: Settings) -> Iterator[Finding]:
    """A finding for each socket that is there; people may also do without an API."""
    for path in dict.fromkeys((Path(settings.socket), settings.home_dir / API_SOCKET)):
        if path.exists():
            yield _check(path)


def _check(path: Path) -> Finding:
    itself = "commands of people without the database's settings fail; jobs go on"
    try:
        version = Connection.on_socket(path).get_once(VersionView, "version").version
    except (OSError, HTTPException, CnnctlError) as error:
        said = getattr(error, "strerror", None) or str(error)
        remedy = "start it again, and read its log: cnnctl api, or cnnctl up"
        return Finding(subject="api", found=f"{path} does not answer: {said}", remedy=remedy, itself=itself)
    remedy = "" if version == find_version() else f"it has version {version}: start it again"
    return Finding(subject="api", found=f"answers on {path}", remedy=remedy)
