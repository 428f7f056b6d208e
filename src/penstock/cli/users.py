"""`penstock users`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from penstock.cli.access_desk import account_record
from penstock.cli.acting import acting
from penstock.cli.asking import YES, ask
from penstock.cli.console import Column, clean, text, write, write_json, write_table
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import reading
from penstock.cli.units import age
from penstock.core.access import ROLES
from penstock.core.clock import micros
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.events import now_us
from penstock.core.extras import LateModule

_settings: Any = LateModule("penstock.control.settings")
_claims: Any = LateModule("penstock.control.auth.claims")
app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)


def complete_account(incomplete: str) -> list[str]:
    """Accounts for the shell's completion."""
    with suppress(PenstockError, OSError), acting(reading) as auth:
        return [each.name for each in auth.accounts.all() if each.name.startswith(incomplete)]
    return []


NAME = typer.Argument(metavar="NAME", help="Its name.", autocompletion=complete_account, show_default=False)
NEW = typer.Argument(metavar="NAME", help="What to call it.", show_default=False)
ROLE = typer.Option(metavar="ROLE", help=f"One of {', '.join(ROLES)}.", autocompletion=lambda: list(ROLES))
TAG = typer.Option(metavar="TAG", help="There is only what bears this tag, or another one given; several times.")
PASSWORD = typer.Option(
    "--password-file", metavar="FILE", help="The password is in there (- for standard input); made up when left out."
)


@app.callback()
def _users() -> None:
    """Say who may sign in to the server, and what they may do: create, list, change, disable and delete accounts.

    Roles: a viewer looks; an operator runs, cancels and answers too; an editor makes and changes things; an admin
    decides who may. What is done here needs no account: whoever can open the journal may.
    """


@app.command(
    "create-admin",
    cls=Command,
    epilog=examples("penstock users create-admin ann  # the first one: the password is printed once"),
)
def create_admin(
    name: Annotated[str, NEW],
    password_file: Annotated[Path | None, PASSWORD] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Create an account that may do everything. Its password is printed once."""
    _create(name, "admin", None, "user", password_file, json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock users create bob --role editor",
        "penstock users create eve --role operator --tag etl  # only what bears the tag etl",
        "penstock users create ci --role operator --service  # a program: it signs in with keys",
    ),
)
def create(
    name: Annotated[str, NEW],
    role: Annotated[str, ROLE] = "viewer",
    tag: Annotated[list[str] | None, TAG] = None,
    service: Annotated[bool, typer.Option("--service", help="A program: it has keys and no password.")] = False,
    password_file: Annotated[Path | None, PASSWORD] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Create an account. A password that is made up is printed once."""
    _create(name, role, tag or None, "service" if service else "user", password_file, json)


def _create(
    name: str, role: str, tags: list[str] | None, kind: Literal["user", "service"], file: Path | None, json: bool
) -> None:
    if kind == "service" and file is not None:
        raise ConfigurationError("A service has no password.", hint="leave one of the two out")
    given = first_line(file)
    with at_desk(writing=True) as desk:
        account, password = desk.users.create(name, role, kind=kind, tags=tags, password=given)
    if json:
        write_json({"account": account, "password": password})
        return
    write(f"Created the {'service' if kind == 'service' else 'user'} {account['name']}, {account['role']}.")
    if password is not None:
        _show_password(password)
    if kind == "service":
        write(text("Make a key for it: ", (f"penstock keys create {account['name']}", "cyan")))


def _show_password(password: str) -> None:
    write(text("Password: ", (password, "bold")))
    write("It is shown only now.")


def first_line(file: Path | None) -> str | None:
    """The first line of a file (- for standard input): a password, or a key."""
    if file is None:
        return None
    try:
        found = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8").split("\n")[0]
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.", hint="name another file") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8.", hint="save it as UTF-8") from None
    return found.rstrip("\r\n")


