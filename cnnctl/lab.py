"""The service for notebooks: `lab = cnnctl.connect()`, `job = lab.submit("lenet5", dataset="digits")`."""

import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cnnctl.errors import CnnctlError, JobFailed, SpecError
from cnnctl.fields import FIELDS
from cnnctl.files import choose_file
from cnnctl.find import API_SOCKET, SYSTEM_SOCKET, find_service
from cnnctl.following import read_whole_log
from cnnctl.http_client import HttpClient
from cnnctl.paging import list_all_jobs
from cnnctl.views.jobs import JobDiffView, JobView, ProgressView
from cnnctl.views.requests import JobQuery, SubmissionRequest
from cnnctl.views.states import JobState

POLL_SECONDS = 0.5
PAGE = 200
Points = Sequence[tuple[int, float | None]]
_PATHS = {name.replace("-", "_"): path for name, path in FIELDS.items()}


def connect(url: str = "", *, token: str = "", socket: str = "") -> "Lab":
    """The service of the lab: at a URL, on a unix socket, or where the commands find it.

    Without arguments: CNNCTL_URL and CNNCTL_TOKEN, else CNNCTL_SOCKET, else `cnnctl login`, else the socket
    of this machine, else that of a stack which you have started with `cnnctl up`.

    Raises:
        CnnctlError: there is no service, or it does not know you.
    """
    lab = Lab(_find(url or os.environ.get("CNNCTL_URL", ""), token, socket))
    lab.client.get_me()
    return lab


def _find(url: str, token: str, socket: str) -> HttpClient:
    token = token or os.environ.get("CNNCTL_TOKEN", "")
    found = find_service(url=url, token=token, socket=socket or os.environ.get("CNNCTL_SOCKET", ""))
    if found:
        return found
    home = Path(os.environ.get("CNNCTL_HOME") or Path.home() / ".cnnctl")
    for path in (Path(SYSTEM_SOCKET), home / API_SOCKET):
        if path.exists():
            return HttpClient.on_socket(path)
    raise CnnctlError("There is no service on this machine. Start one: cnnctl up; or: cnnctl login URL")


