"""The API served from a thread of this process, beside whatever else it does."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator, Sequence

import uvicorn

from penstock.app import Penstock
from penstock.control.app import create_app
from penstock.control.patience import patient
from penstock.control.settings import ServerSettings
from penstock.control.streams import make_room
from penstock.control.wiring import Control
from penstock.core.errors import ConfigurationError
from penstock.core.networks import as_seen
from penstock.journal.echo import echo

_GRACE_SECONDS = 10
_UNREAD_SECONDS = 60


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextlib.contextmanager
def serving(penstock: Penstock, settings: ServerSettings) -> Iterator[str]:
    """Answer requests until the block is left; then those under way are answered, and no more.

    Args:
        penstock: whose runs and workflows the API is about.
        settings: of the server.

    Yields:
        The address to reach it at.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    place = listening(settings)
    make_room()
    if settings.echo_sql:
        echo(penstock.journal)
    app = create_app(penstock, settings)
    control: Control = app.state.control
    control.prepare()
    config = uvicorn.Config(
        app,
        http=patient(settings.body_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),  # else anybody here could say that they are somebody else
        forwarded_allow_ips=[seen for each in settings.trusted_proxies for seen in as_seen(each)],
        reset_contextvars=True,  # what is known of one request is not known of the next one of its connection
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
    thread = threading.Thread(target=_run, args=(server, [place]), name="penstock-api", daemon=True)
    thread.start()
    server.ready.wait()
    control.start()
    try:
        host, port = place.getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        control.leave()
        server.should_exit = True
        thread.join(_GRACE_SECONDS + 5)
        control.close()


def _run(server: _Server, sockets: Sequence[socket.socket]) -> None:
    try:
        server.run(sockets=list(sockets))
    finally:
        server.ready.set()  # whoever waits, goes on


def listening(settings: ServerSettings) -> socket.socket:
    """The socket that requests come to.

    Raises:
        ConfigurationError: somebody else has it, or it cannot be had.
    """
    kind = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    place = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sends at once only where it says TCP
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it too: whoever takes nothing for so long is gone
            place.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_SECONDS * 1000)
        place.bind((settings.host, settings.port))
        place.listen(2048)
        return place
    except OSError as error:
        place.close()
        if error.errno == errno.EADDRINUSE:
            told = f"Something listens on port {settings.port} already."
            raise ConfigurationError(told, hint="is it another Penstock server? Else give another --port") from None
        told = f"The server cannot listen on {settings.host} port {settings.port}: {error.strerror or error}."
        hint = "give another --port" if error.errno == errno.EACCES else "give an address of this machine: --host"
        raise ConfigurationError(told, hint=hint) from None
