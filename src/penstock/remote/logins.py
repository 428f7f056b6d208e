"""Where somebody has signed in: tokens and keys of servers, in a file that only they can read.

Each refresh token is good once, so one process at a time has tokens renewed, and the others take what it got.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from penstock.core import typed
from penstock.core.errors import ConfigurationError
from penstock.core.files import atomic_write
from penstock.remote.calls import Call
from penstock.remote.client import address_of
from penstock.remote.errors import NotSignedIn
from penstock.remote.identity import Identity, Tokens

_PORTS = {"http": 80, "https": 443}


class Login(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody is signed in to a server.

    Attributes:
        name: of their account.
        bearer: what goes with each request, an access token or a key.
        refresh: gets the next access token; None beside a key.
    """

    name: str
    bearer: str
    refresh: str | None = None


class _Kept(msgspec.Struct):
    servers: dict[str, Login] = {}


def logins_file() -> Path:
    """The file: `penstock/logins.json` in the folder for configuration of whoever runs this.

    Raises:
        ConfigurationError: they have no home.
    """
    given = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        folder = Path(given) if os.path.isabs(given) else Path.home() / ".config"
    except RuntimeError:
        raise ConfigurationError(
            "There is no home folder to keep a sign-in in.", hint="set HOME, or PENSTOCK_API_KEY to a key"
        ) from None
    return folder / "penstock" / "logins.json"


def place_of(url: str) -> str:
    """A server, in one way of writing it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


class Logins:
    """The file.

    Args:
        file: another one.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file if file is not None else logins_file()

    def find(self, url: str) -> Login | None:
        """Who is signed in to a server; None for nobody.

        Raises:
            ConfigurationError: the file cannot be read, or others can read it.
        """
        return self._read().servers.get(place_of(url))

    def keep(self, url: str, login: Login) -> None:
        """Note that somebody is signed in.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        with self.turn():
            self.put(url, login)

    def put(self, url: str, login: Login | None) -> None:
        """The same, for whoever has the turn; nobody is signed in any more where there is no login."""
        kept = self._read()
        kept.servers.pop(place_of(url), None)
        if login is not None:
            kept.servers[place_of(url)] = login
        self._write(kept)

    def drop(self, url: str) -> Login | None:
        """Forget who is signed in; gives what was known of them."""
        if self.find(url) is None:
            return None
        with self.turn():
            found = self.find(url)
            self.put(url, None)
        return found

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold what one process at a time can hold."""
        handle = self.claim(wait=True)
        try:
            yield
        finally:
            os.close(handle)

    def claim(self, *, wait: bool) -> int:
        """The same, until it is closed.

        Raises:
            BlockingIOError: somebody else has it, and is not waited for.
        """
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = self.file.with_name(f"{self.file.name}.lock")
            handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable("written", error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _read(self) -> _Kept:
        try:
            with open(self.file, "rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                data = file.read()
        except FileNotFoundError:
            return _Kept()
        except OSError as error:
            raise self._unusable("read", error) from None
        if mode & 0o077:
            raise ConfigurationError(f"Others can read {self.file}.", hint=f"take that away: chmod 600 {self.file}")
        try:
            return typed.from_json(data, _Kept)
        except (msgspec.MsgspecError, ValueError):
            raise ConfigurationError(
                f"{self.file} is not as Penstock wrote it.", hint="remove it, and sign in again: penstock login URL"
            ) from None

    def _write(self, kept: _Kept) -> None:
        """In one step: whoever reads meanwhile has the former file, and so does who comes after a crash."""
        try:
            with atomic_write(self.file, "wb", private=True) as file:
                file.write(msgspec.json.encode(kept))
        except OSError as error:
            raise self._unusable("written", error) from None

    def _unusable(self, what: str, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"{self.file} cannot be {what}: {error.strerror}.", hint="mend it, or set PENSTOCK_API_KEY to a key"
        )


class SavedLogin(Identity):
    """Whoever is signed in to a server; tokens are renewed in the file, for every process.

    Args:
        url: of the server.
        logins: the file.
        login: what it says now.
    """

    def __init__(self, url: str, logins: Logins, login: Login) -> None:
        super().__init__(token=login.bearer)
        self._url = url
        self._logins = logins
        self._login = login
        self._handle: int | None = None

    @property
    def renewable(self) -> bool:
        """See `Identity`."""
        return self._login.refresh is not None

    def claim(self) -> bool:
        """See `Identity`. What another process got meanwhile is taken."""
        try:
            self._handle = self._logins.claim(wait=False)
        except BlockingIOError:
            return False
        try:
            found = self._logins.find(self._url)
            if found is None or found.name != self._login.name:
                raise NotSignedIn(f"{self._login.name} has been signed out of {self._url} meanwhile.")
            self._login = found
        except BaseException:
            self.release()
            raise
        self.header = f"Bearer {self._login.bearer}"
        return True

    def release(self) -> None:
        """See `Identity`."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def calls(self) -> Iterator[Call[Tokens]]:
        """See `Identity`."""
        yield self._asking(grant_type="refresh_token", refresh_token=self._login.refresh or "")

    def take(self, tokens: Tokens) -> None:
        """See `Identity`."""
        super().take(tokens)
        found = Login(name=self._login.name, bearer=tokens.access_token, refresh=tokens.refresh_token)
        self._logins.put(self._url, found)
        self._login = found


def saved_login(url: str, file: Path | None = None) -> Identity | None:
    """Who is signed in to a server by `penstock login`; None for nobody.

    Args:
        url: of the server.
        file: where it is kept; in the home folder when left out.

    Raises:
        ConfigurationError: what is kept cannot be read, or others can read it.
    """
    url, logins = address_of(url), Logins(file)
    login = logins.find(url)
    return SavedLogin(url, logins, login) if login is not None else None


def login_of(name: str, identity: Identity) -> Login:
    """What is kept of somebody who has just signed in."""
    refresh = identity.refresh
    return Login(
        name=name,
        bearer=(identity.header or "").removeprefix("Bearer "),
        refresh=refresh.reveal() if refresh is not None else None,
    )
