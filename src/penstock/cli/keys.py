"""`penstock keys`."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from penstock.cli.access_desk import NewKey
from penstock.cli.acting import acting
from penstock.cli.console import Column, clean, counted, text, write, write_json, write_table
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import reading
from penstock.cli.times import length
from penstock.cli.units import age, ahead
from penstock.cli.users import complete_account
from penstock.core.access import ROLES
from penstock.core.clock import micros
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.events import now_us

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)


def _complete(incomplete: str) -> list[tuple[str, str]]:
    with suppress(PenstockError, OSError), acting(reading) as auth:
        return [(each.id, each.account) for each in auth.keys.all() if each.id.startswith(incomplete)]
    return []


ID = typer.Argument(metavar="ID", help="What follows pk_ in the key.", autocompletion=_complete, show_default=False)
ACCOUNT = typer.Argument(metavar="ACCOUNT", help="Whose it is.", autocompletion=complete_account, show_default=False)


@app.callback()
def _keys() -> None:
    """API keys, for programs: create, list, revoke and rotate them; and rotate the keys that tokens are signed with."""


@app.command(
    cls=Command,
    epilog=examples(
        "penstock keys create ci --label github --expires 90d",
        "penstock keys create ann --role viewer --tag etl  # less than ann may herself",
    ),
)
def create(
    account: Annotated[str, ACCOUNT],
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help=f"At most the account's: {', '.join(ROLES)}.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="There is only what bears this tag; several times.")
    ] = None,
    label: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="In so long, such as 90d; never when left out.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Create a key. It is printed once."""
    until = now_us() + _length("--expires", expires) if expires is not None else None
    with at_desk(writing=True) as desk:
        made = desk.keys.create(account, role=role, tags=tag or None, label=label, until=until)
    _tell(made, json)


def _tell(made: NewKey, json: bool) -> None:
    if json:
        write_json({"key": made.text, **made.key})
        return
    write(text("Key: ", (made.text, "bold")))
    write(f"It is of {made.key['account']}, {made.key['role']}, and shown only now.")


def _length(option: str, given: str) -> int:
    try:
        return length(given)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{option} {given!r} is no length of time.", hint="such as 12h or 90d") from None


@app.command(
    "list", cls=Command, epilog=examples("penstock keys list", "penstock keys list --account ci --json  # for scripts")
)
def list_keys(
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="Only its keys.", autocompletion=complete_account)
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List keys: whose they are, what they may, and when they were used last. The keys themselves are kept nowhere.

    A server lists one's own, unless it is asked for those of an account.
    """
    with at_desk() as desk:
        found = desk.keys.all(account and account.strip().lower())
    if json:
        write_json({"keys": found})
    elif not found:
        write(text("There are no keys. Create one: ", ("penstock keys create ACCOUNT", "cyan")))
    else:
        now = now_us()
        columns = [
            Column("key", least=12), Column("account", least=6), Column("role"), Column("for", leaves=2),
            Column("expires"), Column("used", leaves=1),
        ]  # fmt: skip
        write_table(columns, [_row(each, now) for each in found])


def _row(key: dict[str, Any], now: int) -> list[Any]:
    until, used = key["expires_at"], key["last_used_at"]
    if until is None:
        expires: Any = "never"
    else:
        expires = ahead(micros(until), now) if micros(until) > now else text(("expired", "red"))
    last = age(micros(used), now) if used is not None else "never"
    return [key["id"], clean(key["account"]), key["role"], clean(key["label"]), expires, last]


@app.command(cls=Command, epilog=examples("penstock keys revoke 4k2j9x0c1abc"))
def revoke(key_id: Annotated[str, ID], json: Annotated[bool, JSON] = False) -> None:
    """Make a key useless, at once, and the tokens that were got with it."""
    with at_desk(writing=True) as desk:
        known = desk.keys.get(key_id)
        desk.keys.revoke(known["id"])
    if json:
        write_json({"revoked": known["id"]})
    else:
        write(f"Revoked the key {known['id']} of {clean(known['account'])}.")


@app.command(
    cls=Command,
    epilog=examples(
        "penstock keys rotate 4k2j9x0c1abc --overlap 24h  # the former one can be used for a day still",
        "penstock keys rotate --signing  # tokens are signed with a new key",
    ),
)
def rotate(
    key_id: Annotated[str | None, ID] = None,
    signing: Annotated[
        bool, typer.Option("--signing", help="The key that tokens are signed with; none becomes useless by it.")
    ] = False,
    overlap: Annotated[
        str | None, typer.Option(metavar="TIME", help="The former key can be used for so long still.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Put another key in the place of one. It is printed once."""
    if signing == (key_id is not None) or (signing and overlap is not None):
        raise ConfigurationError("Name a key, or the signing keys.", hint="penstock keys rotate ID [--overlap TIME]")
    with at_desk(writing=True) as desk:
        if key_id is not None:
            seconds = _length("--overlap", overlap) / 1_000_000 if overlap is not None else 0.0
            _tell(desk.keys.rotate(key_id, seconds), json)
            return
        former = desk.keys.rotate_signing()
    if json:
        write_json({"former_keys": former})
    else:
        write(f"Tokens are signed with a new key; {counted(former, 'former one')} can be checked for an hour still.")


command = typer.main.get_command(app)
