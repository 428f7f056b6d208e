"""`penstock webhook`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.asking import YES, ask
from penstock.cli.console import clean, counted, text, write, write_json
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import reading
from penstock.cli.webhook_view import (
    delivery_record,
    hook_record,
    outcome_record,
    write_deliveries,
    write_delivery,
    write_hook,
    write_hooks,
    write_outcome,
    write_rehearsal,
)
from penstock.control import webhooks
from penstock.control.webhooks import Request, Signature
from penstock.core import typed
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.webhooks import ACCEPTED, FAILED, REFUSED

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_MOST_SAMPLE = 25_000_000


def _complete(incomplete: str) -> list[str]:
    with suppress(PenstockError, OSError), reading() as penstock:
        return [each.name for each in penstock.journal.webhooks() if each.name.startswith(incomplete)]
    return []


NAME = typer.Argument(metavar="NAME", help="Its name.", autocompletion=_complete, show_default=False)
DELIVERY = typer.Argument(
    metavar="ID", help="Its id, or the end of it; or the id that its sender gave it.", show_default=False
)


@app.callback()
def _webhooks() -> None:
    """Let others tell what has happened: create, list, show, test and delete webhooks; see what came, and redeliver it.

    A request to a webhook is verified, made into an event by a template, and kept before it is acknowledged.
    Automations do something about the event.
    """


@app.command(
    cls=Command,
    epilog=examples(
        "penstock webhook create github --signature github --secret github-hook --template github.j2",
        "penstock webhook create shop --signature stripe --secret stripe-2026 --secret stripe-2025,until=2026-03-01Z",
        "penstock webhook create crm --signature hmac --header X-Signature --secret crm --mapping crm.json",
    ),
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it; its URL ends so.", show_default=False)],
    signature: Annotated[
        str, typer.Option(metavar="SCHEME", help=f"How its sender is known: {', '.join(webhooks.SCHEMES)}.")
    ],
    secret: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A saved secret; NAME,since=TIME,until=TIME where it is not valid for ever."),
    ] = None,
    template: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A template in Jinja that makes the event.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same without code: a JSON object with {facts} in it.")
    ] = None,
    schema: Annotated[Path | None, typer.Option(metavar="FILE", help="A JSON schema that bodies follow.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="NETWORK", help="Only from there, such as 10.0.0.0/8; several times.")
    ] = None,
    most_bytes: Annotated[int, typer.Option(metavar="N", help="The largest body.")] = 1_000_000,
    per_second: Annotated[float | None, typer.Option(metavar="N", help="So many requests in a second.")] = None,
    burst: Annotated[int, typer.Option(metavar="N", help="So many of them at once.")] = 10,
    tolerance: Annotated[float, typer.Option(metavar="SECONDS", help="How old a signed time may be.")] = 300.0,
    header: Annotated[str | None, typer.Option(metavar="NAME", help="Of hmac: has the signature.")] = None,
    algorithm: Annotated[str, typer.Option(metavar="NAME", help="Of hmac: sha256, sha384, sha512 or sha1.")] = "sha256",
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of hmac: hex or base64.")] = "hex",
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Of hmac: stands before the signature.")] = "",
    timestamp_header: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of hmac: has the time, which is signed too.")
    ] = None,
    delivery_header: Annotated[
        str | None, typer.Option(metavar="NAME", help="Has the sender's id, where the scheme has none.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Accept nothing as yet.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="In the place of the one that has this name now.")
    ] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Create a webhook. Its secrets are saved connections: `penstock connection create secret NAME`."""
    made = Signature(signature, tolerance, header, algorithm, encoding, prefix, timestamp_header, delivery_header)
    given = {
        "signature": msgspec.to_builtins(made),
        "secrets": [_secret(each) for each in secret or ()],
        "template": _text(template) if template is not None else None,
        "mapping": _object(mapping) if mapping is not None else None,
        "schema": _object(schema) if schema is not None else None,
        "allow": allow or [],
        "most_bytes": most_bytes,
        "per_second": per_second,
        "burst": burst,
        "active": not off,
        "description": description,
    }
    hook = webhooks.hook_of(name, given)
    with at_desk(writing=True) as desk:
        again, missing = desk.hooks.declare(hook, overwrite)
    if json:
        write_json({"webhook": hook_record(hook), "overwritten": again, "missing_secrets": missing})
        return
    write(f"{'Overwrote' if again else 'Created'} the webhook {name}. Try it: penstock webhook test {name} --body FILE")
    for each in missing:
        write(text((f"There is no secret {each} yet. Save it: penstock connection create secret {each}", "yellow")))


def _secret(given: str) -> dict[str, str]:
    name, *times = given.split(",")
    found = {"connection": name.strip()}
    for each in times:
        word, is_there, moment = each.strip().partition("=")
        if word not in ("since", "until") or not is_there:
            raise ConfigurationError(
                f"--secret {given!r} cannot be read.", hint="write NAME,since=2026-01-31T00:00Z,until=2026-03-01T00:00Z"
            )
        found[word] = f"{moment.removesuffix('Z')}T00:00:00Z" if "T" not in moment else moment
    return found


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(_MOST_SAMPLE + 1)
        with file.open("rb") as opened:
            return opened.read(_MOST_SAMPLE + 1)
    except OSError as error:
        told = f"{file} cannot be read: {error.strerror}."
        raise ConfigurationError(told, hint="name another file") from None