class Lab:
    """A person's access to the service."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        """Everything that the API does."""

    def submit(
        self,
        architecture: str | None = None,
        *,
        fields: Mapping[str, Any] | None = None,
        like: "int | Job | None" = None,
        name: str = "",
        tags: Sequence[str] = (),
        note: str = "",
        project: str | None = None,
        priority: Any = None,
        **short: Any,
    ) -> "Job":
        """Queue a job.

        Fields of the spec go by their short names, as in `dataset="digits"` or `batch_size=64`, and all
        others into `fields`, as in `{"schedule.step_epochs": 5}`. `like` is the job that says what is not
        given.

        Raises:
            SpecError: a field does not exist, or the service refuses it; nothing was queued.
            NotAllowed: you have no right to the priority.
        """
        unknown = [one for one in short if one not in _PATHS]
        if unknown:
            raise SpecError(f"There is no field {unknown[0]!r}. Short names: {', '.join(_PATHS)}")
        given = {**(fields or {}), **{_PATHS[one]: value for one, value in short.items()}}
        request = SubmissionRequest(
            architecture=architecture,
            fields=given,
            like=like.number if isinstance(like, Job) else like,
            name=name,
            tags=tags,
            note=note,
            project=project,
            priority=priority,
        )
        submitted = self.client.submit(request)
        for notice in submitted.notices:
            warnings.warn(notice, stacklevel=2)
        return Job(self.client, submitted.job)

    def job(self, number: int) -> "Job":
        """A job by its number.

        Raises:
            JobNotFound: there is none.
        """
        return Job(self.client, self.client.get_progress(number).job)

    def jobs(
        self,
        *,
        owner: str | None = None,
        state: JobState | Sequence[JobState] = (),
        project: str | None = None,
        tag: Sequence[str] = (),
        network: str | None = None,
        dataset: str | None = None,
        since: datetime | None = None,
        text: str = "",
    ) -> Iterator["Job"]:
        """All jobs for which all of this holds, the newest first."""
        query = JobQuery(
            owner=owner,
            state=(state,) if isinstance(state, str) else state,
            project=project,
            tag=[tag] if isinstance(tag, str) else tag,
            network=network,
            dataset=dataset,
            since=since,
            text=text,
        )
        for summary in list_all_jobs(self.client, query, page=PAGE):
            yield Job(self.client, summary.job)

    def diff(self, first: "int | Job", second: "int | Job") -> JobDiffView:
        """In what two jobs differ."""
        numbers = (one.number if isinstance(one, Job) else one for one in (first, second))
        return self.client.diff(*numbers)


class Job:
    """A job of the service; its state is asked for whenever it is used."""

    def __init__(self, client: HttpClient, number: int) -> None:
        self._client = client
        self.number = number

    def __repr__(self) -> str:
        return f"<job {self.number}: {self.state}>"

    @property
    def state(self) -> str:
        """`queued`, `running`, `paused`, `succeeded`, `failed` or `cancelled`."""
        return self._client.get_progress(self.number).state

    def view(self) -> JobView:
        """Everything about it."""
        return self._client.get_job(self.number)

    def wait(self, *, progress: bool = False, timeout: float | None = None, check: bool = True) -> "Job":
        """Wait until it has ended; `progress` shows how it comes along.

        Raises:
            JobFailed: it failed or was cancelled, unless `check` is False.
            TimeoutError: it has not ended after so many seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            now = self._client.get_progress(self.number)
            if progress:
                sys.stderr.write(f"\r\x1b[K{_visible(_describe(now))}" + ("\n" if now.finished else ""))
                sys.stderr.flush()
            if now.finished:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"Job {self.number} is still {now.state} after {timeout:g} s")
            time.sleep(POLL_SECONDS)
        if check and now.state != "succeeded":
            raise JobFailed(f"Job {self.number} {now.state}: {now.reason}. See: job.log()")
        return self

    def metrics(self, name: str | None = None) -> Any:
        """Pairs of step and value, as `numpy.array` takes them: of one metric, or of all by name.

        Raises:
            KeyError: it has no such metric.
        """
        series = self._client.get_metrics(self.number).series
        if name is None:
            return series
        if name not in series:
            raise KeyError(
                f"Job {self.number} has no metric {name!r}. It has: {', '.join(series) or 'none yet'}"
            )
        return series[name]

    def log(self) -> str:
        """What its newest attempt has written."""
        return "".join(read_whole_log(self._client, self.number))

    def download(self, what: str = "best", path: str | Path | None = None) -> Path:
        """Write a file of it, by default the network of its best epoch; where it lies.

        Raises:
            FileNotThere: it has no such file; the message names those that it has.
        """
        file = choose_file(self.number, self._client.list_files(self.number), what)
        target = Path(path) if path else Path(f"job-{self.number}-{file.name}")
        for _ in self._client.download(self.number, file, target):
            pass
        return target

    def cancel(self) -> "Job":
        """Stop it for good."""
        self._client.cancel(self.number)
        return self

    def pause(self) -> "Job":
        """Let it rest until it is resumed."""
        self._client.pause(self.number)
        return self

    def resume(self) -> "Job":
        """Let it go on."""
        self._client.resume(self.number)
        return self

    def retry(self) -> "Job":
        """Queue it again after a failure."""
        self._client.retry(self.number)
        return self


def _describe(now: ProgressView) -> str:
    """A line for who waits."""
    at = now.progress
    if at is None or now.finished:
        return ": ".join(filter(None, [f"job {now.job} {now.state}", now.stage or now.reason]))
    share = at.step / max(at.epochs * at.steps_per_epoch, 1)
    bar = "█" * round(20 * share)
    loss = "not finite" if at.loss is None else f"{at.loss:.4f}"
    speed = f"{at.images_per_second:,.0f} images/s"
    return f"job {now.job} epoch {at.epoch}/{at.epochs} |{bar:<20}| loss {loss}  {speed}"


def _visible(text: str) -> str:
    """The text with codes for what a terminal would act on: a trainer may have written the reason."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
