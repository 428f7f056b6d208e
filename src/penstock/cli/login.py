"""`penstock login`."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.console import clean, say, write, write_json
from penstock.cli.help import JSON, Command, examples
from penstock.cli.servers import VARIABLE
from penstock.cli.users import first_line
from penstock.core.errors import ConfigurationError
from penstock.core.extras import LateModule

_desk: Any = LateModule("penstock.cli.desk_remote")
_remote: Any = LateModule("penstock.remote.client")
_identities: Any = LateModule("penstock.remote.identity")
_logins: Any = LateModule("penstock.remote.logins")
_browser: Any = LateModule("penstock.cli.login_browser")

app = typer.Typer(add_completion=False, rich_markup_mode=None)
URL = typer.Argument(
    metavar="URL", help=f"Of the server; {VARIABLE} when left out.", show_default=False
)  # fmt: skip


def server_of(url: str | None) -> str:
    """The server that is meant.

    Raises:
        ConfigurationError: it is none, or nobody said which.
    """
    given = url or os.environ.get(VARIABLE)
    if not given:
        raise ConfigurationError("Which server?", hint="give its address: penstock login https://ops.example")
    found: str = _remote.address_of(given)
    return found


@app.command(
    cls=Command,
    epilog=examples(
        "penstock login https://ops.example  # in the browser, or with a password: as the server has it",
        "penstock login https://ops.example --user ann  # with a password",
        "penstock login https://ops.example --key < key.txt  # with an API key",
    ),
)
def login(
    url: Annotated[str | None, URL] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Sign in with a password, as NAME.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="The password is in there (- for stdin).")
    ] = None,
    key: Annotated[bool, typer.Option("--key", help="Sign in with an API key, which is asked for.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser; else only its address is shown.")
    ] = True,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Sign in to a server. From then on, commands with --server URL are those of whoever has signed in.

    What they are known by is kept in the home folder, in a file that nobody else can read.
    """
    server = server_of(url)
    if key and (user is not None or password_file is not None):
        raise ConfigurationError("A key needs no user and no password.", hint="leave one of the two out")
    _remote.check_private(server, _desk.is_insecure())
    logins = _logins.Logins()
    with _desk.client_as(server, None) as client:
        methods = client.auth.methods()
    if not methods.required:
        if json:
            write_json({"server": server, "name": None, "role": None})
        else:
            write(f"Nobody has to sign in to {server}.")
        return
    identity = _identity(server, methods.oidc, user, password_file, key, browser)
    with _desk.client_as(server, identity) as client:
        me = client.auth.me()
    logins.keep(server, _logins.login_of(me.name, identity))
    if json:
        write_json({"server": server, "name": me.name, "role": me.role})
    else:
        write(f"Signed in to {server} as {clean(me.name)}, {me.role}.")
    if os.environ.get(_desk.API_KEY):
        say(f"{_desk.API_KEY} is set, and comes before it.", style="yellow")


def _identity(
    server: str, oidc: str | None, user: str | None, password_file: Path | None, key: bool, browser: bool
) -> Any:
    if key:
        return _identities.Identity(api_key=_asked("API key: ", None))
    if oidc is not None and user is None:
        return _browser.through_browser(server, _show, opened=browser)
    name = user if user is not None else _name()
    return _identities.Identity(user=name, password=_asked(f"Password of {name}: ", password_file))


def _show(place: str) -> None:
    say("Sign in with a browser of this machine:")
    print(place, file=sys.stderr, flush=True)


def _name() -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError("There is nobody to ask who signs in.", hint="say it: --user NAME")
    found: str = typer.prompt("User", err=True)
    return found


def _asked(what: str, file: Path | None) -> str:
    """Something secret: of a file, of standard input, or of whoever is at the terminal."""
    asked = file is None and sys.stdin.isatty()
    found = getpass.getpass(what) if asked else first_line(file or Path("-"))
    if not found:
        raise ConfigurationError(f"There is no {what.partition(' of ')[0].rstrip(': ').lower()}.", hint="give one")
    return found


command = typer.main.get_command(app)
