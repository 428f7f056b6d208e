"""Where somebody has signed in: a file that others cannot read, and tokens that several processes have renewed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.access_site import PASSWORD

from penstock.app import Penstock, load_settings
from penstock.control.auth import auth_of
from penstock.control.auth.reading import listed
from penstock.control.server import serving
from penstock.control.settings import ServerSettings
from penstock.core.audit import AuditFilter
from penstock.core.errors import ConfigurationError
from penstock.engine.connections.shelf import shelf_at
from penstock.remote import Client, NotSignedIn
from penstock.remote.logins import Login, Logins, login_of, logins_file, place_of, saved_login

URL = "https://ops.example"


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    return Logins(tmp_path / "config" / "logins.json")


def test_what_is_kept_is_there_for_its_owner_only(logins: Logins) -> None:
    assert logins.find(URL) is None
    assert logins.drop(URL) is None
    assert not logins.file.parent.exists(), "to look changes nothing"
    logins.keep(URL, Login(name="ann", bearer="t", refresh="r"))
    logins.keep("https://other.example", Login(name="ci", bearer="pk_"))
    assert logins.file.stat().st_mode & 0o777 == 0o600
    assert logins.file.parent.stat().st_mode & 0o777 == 0o700
    assert logins.find("https://OPS.example:443/") == Login(name="ann", bearer="t", refresh="r")
    assert logins.find("http://ops.example") is None
    assert logins.find("https://ops.example:8443") is None
    assert logins.drop(URL) == Login(name="ann", bearer="t", refresh="r")
    assert logins.find(URL) is None
    assert logins.find("https://other.example") == Login(name="ci", bearer="pk_")
    assert sorted(os.listdir(logins.file.parent)) == ["logins.json", "logins.json.lock"]


def test_files_that_cannot_be_used(logins: Logins, tmp_path: Path) -> None:
    logins.keep(URL, Login(name="ann", bearer="t"))
    logins.file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="Others can read"):
        saved_login(URL, logins.file)
    logins.file.chmod(0o600)
    for text in ("", "{", "[]", '{"servers": 7}', '{"servers": {"x": {"name": 1}}}'):
        logins.file.write_text(text)
        with pytest.raises(ConfigurationError, match="not as Penstock wrote it"):
            saved_login(URL, logins.file)
    logins.file.write_bytes(b'{"servers": {"\xff": {}}}')
    with pytest.raises(ConfigurationError, match="not as Penstock wrote it"):
        saved_login(URL, logins.file)
    logins.file.unlink()
    logins.file.mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        saved_login(URL, logins.file)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Logins(tmp_path / "file" / "logins.json").keep(URL, Login(name="ann", bearer="t"))


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert logins_file() == tmp_path / ".config" / "penstock" / "logins.json"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert logins_file() == tmp_path / ".config" / "penstock" / "logins.json"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "x"))
    assert logins_file() == tmp_path / "x" / "penstock" / "logins.json"
    assert place_of("http://[::1]:4300/") == "http://[::1]:4300"
    assert place_of("http://Ops.example/a/") == "http://ops.example:80/a"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server where everybody signs in, as (its address, what it knows of accounts)."""
    monkeypatch.chdir(tmp_path)
    penstock = Penstock(load_settings())
    auth = auth_of(penstock.journal, lambda journal: shelf_at(penstock.home, tmp_path, lambda: journal))
    auth.accounts.create("ann", "viewer", password=PASSWORD)
    auth.accounts.create("bob", "viewer", password=PASSWORD)
    with penstock.activate(), serving(penstock, ServerSettings(port=0, auth="required")) as url:
        yield url, auth
    penstock.close()


def signed_in(url: str, logins: Logins, name: str = "ann") -> None:
    with Client(url, user=name, password=PASSWORD) as client:
        assert client.auth.me().name == name
        logins.keep(url, login_of(name, client.session.identity))


def spoilt(url: str, logins: Logins) -> None:
    """As it is when a quarter of an hour has gone by."""
    known = logins.find(url)
    assert known is not None
    logins.keep(url, Login(name=known.name, bearer="old", refresh=known.refresh))


ASKING = """
import sys
from pathlib import Path
from penstock.remote import Client
from penstock.remote.logins import saved_login
for _ in range(2):  # each time as a command does that has just been started
    with Client(sys.argv[1], identity=saved_login(sys.argv[1], Path(sys.argv[2]))) as client:
        print(client.auth.me().name)
"""


def test_many_processes_have_tokens_renewed_once(site: Any, logins: Logins) -> None:
    url, auth = site
    signed_in(url, logins)
    spoilt(url, logins)
    command = [sys.executable, "-c", ASKING, url, str(logins.file)]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    told = [each.communicate(timeout=100) for each in crowd]
    assert told == [("ann\nann\n", "")] * 3
    assert len(listed(auth.log.journal, AuditFilter(action="TokenRefreshed"))) == 1


def test_who_signs_out_is_signed_out(site: Any, logins: Logins) -> None:
    url, _ = site
    signed_in(url, logins)
    with Client(url, identity=saved_login(url, logins.file)) as client:
        assert client.auth.me().name == "ann"
        client.auth.logout()
        logins.drop(url)
        with pytest.raises(NotSignedIn, match="signed out"):
            client.auth.me()
    assert logins.find(url) is None, "nobody is signed in again by that"
    signed_in(url, logins)
    spoilt(url, logins)
    with Client(url, identity=saved_login(url, logins.file)) as client:
        signed_in(url, logins, "bob")
        with pytest.raises(NotSignedIn, match="ann has been signed out"):
            client.auth.me()


def test_a_session_that_ended_there_says_what_to_do(site: Any, logins: Logins) -> None:
    url, auth = site
    signed_in(url, logins)
    auth.accounts.change("ann", disabled=True)
    with Client(url, identity=saved_login(url, logins.file)) as client:
        with pytest.raises(NotSignedIn) as told:
            client.auth.me()
        assert "penstock login" in str(told.value.hint)
        handle = logins.claim(wait=False)  # nobody holds on to the turn
        os.close(handle)


def test_one_identity_is_enough(logins: Logins) -> None:
    logins.keep(URL, Login(name="ci", bearer="pk_x"))
    identity = saved_login(f"{URL}/api/v1/", logins.file)
    assert identity is not None
    assert (identity.header, identity.renewable) == ("Bearer pk_x", False)
    with pytest.raises(ConfigurationError, match="one of them"):
        Client(URL, identity=identity, api_key="pk_y")
    with pytest.raises(ConfigurationError, match="not encrypted"):
        Client("http://ops.example", identity=identity)
