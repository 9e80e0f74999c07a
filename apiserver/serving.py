"""The HTTP server around the application: the socket, TLS, clean stops.  uvicorn runs inside this process."""

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from apiserver import app, faults

STOP_S: Final = 10
"""How long requests under way may take after a stop was asked for."""


def listen(host: str, port: int, *, tls: bool) -> socket.socket:
    """A listening socket; port 0 takes a free one.  Raises serve.tls for an address beyond loopback without TLS, serve.port."""
    if not tls and not _loopback(host):
        raise faults.NEEDS_TLS(host=host)
    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as error:
        raise faults.PORT(host=host, port=port, reason=error.strerror or str(error)) from error
    # asyncio sets it only where the protocol number is given; without it each answer waits 40 ms for a delayed ACK
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.set_inheritable(False)
    return made


def url_of(listening: socket.socket, *, tls: bool) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def serve(api: app.Api, listening: socket.socket, *, tls_cert: str = "", tls_key: str = "", ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then let requests under way end.  `ready` is called once requests are taken."""
    config = uvicorn.Config(
        api,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_S,
        ssl_certfile=tls_cert or None,
        ssl_keyfile=tls_key or None,
    )
    server = _Server(config, ready)
    before = {number: signal.signal(number, _take) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        asyncio.run(server.serve([listening]))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()


def _take(number: int, frame: Any) -> None:
    """uvicorn raises the signal again after its own clean stop; ours follows, so it must not end the process."""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
