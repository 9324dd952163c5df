"""Sets up the log of the long-running processes: one line per event, `action=` first."""

import logging
import os
import sys
from contextlib import suppress

import structlog

from service.visible import escape

STANDARD_ERROR = 2


def configure_log(level: str) -> None:
    """Send structured lines to standard error, in logfmt unless it is a terminal."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.LogfmtRenderer(key_order=["at", "level", "event"])
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            _show,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_make_logger,
    )


def _show(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape quoted text, so that it cannot act in the terminal of the log's reader."""
    return {name: escape(value) if isinstance(value, str) else value for name, value in event.items()}


def _make_logger(*_: object) -> "_LineLogger":
    return _LineLogger()


class _LineLogger:
    """Writes each line at once, without Python's buffer, which would keep a line that a full disk refuses."""

    def msg(self, line: str) -> None:
        with suppress(OSError):  # a full disk or a closed terminal: work does not stop because of its log
            os.write(STANDARD_ERROR, f"{line}\n".encode(errors="backslashreplace"))

    debug = info = warning = warn = error = critical = exception = msg
