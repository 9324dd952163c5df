"""Finds a job's network: in its run folder, or fetched once from the API into the user's cache."""

import os
from pathlib import Path

from cnnctl.client import Client
from cnnctl.files import ABOUT_FILE, BEST_FILE, FINAL_FILE
from cnnctl.views.jobs import JobFile
from service.cli.display.transfer import show_transfer
from service.cli.session import open_session
from service.client.choose import find_api
from service.commands.networks.trained import Trained, get_trained
from service.domain.jobs import JobId
from service.domain.states import JobState
from service.errors import JobConflict
from service.settings import load_settings


def fetch_trained(job: int) -> Trained:
    """The network of the best epoch, or else the final one.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has not succeeded, or nobody can read its files.
    """
    api = find_api(load_settings())
    if api is None:
        settings, store = open_session()
        return get_trained(store, settings, JobId(job))
    view = api.get_result(job)
    files = {file.name: file for file in api.list_files(job)}
    network = files.get(BEST_FILE) or files.get(FINAL_FILE)
    if view.state != JobState.SUCCEEDED.value or network is None or ABOUT_FILE not in files:
        raise JobConflict(
            f"Job {job} has no trained network that can be fetched: it is {view.state}. "
            f"See: cnnctl download {job} --list"
        )
    folder = cache_folder() / "networks" / str(network.digest)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (files[ABOUT_FILE], network):
        _fetch(api, job, file, folder / file.name)
    return Trained(folder=folder, file=network.name, dataset=view.dataset)


def cache_folder() -> Path:
    """Where what was fetched is kept; it may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnnctl"


def _fetch(client: Client, job: int, file: JobFile, target: Path) -> None:
    if not target.exists():
        show_transfer(client.download(job, file, target), name=file.name, total=file.bytes)
