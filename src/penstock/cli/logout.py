"""`penstock logout`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.cli.console import clean, say, write, write_json
from penstock.cli.help import JSON, Command, examples
from penstock.cli.login import URL, server_of
from penstock.core.errors import PenstockError
from penstock.core.extras import LateModule

_desk: Any = LateModule("penstock.cli.desk_remote")
_logins: Any = LateModule("penstock.remote.logins")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command, epilog=examples("penstock logout https://ops.example"))
def logout(url: Annotated[str | None, URL] = None, json: Annotated[bool, JSON] = False) -> None:
    """Sign out of a server: the session ends there, and what was kept of it is removed. A key is only removed."""
    server, logins = server_of(url), _logins.Logins()
    identity = _logins.saved_login(server)
    ended, away = False, None
    if identity is not None and identity.renewable:
        try:
            with _desk.client_as(server, identity) as client:
                client.auth.logout()
            ended = True
        except PenstockError as error:
            away = error
    login = logins.drop(server)
    name = login.name if login is not None else None
    if json:
        write_json({"server": server, "name": name, "ended": ended})
        return
    if away is not None:
        say(f"The session could not be ended there: {clean(away.message)}", style="yellow")
    write(f"Signed out of {server}." if name is not None else f"Nobody was signed in to {server} here.")


command = typer.main.get_command(app)