def _text(file: Path) -> str:
    try:
        return _read(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 (byte {error.start:,}).", hint="save it as UTF-8") from None


def _object(file: Path) -> dict[str, Any]:
    try:
        return typed.from_json(_read(file), dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{file} holds no JSON object: {error}.", hint="write one") from None


@app.command(
    "list", cls=Command, epilog=examples("penstock webhook list", "penstock webhook list --json  # for scripts")
)
def list_webhooks(json: Annotated[bool, JSON] = False) -> None:
    """List webhooks: how each knows its sender, and when the last request came."""
    with at_desk() as desk:
        found = desk.hooks.all()
        last = {each.slug: desk.hooks.deliveries(each.slug, None, 1) for each in found}
    if json:
        write_json({"webhooks": [hook_record(each, last[each.slug]) for each in found]})
    elif not found:
        write(text("There are no webhooks yet. Make one: ", ("penstock webhook create NAME", "cyan")))
    else:
        write_hooks(found, last)


@app.command(cls=Command, epilog=examples("penstock webhook show github  # how it is set, and its template"))
def show(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Show a webhook. Secrets are never shown."""
    with at_desk() as desk:
        hook = desk.hooks.get(name)
    if json:
        write_json({"webhook": hook_record(hook)})
    else:
        write_hook(hook)


@app.command(cls=Command, epilog=examples("penstock webhook delete old", "penstock webhook delete old --yes"))
def delete(
    name: Annotated[str, NAME],
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Delete a webhook. What came to it stays on record until it is old; its secrets stay saved."""
    with at_desk() as desk:
        desk.hooks.get(name)
        if not yes:
            ask(f"Delete the webhook {clean(name)}?")
        desk.hooks.delete(name)
    if json:
        write_json({"deleted": name})
    else:
        write(f"Deleted the webhook {clean(name)}.")


@app.command(
    "test",
    cls=Command,
    epilog=examples(
        'penstock webhook test github --body push.json --header "X-GitHub-Event: push" --unsigned',
        "penstock webhook test shop --body - --json < event.json  # with its headers: --header, several times",
    ),
)
def rehearse(
    name: Annotated[str, NAME],
    body: Annotated[Path | None, typer.Option(metavar="FILE", help="A sample body; - for standard input.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME: VALUE", help="A header of the request; several times.")
    ] = None,
    method: Annotated[str, typer.Option(metavar="METHOD", help="Its method.")] = "POST",
    client: Annotated[str, typer.Option(metavar="ADDRESS", help="Where it comes from.")] = "127.0.0.1",
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Do not look at the signature.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show what would become of a request: whether it is verified, and the event. Nothing is stored.

    The exit code is 1 where it would not be accepted.
    """
    headers = [_header(each) for each in header or ()]
    if not any(each.lower() == "content-type" for each, _ in headers) and body is not None and body.suffix == ".json":
        headers.append(("Content-Type", "application/json"))
    request = Request(
        method=method,
        path=f"/hooks/{name}",
        headers=tuple(headers),
        body=_read(body) if body is not None else b"",
        client=client,
    )
    with at_desk() as desk:
        hook = desk.hooks.get(name)
        found = desk.hooks.rehearse(name, request, not unsigned)
    write_rehearsal(found, hook.signature.scheme, not unsigned, json)
    if found.refused or found.failed:
        raise typer.Exit(1)


def _header(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"--header {given!r} is no header.", hint='write --header "X-GitHub-Event: push"')
    return name.strip(), value.strip()


@app.command(
    cls=Command,
    epilog=examples(
        "penstock webhook deliveries  # what came, newest first",
        "penstock webhook deliveries github --status refused",
    ),
)
def deliveries(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only those to this webhook.", autocompletion=_complete)
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help=f"Only those {ACCEPTED}, {REFUSED} or {FAILED}.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 20,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List requests that came to webhooks, what became of each, and why."""
    if status not in (None, ACCEPTED, REFUSED, FAILED):
        raise ConfigurationError(f"--status {status!r} is no status.", hint=f"{ACCEPTED}, {REFUSED} or {FAILED}")
    with at_desk() as desk:
        found = desk.hooks.deliveries(name, status, limit)
    if json:
        write_json({"deliveries": [delivery_record(each) for each in found]})
    elif not found:
        write("Nothing came.")
    else:
        write_deliveries(found)


@app.command(cls=Command, epilog=examples("penstock webhook delivery 1f2e3d4c  # the request, and its events"))
def delivery(ident: Annotated[str, DELIVERY], json: Annotated[bool, JSON] = False) -> None:
    """Show one delivery: the request as it was kept, and the events that were made of it."""
    with at_desk() as desk:
        found = desk.hooks.delivery(ident)
    write_delivery(found, json)


@app.command(
    cls=Command, epilog=examples("penstock webhook redeliver 1f2e3d4c  # such as after its template was mended")
)
def redeliver(ident: Annotated[str, DELIVERY], json: Annotated[bool, JSON] = False) -> None:
    """Make events of a delivery once more, as its webhook is now.

    One that was accepted becomes a second event. One that was not becomes one event, however often it is tried.
    """
    with at_desk(writing=True) as desk:
        outcome = desk.hooks.redeliver(ident)
    if json:
        write_json({"delivery": outcome_record(outcome)})
    else:
        write_outcome(outcome)
        if outcome.events:
            write(f"{counted(len(outcome.events), 'event')} on record.")
    if outcome.status in (REFUSED, FAILED):
        raise typer.Exit(1)


command = typer.main.get_command(app)
