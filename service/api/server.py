"""Serves the API: on a unix socket, whose peers the kernel names, and on TCP for tokens and browsers."""

import asyncio
import errno
import os
import signal
import socket
import stat
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from service.api.peer import PeerProtocol, raise_descriptor_limit
from service.errors import AlreadyRunning, SettingError
from service.settings import Settings

BACKLOG = 512
STOP_SECONDS = 5
log = structlog.get_logger()


class Server(uvicorn.Server):
    """One of several in a process, which takes the signals for all of them."""

    def capture_signals(self) -> Any:
        return nullcontext()


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve an app that `make_app` made until SIGTERM or SIGINT.

    Raises:
        AlreadyRunning: another process serves the socket or the port.
        SettingError: the socket's folder or the certificate cannot be used.
    """
    raise_descriptor_limit()
    path = Path(settings.socket)
    unix = open_socket(path)
    made = path.stat().st_ino
    try:
        tcp = None if settings.api_address == "none" else open_port(settings.api_address)
        asyncio.run(_serve(app, settings, unix, tcp))
    finally:
        unix.close()
        with suppress(FileNotFoundError):
            if path.stat().st_ino == made:  # else it is another process's by now
                path.unlink()


async def _serve(app: FastAPI, settings: Settings, unix: socket.socket, tcp: socket.socket | None) -> None:
    servers = [(Server(_configure(app, lifespan="on")), unix)]
    if tcp is not None:
        servers.append((Server(_configure(app, lifespan="off", settings=settings)), tcp))

    def stop() -> None:
        app.state.hub.stop()
        for server, _ in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    log.info("api", action="started", pid=os.getpid(), socket=settings.socket, address=settings.api_address)
    await asyncio.gather(*(server.serve(sockets=[listening]) for server, listening in servers))
    log.info("api", action="stopped")


def _configure(app: Any, *, lifespan: Any, settings: Settings | None = None) -> uvicorn.Config:
    """The socket's server runs the app's lifespan, the port's has TLS if there is a certificate."""
    tls = settings is not None and settings.api_certificate
    return uvicorn.Config(
        app,
        http=PeerProtocol,
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=settings.api_certificate if settings and tls else None,
        ssl_keyfile=settings.api_key if settings and tls else None,
    )


def open_socket(path: Path) -> socket.socket:
    """Listen on a unix socket that everybody of the machine may connect to.

    One that was left by a process that is gone is replaced.

    Raises:
        AlreadyRunning: somebody listens there.
        SettingError: there is something else, or no folder to write.
    """
    try:
        if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
            raise SettingError(f"CNNCTL_SOCKET: {path} is there already and is no socket")
        if _is_served(path):
            raise AlreadyRunning(
                f"Another process serves {path}. Stop it, or set CNNCTL_SOCKET to another path"
            )
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.unlink(missing_ok=True)  # of a process with our number that was killed here, as in a container
        listening.bind(str(new))
        new.chmod(0o666)
        listening.listen(BACKLOG)
        new.replace(path)  # so that nobody meets one that does not listen yet
    except OSError as error:
        raise SettingError(
            f"CNNCTL_SOCKET: {path} cannot be made: {error.strerror}. Does its folder exist?"
        ) from None
    return listening


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        with suppress(ConnectionRefusedError, FileNotFoundError):
            probe.connect(str(path))
            return True
    return False


def open_port(address: str) -> socket.socket:
    """Listen on HOST:PORT.

    Raises:
        AlreadyRunning: somebody listens there.
        SettingError: it is no address of this machine.
    """
    host, _, port = address.rpartition(":")
    try:
        listening = socket.create_server(
            (host.strip("[]"), int(port)),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=BACKLOG,
        )
        # Its connections inherit it, and asyncio sets it for none of them, as their protocol's number is 0.
        # Without it, every answer on a connection that is kept waits 40 ms for the client's delayed ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except PermissionError as error:
        raise SettingError(f"CNNCTL_API_ADDRESS: {address} cannot be used: {error.strerror}") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"Another process listens on {address}. Set CNNCTL_API_ADDRESS to another"
            ) from None
        raise SettingError(f"CNNCTL_API_ADDRESS: {address} cannot be used: {error.strerror}") from None
