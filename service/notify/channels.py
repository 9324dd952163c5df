"""Delivers one message: by the mail command, or by a POST to a webhook."""

import shlex
import subprocess
from email.message import EmailMessage

from cnnctl.views.codec import to_json
from service.domain.states import Channel
from service.notify.message import Message
from service.notify.undelivered import Undelivered
from service.notify.webhook import SECONDS, post
from service.settings import Settings


def deliver(message: Message, channel: Channel, address: str, settings: Settings) -> None:
    """Deliver a message.

    Raises:
        Undelivered: the command failed, or the server did not accept the message.
    """
    if channel is Channel.MAIL:
        _mail(message, address, settings.mail_command)
    else:
        post(to_json(message.document), address, allowed=settings.webhook_hosts)


def _mail(message: Message, address: str, command: str) -> None:
    mail = EmailMessage()
    mail["To"], mail["Subject"] = address, message.subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    try:
        done = subprocess.run(
            shlex.split(command), input=mail.as_bytes(), capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Undelivered(f"the mail command took longer than {SECONDS:g} s", detail=str(error)) from error
    except OSError as error:
        raise Undelivered("the mail command cannot be run", detail=str(error)) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise Undelivered(f"the mail command ended with status {done.returncode}", detail=said)
