"""A server of this machine for one web application: threaded, silent, quick to open."""

import errno
import socket
import sys
from collections.abc import Callable
from io import StringIO
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from schedsearch.errors import RunError

FIRST_PORT = 8080
_PORTS_TRIED = 50


class _Handler(WSGIRequestHandler):
    """Logs no requests."""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def get_stderr(self) -> TextIO:
        return StringIO()  # errors while a request is answered are in the answer


class Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread of its own."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that went away; print any other error in one line."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"schedsearch: a request failed: {error!r}"[:300], file=sys.stderr)


class _Server6(Server):
    address_family = socket.AF_INET6


def make_server(app: Callable[..., Any], host: str, port: int | None) -> Server:
    """Bind an application's server; it answers once `serve_forever` is called.

    Args:
        app: the application.
        host: the address to listen on.
        port: the port; None for 8080, or the next free one.

    Raises:
        RunError: the port is taken, or the address is not this machine's.
    """
    kind = _Server6 if ":" in host else Server
    ports = [port] if port is not None else [*range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED), 0]
    for tried in ports:
        try:
            server = kind((host, tried), _Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            text = error.strerror or str(error)
            raise RunError(f"cannot listen on port {tried} of {host!r}: {text}") from error
        server.set_app(app)
        return server
    raise RunError(f"port {port} of {host} is taken: name another with --port, or none")
