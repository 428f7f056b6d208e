"""The wire: connections that know how long a whole answer may take, and that can be cut from another thread.

A read timeout alone does not end an answer that comes one byte at a time. So every wait on a socket here is also
bounded by the time that the answer has left, from the connection's first packet to the last byte of the body.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import httpx

_IDLE_SECONDS = 30.0
_here = threading.local()


class Broken(Exception):
    """The exchange came to no end.

    Attributes:
        reason: what happened, without names and addresses.
        sent: the request may have reached the server.
        again: another try may go better.
    """

    def __init__(self, reason: str, *, sent: bool = True, again: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.sent, self.again = reason, sent, again


class Budget:
    """The time one answer may take, counted only while somebody waits for it.

    Args:
        seconds: None for as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = self._left = seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Waits on sockets inside, in this thread, end when the time is up."""
        began = time.monotonic()
        _here.until = None if self._left is None else began + self._left
        try:
            yield
        except Broken:
            if self._left is not None and time.monotonic() - began >= self._left:
                raise Broken(f"the whole answer did not come within {self.seconds:g} s") from None
            raise
        finally:
            _here.until = None
            if self._left is not None:
                self._left -= time.monotonic() - began


def _bounded(timeout: float | None) -> float | None:
    until: float | None = getattr(_here, "until", None)
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for the whole answer is over")
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, wires: _Wires) -> None:
        self._inner, self._wires = inner, wires
        wires.add(self)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _bounded(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _bounded(timeout))

    def close(self) -> None:
        self._wires.drop(self)
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._wires.drop(self)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _bounded(timeout)), self._wires)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def cut(self) -> None:
        """Wake whoever waits for this connection, with an error."""
        import socket

        with suppress(OSError):
            self._inner.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class _Wires(httpcore.NetworkBackend):
    """Makes connections, and knows those that are open."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()
        self._lock = threading.Lock()
        self._open: set[_Stream] = set()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        made = self._inner.connect_tcp(host, port, _bounded(timeout), local_address, socket_options)
        return _Stream(made, self)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(path, _bounded(timeout), socket_options), self)

    def add(self, stream: _Stream) -> None:
        with self._lock:
            self._open.add(stream)

    def drop(self, stream: _Stream) -> None:
        with self._lock:
            self._open.discard(stream)

    def cut(self) -> None:
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            stream.cut()


class Transport:
    """Sends requests, directly or through the proxy that the environment names for a host. It keeps no cookies.

    Args:
        connect: seconds to wait for a connection.
        read: seconds to wait for the next piece of an answer.
        tls: certificates to trust and to show; the usual ones when left out.
        connections: how many at once.
    """

    def __init__(self, connect: float, read: float, tls: ssl.SSLContext | None, connections: int) -> None:
        self._timeouts = {"connect": connect, "pool": connect, "read": read, "write": read}
        self._tls, self._most = tls, connections
        self._wires = _Wires()
        self._pools: dict[tuple[str, str], httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> httpx.Response:
        """The answer to a request; its body has not been read yet, and redirects are not followed.

        Raises:
            Broken: no answer came.
        """
        extensions: dict[str, Any] = {"timeout": self._timeouts}
        with told():
            request = httpx.Request(method, url, headers=dict(headers), content=content, extensions=extensions)
            sent = httpcore.Request(
                method,
                httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=content,
                extensions=extensions,
            )
            answer = self._pool(request.url).handle_request(sent)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), request=request)

    def _pool(self, url: httpx.URL) -> httpcore.ConnectionPool:
        proxies = urllib.request.getproxies()
        proxy = proxies.get(url.scheme) or proxies.get("all") or ""
        if proxy and urllib.request.proxy_bypass(url.host):
            proxy = ""
        with self._lock:
            if (url.scheme, proxy) not in self._pools:
                self._pools[url.scheme, proxy] = self._made(url.scheme, proxy)
            return self._pools[url.scheme, proxy]

    def _made(self, scheme: str, proxy: str) -> httpcore.ConnectionPool:
        options: dict[str, Any] = {
            "ssl_context": (self._tls or _usual_tls()) if scheme == "https" else None,
            "max_connections": self._most,
            "keepalive_expiry": _IDLE_SECONDS,
            "network_backend": self._wires,
        }
        if not proxy:
            return httpcore.ConnectionPool(**options)
        way = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
        return httpcore.HTTPProxy(str(way.url), proxy_auth=way.raw_auth, **options)

    def cut(self) -> None:
        """End what is under way, in whatever thread."""
        self._wires.cut()

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()


@functools.cache
def _usual_tls() -> ssl.SSLContext:
    """Reading the certificates takes a while: once in a process."""
    return httpx.create_ssl_context()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with told():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        with suppress(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            self._answer.close()


@contextmanager
def told() -> Iterator[None]:
    """What went wrong on the wire, in our words."""
    try:
        yield
    except httpcore.PoolTimeout:
        raise Broken("no connection became free in time", sent=False) from None
    except httpcore.ConnectTimeout:
        raise Broken("no connection was made in time", sent=False) from None
    except httpcore.ConnectError as error:
        raise _refused(error) from None
    except httpcore.WriteTimeout:
        raise Broken("the server did not take the request in time") from None
    except httpcore.TimeoutException:
        raise Broken("the server fell silent") from None
    except httpcore.ProxyError as error:
        raise Broken(f"the proxy refused: {error}", sent=False, again=False) from None
    except httpcore.RemoteProtocolError as error:
        raise Broken(f"the answer broke off or is no HTTP ({error})") from None
    except httpcore.NetworkError as error:
        raise Broken(f"the connection was lost ({str(error) or 'no reason given'})") from None
    except (httpx.InvalidURL, UnicodeError):
        raise Broken("the address or a header of the request cannot be sent", sent=False, again=False) from None
    except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol):  # its text would show the header
        raise Broken("a header of the request cannot be sent as it is", sent=False, again=False) from None


def _refused(error: httpcore.ConnectError) -> Broken:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Broken(f"its certificate is not trusted ({cause.verify_message})", sent=False, again=False)
        cause = cause.__cause__ or cause.__context__
    return Broken(f"no connection could be made ({error})", sent=False)
