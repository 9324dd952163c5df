"""Delivers one message: by the mail command, or by a POST to a webhook."""

import json
import shlex
import subprocess
import urllib.request
from email.message import EmailMessage
from http.client import HTTPException
from urllib.error import HTTPError

from service.domain.states import Channel
from service.notify.message import Message

SECONDS = 15.0


class Undelivered(Exception):
    """A message could not be delivered; the text says why."""


def deliver(message: Message, channel: Channel, address: str, *, mail_command: str) -> None:
    """Deliver a message, or say why not.

    Raises:
        Undelivered: the command failed, or the server did not take it.
    """
    try:
        if channel is Channel.MAIL:
            _mail(message, address, mail_command)
        else:
            _post(message, address)
    except (OSError, HTTPException, ValueError, subprocess.SubprocessError) as error:
        raise Undelivered(_explain(error)) from error


def _mail(message: Message, address: str, command: str) -> None:
    mail = EmailMessage()
    mail["To"], mail["Subject"] = address, message.subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    done = subprocess.run(
        shlex.split(command), input=mail.as_bytes(), capture_output=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no words"]
        raise Undelivered(f"{command!r} ended with status {done.returncode}: {said[-1]}")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A POST that is sent elsewhere would arrive as a GET: say so, and let a person mend the URL."""
        return


_OPENER = urllib.request.build_opener(_NoRedirects)


def _post(message: Message, url: str) -> None:
    body = json.dumps(message.document).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    with _OPENER.open(request, timeout=SECONDS):
        pass


def _explain(error: Exception) -> str:
    if isinstance(error, HTTPError):
        error.close()
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took longer than {SECONDS:g} s"
    return f"{type(error).__name__}: {error}"
