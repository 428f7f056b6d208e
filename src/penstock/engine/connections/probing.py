"""A request for health tests, with nothing but the standard library: no redirects, bounded, and not logged anywhere."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from penstock.core.connections import ConnectionFailed

_MOST_BYTES = 65_536


class Answer(NamedTuple):
    """What a server answered; of a long body only the beginning."""

    status: int
    body: bytes


class _Here(urllib.request.HTTPRedirectHandler):
    """An answer that leads elsewhere is the answer: credentials are for this server only."""

    def redirect_request(self, *given: Any) -> None:
        """Follow none."""


def ask(
    url: str,
    seconds: float,
    *,
    headers: Mapping[str, str] | None = None,
    form: bytes | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """GET this, or POST a form.

    Raises:
        ConnectionFailed: there was no answer.
    """
    request = urllib.request.Request(url, data=form, headers={"User-Agent": "penstock", **(headers or {})})
    opener = urllib.request.build_opener(_Here, urllib.request.HTTPSHandler(context=tls))
    try:
        with opener.open(request, timeout=seconds) as found:
            return Answer(found.status, found.read(_MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(_MOST_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None)
        told, hint = why(reason if isinstance(reason, Exception) else error)
        raise ConnectionFailed(told, hint=hint) from None


def why(error: Exception) -> tuple[str, str]:
    """What kept a request from being answered, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        told = f"its certificate is not accepted: {error.verify_message}"
        return told, "name the authority that signed it: --ca-file FILE"
    if isinstance(error, ssl.SSLError):
        return f"there is no TLS with it: {error.reason}", "check the port, and whether it is http or https"
    if isinstance(error, TimeoutError):
        return "it did not answer in time", "check host and port, and that no firewall is between"
    if isinstance(error, ValueError):  # its text holds what could not be sent
        return "a name, a password or the address holds what cannot be sent", "look for line breaks and accents"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower(), "check host and port, and that it is up"
    return f"{type(error).__name__}: {error}", "check the address"


def url_mistakes(name: str, url: str | None) -> Iterator[tuple[str, str]]:
    """What is wrong with the address of an HTTP server, as `Connection.mistakes` gives it.

    It is shown, so that nothing may be in it which could be secret.
    """
    try:
        parts = urlsplit(url or "http://none")
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        yield name, "must be a URL such as https://api.example.com"
    elif "@" in (url or ""):
        yield name, "must not hold a name or a password, which have fields of their own (write %40 for an @ in a path)"
    elif "?" in (url or "") or "#" in (url or ""):
        yield name, "must end before the ? or the #"


def tls_context(verify: bool, ca_file: str | None, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """What TLS is done with.

    Args:
        verify: certificates of servers are checked.
        ca_file: by these authorities instead of the system's.
        cert: a certificate of our own, with its key in the same file or in `key`.
        key: the key of `cert`.

    Raises:
        ConnectionFailed: a file cannot be read, or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except OSError as error:
        told = error.strerror or str(error)
        raise ConnectionFailed(f"a certificate cannot be read: {told}", hint="check the files it names") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
