"""`penstock login` and `logout`: with a password, with a key, and with a browser at a real OpenID provider."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from tests.acceptance.duty_lab import Place, place
from tests.patience import until
from tests.ports import own_port

with warnings.catch_warnings(record=True):  # of what it imports
    from oidc_provider_mock import User, run_server_in_thread

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # of the provider
__all__ = ["place"]

BROWSER = """
import sys
import httpx

with httpx.Client(follow_redirects=True, timeout=60) as browser:
    page = browser.get(sys.argv[1])
    assert "<form" in page.text, page.text
    page = browser.post(page.url, data={"sub": "{who}"})
    open("page.html", "w").write(page.text)
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A provider with three people: what it calls itself."""
    people = [
        User(sub="1-ann", claims={"preferred_username": "ann", "groups": ["ops"]}),
        User(sub="2-eve", claims={"preferred_username": "eve", "groups": ["data", "all"]}),
        User(sub="3-bob", claims={"preferred_username": "bob", "groups": ["all"]}),
    ]
    with run_server_in_thread(user_claims=people, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def site(place: Place, provider: str) -> str:
    """A server where everybody signs in; its address."""
    port = own_port()
    place.declare(
        f'[tool.penstock]\npublic_url = "http://127.0.0.1:{port}"\n'
        f'[tool.penstock.server]\nauth = "required"\n[tool.penstock.server.oidc]\nissuer = "{provider}"\n'
        'client_id = "penstock"\nsecret = "login"\n'
        '[tool.penstock.server.oidc.roles]\noperator = ["data"]\nadmin = ["ops"]\n'
    )
    place.cli.environ["XDG_CONFIG_HOME"] = str(place.folder / "config")
    place.cli.environ["PENSTOCK_CONNECTION_LOGIN"] = '{"type": "secret", "value": "hush"}'
    url: str = place.server("--port", port).event("serving")["url"]
    return url


def browsed(place: Place, who: str) -> dict[str, str]:
    """The environment in which a browser is opened that signs in as somebody."""
    script = place.folder / "browser.py"
    script.write_text(BROWSER.replace("{who}", who))
    return {"BROWSER": f"{sys.executable} {script} %s"}


def test_with_a_browser_at_a_real_provider(place: Place, site: str) -> None:
    cli = place.cli
    assert "penstock login" in cli.run("--server", site, "runs", "list", code=2).err
    told = cli.run("login", site, **browsed(place, "2-eve"))
    assert told.out == f"Signed in to {site} as eve, operator.\n"
    assert f"{site}/api/v1/auth/oidc/authorize?" in told.err
    assert "go back to the command line" in (place.folder / "page.html").read_text()
    file = place.folder / "config" / "penstock" / "logins.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "hush" not in file.read_text()
    assert cli.json("--server", site, "runs", "list")["runs"] == []
    wrong = cli.run("--server", site, "workflows", "delete", "nothing", code=2)
    assert "This takes the role editor, and eve has operator" in wrong.err
    assert cli.json("users", "list")["accounts"][0]["outside"].endswith("#2-eve")
    assert [each["action"] for each in cli.json("audit", "list")["entries"]][::-1][:4] == [
        "AccountCreated", "IdentityShown", "CodeUsed", "SignedIn",
    ]  # fmt: skip
    assert cli.json("logout", site) == {"server": site, "name": "eve", "ended": True}
    assert "Nobody was signed in" in cli.run("logout", site).out
    assert "penstock login" in cli.run("--server", site, "runs", "list", code=2).err


def test_who_is_not_let_in(place: Place, site: str) -> None:
    cli = place.cli
    assert "None of your groups may sign in" in cli.run("login", site, code=2, **browsed(place, "3-bob")).err
    assert "command line tells why" in (place.folder / "page.html").read_text()
    cli.run("users", "create", "ann", "--role", "viewer")
    assert "There is an account ann already" in cli.run("login", site, code=2, **browsed(place, "1-ann")).err
    cli.run("users", "link", "ann", "1-ann")
    told = cli.run("login", site, "--json", **browsed(place, "1-ann"))
    assert told.json == {"server": site, "name": "ann", "role": "admin"}


def test_with_a_password_or_a_key(place: Place, site: str) -> None:
    cli = place.cli
    (place.folder / "password").write_text(cli.json("users", "create-admin", "ann")["password"] + "\n")
    cli.environ["PENSTOCK_SERVER"] = site
    assert "as ann, admin." in cli.run("login", "--user", "ann", "--password-file", "password").out
    assert cli.json("runs", "list")["runs"] == []
    (place.folder / "wrong").write_text("not the password\n")
    told = cli.run("login", "--user", "ann", "--password-file", "wrong", code=2)
    assert "The name or the password is wrong." in told.err
    assert cli.json("runs", "list")["runs"] == [], "the former one stays"
    assert "no password" in cli.run("login", "--user", "ann", code=2).err
    assert "leave one of the two out" in cli.run("login", "--key", "--user", "ann", code=2).err
    assert "not encrypted" in cli.run("login", "http://ops.example", code=2).err
    assert "is no address" in cli.run("login", "ops", code=2).err
    del cli.environ["PENSTOCK_SERVER"]
    assert "Which server?" in cli.run("login", code=2).err
    cli.run("users", "create", "ci", "--role", "viewer", "--service")
    key = cli.json("keys", "create", "ci")["key"]
    piped: Any = subprocess.run(
        cli.command("login", site, "--key"), input=f"{key}\n", text=True, capture_output=True, cwd=cli.folder,
        env=cli.environ, check=False,
    )  # fmt: skip
    assert (piped.returncode, piped.stdout) == (0, f"Signed in to {site} as ci, viewer.\n"), piped.stderr
    assert key not in piped.stdout + piped.stderr
    assert cli.json("logout", site) == {"server": site, "name": "ci", "ended": False}


def test_a_password_is_asked_for_at_a_terminal(place: Place, site: str) -> None:
    password = place.cli.json("users", "create-admin", "ann")["password"]
    terminal = place.cli.terminal("login", site, "--user", "ann", columns=100)
    terminal.read_until("Password of ann:")
    terminal.type(f"{password}\n")
    assert terminal.end() == 0
    assert "as ann, admin." in terminal.text
    assert password not in terminal.text
    assert until(lambda: (place.folder / "config" / "penstock" / "logins.json").exists(), "the file")
