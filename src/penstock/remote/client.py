"""The clients: one that waits, one that is awaited; what they can do is the same."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Generic
from urllib.parse import urlsplit

from penstock.core.errors import ConfigurationError
from penstock.core.extras import LateExtra
from penstock.remote.calls import Async, K, Sender, Sync
from penstock.remote.identity import Identity
from penstock.remote.resources.access import Access, Audit, Keys, Users
from penstock.remote.resources.alerts import Alerts, Silences
from penstock.remote.resources.automations import Automations
from penstock.remote.resources.deployments import Connections, Datasets, Deployments
from penstock.remote.resources.events import Events, Overview
from penstock.remote.resources.files import Files
from penstock.remote.resources.health import Health
from penstock.remote.resources.jobs import Jobs
from penstock.remote.resources.runs import RunsResource
from penstock.remote.resources.webhooks import Webhooks
from penstock.remote.resources.workflows import Workflows
from penstock.remote.session import Session
from penstock.remote.transports import AsyncSender, SyncSender

_httpx: Any = LateExtra("httpx", "client")
_HERE = ("localhost", "127.0.0.1", "::1")


class _Api(Generic[K]):
    """Everything the API has."""

    def __init__(self, sender: Sender) -> None:
        self.workflows: Workflows[K] = Workflows(sender)
        self.runs: RunsResource[K] = RunsResource(sender)
        self.jobs: Jobs[K] = Jobs(sender)
        self.deployments: Deployments[K] = Deployments(sender)
        self.events: Events[K] = Events(sender)
        self.overview: Overview[K] = Overview(sender)
        self.webhooks: Webhooks[K] = Webhooks(sender)
        self.automations: Automations[K] = Automations(sender)
        self.alerts: Alerts[K] = Alerts(sender)
        self.silences: Silences[K] = Silences(sender)
        self.files: Files[K] = Files(sender)
        self.datasets: Datasets[K] = Datasets(sender)
        self.connections: Connections[K] = Connections(sender)
        self.auth: Access[K] = Access(sender)
        self.users: Users[K] = Users(sender)
        self.keys: Keys[K] = Keys(sender)
        self.audit: Audit[K] = Audit(sender)
        self.health: Health[K] = Health(sender)


def address_of(url: str) -> str:
    """The address of a server, as it is written.

    Raises:
        ConfigurationError: it is none.
    """
    parts = urlsplit(url.strip())
    try:
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or not url.isprintable():
        raise ConfigurationError(
            f"{url!r} is no address of a server.", hint="write it like http://127.0.0.1:4300 or https://ops.example"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "The address of a server holds no password.",
            hint="give an API key: PENSTOCK_API_KEY, or Client(api_key=...)",
        )
    return url.strip().rstrip("/").removesuffix("/api/v1")


def check_private(url: str, insecure: bool) -> None:
    """See that a secret does not go over a network in clear text.

    Raises:
        ConfigurationError: it would.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _HERE and not insecure:
        raise ConfigurationError(
            f"{url} is not encrypted, and whoever listens would get what is sent.",
            hint="use https://, or say insecure=True (PENSTOCK_INSECURE=1) where the network is your own",
        )


def _tls(verify: bool, ca_file: str | Path | None, client_certificate: str | Path | None) -> Any:
    """How the server is known, and how it knows us.

    Raises:
        ConfigurationError: a file cannot be read, or is no certificate.
    """
    if verify and ca_file is None and client_certificate is None:
        return True
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
        if client_certificate is not None:
            context.load_cert_chain(client_certificate)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"A certificate cannot be used: {error}.", hint="give a file of PEM") from None
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class _Options:
    """Makes the session and the transport of a client; see `Client`."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        service_account: bool = False,
        patience_seconds: float = 60.0,
        timeout_seconds: float = 30.0,
        verify: bool = True,
        ca_file: str | Path | None = None,
        client_certificate: str | Path | None = None,
        insecure: bool = False,
        identity: Identity | None = None,
        agent: str = "penstock-client",
    ) -> None:
        if not patience_seconds >= 0 or not timeout_seconds > 0:
            raise ConfigurationError("patience_seconds must be at least 0, and timeout_seconds greater than 0.")
        url = address_of(url)
        given = Identity(api_key=api_key, token=token, user=user, password=password, client=service_account)
        if identity is not None and given.known:
            raise ConfigurationError("Give an identity, or a key, a token or a password: one of them.")
        identity = identity or given
        check_private(url, insecure)  # also where nobody has signed in: what is sent may be a secret itself
        self.session = Session(
            url, identity, patience_seconds=patience_seconds, timeout_seconds=timeout_seconds, agent=agent
        )
        self.transport: dict[str, Any] = {
            "base_url": url,
            "verify": _tls(verify, ca_file, client_certificate),
            "follow_redirects": False,
        }


class Client(_Api[Sync]):
    """A client of a Penstock server that waits for its answers. May be used by several threads at once.

    Args:
        url: of the server, such as `http://127.0.0.1:4300`.
        options: who asks (`api_key`, `token`, or `user` and `password`; `service_account=True` where these are its id
            and secret); `patience_seconds` for which a server that is away is waited for, `timeout_seconds` for one
            answer; `verify`, `ca_file` and `client_certificate` for TLS; `insecure=True` to send a key over a network
            without TLS; `identity=saved_login(url)` for whoever has signed in with `penstock login`.

    Raises:
        ConfigurationError: an option that cannot be.
        MissingExtra: httpx is not installed.
    """

    def __init__(self, url: str, **options: Any) -> None:
        made = _Options(url, **options)
        self.session = made.session
        self._http = _httpx.Client(**made.transport)
        super().__init__(SyncSender(made.session, self._http))

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Api[Async]):
    """The same, awaited. Belongs to the event loop it is first used in.

    Args:
        url: see `Client`.
        options: see `Client`.

    Raises:
        ConfigurationError, MissingExtra: see `Client`.
    """

    def __init__(self, url: str, **options: Any) -> None:
        made = _Options(url, **options)
        self.session = made.session
        self._http = _httpx.AsyncClient(**made.transport)
        super().__init__(AsyncSender(made.session, self._http))

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