@app.command("list", cls=Command, epilog=examples("penstock users list", "penstock users list --json  # for scripts"))
def list_users(json: Annotated[bool, JSON] = False) -> None:
    """List accounts."""
    with at_desk() as desk:
        found = desk.users.all()
    if json:
        write_json({"accounts": found})
    elif not found:
        write(text("There are no accounts yet. Create one: ", ("penstock users create-admin NAME", "cyan")))
    else:
        now = now_us()
        columns = [Column("account", least=8), Column("role"), Column("kind"), Column("tags"), Column("made", leaves=1)]
        write_table(columns, [_row(each, now) for each in found])


def _row(account: dict[str, Any], now: int) -> list[Any]:
    state = text(("disabled", "red")) if account["disabled"] else account["role"]
    tags = "everything" if account["tags"] is None else clean(", ".join(account["tags"]))
    return [clean(account["name"]), state, account["kind"], tags, age(micros(account["created_at"]), now)]


@app.command(
    cls=Command,
    epilog=examples(
        "penstock users role bob operator",
        "penstock users role bob editor --tag etl --tag ml",
        "penstock users role bob editor --everything  # no tag restricts it any more",
    ),
)
def role(
    name: Annotated[str, NAME],
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"One of {', '.join(ROLES)}.", show_default=False)],
    tag: Annotated[list[str] | None, TAG] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="There is everything for it again, whatever it bears.")
    ] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Say what an account may do. What there is for it stays as it is, unless it is said too. It is so at once."""
    if tag and everything:
        raise typer.BadParameter("give --tag or --everything, not both")
    scope: dict[str, Any] = {"tags": tag or None} if tag or everything else {}
    _changed(name, json, role=role, **scope)


@app.command(cls=Command, epilog=examples("penstock users disable bob  # signed out at once, keys are of no use"))
def disable(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Let nobody sign in as this account; who is signed in, is not any more."""
    _changed(name, json, disabled=True)


@app.command(cls=Command, epilog=examples("penstock users enable bob"))
def enable(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Let an account that was disabled sign in again."""
    _changed(name, json, disabled=False)


def _changed(name: str, json: bool, **changes: Any) -> None:
    with at_desk(writing=True) as desk:
        account = desk.users.change(name, **changes)
    if json:
        write_json({"account": account})
        return
    scope = ", for everything" if account["tags"] is None else f", for {clean(', '.join(account['tags']))}"
    write(f"The account {account['name']} is {'disabled' if account['disabled'] else account['role']}{scope}.")


@app.command(cls=Command, epilog=examples("penstock users password bob  # a new one, printed once"))
def password(
    name: Annotated[str, NAME],
    password_file: Annotated[Path | None, PASSWORD] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Give an account another password; its sessions end."""
    given = first_line(password_file)
    with at_desk(writing=True) as desk:
        made = desk.users.set_password(name, given)
    if json:
        write_json({"account": name.strip().lower(), "password": made})
        return
    write(f"The account {clean(name.strip().lower())} has another password.")
    if made is not None:
        _show_password(made)


@app.command(cls=Command, epilog=examples("penstock users link bob 00u1a2b3c  # as the OpenID provider calls him"))
def link(
    name: Annotated[str, NAME],
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="What the OpenID provider calls them (sub).", show_default=False)
    ],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Have an account be that of somebody at the OpenID provider. It has no password any more, and its sessions end."""
    oidc = _settings.load_server_settings().oidc
    if oidc is None:
        raise ConfigurationError("There is no OpenID provider.", hint="name one in [tool.penstock.server.oidc]")
    if not (0 < len(subject) <= 255 and subject.isprintable()):
        raise ConfigurationError("SUBJECT is a line of at most 255 characters.")
    with acting() as auth:
        account = auth.accounts.link(name, _claims.outside_of(oidc.issuer, subject))
    if json:
        write_json({"account": account_record(account)})
    else:
        write(f"The account {account.name} is that of {clean(account.outside)} now.")


@app.command(cls=Command, epilog=examples("penstock users delete bob --yes"))
def delete(
    name: Annotated[str, NAME],
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Delete an account, with its keys. What it did stays in the audit."""
    with at_desk(writing=True) as desk:
        known = desk.users.get(name)["name"]
        if not yes:
            ask(f"Delete the account {known} for good?")
        desk.users.delete(name)
    if json:
        write_json({"deleted": known})
    else:
        write(f"Deleted the account {known}.")


command = typer.main.get_command(app)
