"""`penstock runs answer`, `approve` and `reject`: what people say to runs that wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from penstock.authoring.checking import described, mistakes_in, resolved
from penstock.cli.console import clean, colour, fitting, glyph, write_json, write_parts
from penstock.cli.desk import at_desk, me
from penstock.cli.help import JSON, Command, examples
from penstock.cli.session import complete_run, named_run, short
from penstock.core.errors import AnswerRefused, ConfigurationError, NotWaiting
from penstock.core.events import Waiting, now_us
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.engine.waiting.replies import let_go_on, reply
from penstock.orchestrator.records import run_record

_WORDS = {"yes": True, "y": True, "on": True, "no": False, "n": False, "off": False}
_RUN = typer.Argument(
    metavar="RUN",
    help="Its id, the beginning or end of its id, its name, or `last`.",
    autocompletion=complete_run,
    show_default=False,
)
_BY = typer.Option("--by", metavar="NAME", help="Who says so; your user name where it is left out.")
_NOTE = typer.Option("--note", metavar="TEXT", help="What is to be kept with it.")
_STEP = typer.Option("--step", metavar="KEY", help="Which of its steps is meant, where several ask.")


def register(app: typer.Typer) -> None:
    """Add the commands to `penstock runs`."""
    app.command(
        "answer",
        cls=Command,
        epilog=examples(
            "penstock runs answer last 12  # a number, a word or JSON",
            "penstock runs answer amber-otter --field crates=3 --field remarks=fragile  # field by field",
            "penstock runs answer 8b5bd7be  # what it asks; and a run that only pauses goes on",
        ),
    )(answer)
    app.command(
        "approve",
        cls=Command,
        epilog=examples('penstock runs approve last --note "checked the totals"  # say yes'),
    )(approve)
    app.command(
        "reject", cls=Command, epilog=examples('penstock runs reject last --note "half of it is missing"  # say no')
    )(reject)


def answer(
    run: Annotated[str, _RUN],
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="The answer, as text or JSON.", show_default=False)
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="One field of it; may be repeated.")
    ] = None,
    by: Annotated[str | None, _BY] = None,
    step: Annotated[str | None, _STEP] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Answer what a run waits for, and let it go on.

    An answer that does not fit is refused, with every mistake, and the run goes on waiting.
    """
    with at_desk() as desk:
        found = named_run(desk.journal, run)
        waiting = desk.question(found, step)
        given = _given(waiting, value, field or [], short(found.id))
        try:
            after = desk.reply(found.id, given, by=by, step=step)
        except AnswerRefused as refusal:
            refusal.hint = _way(waiting, short(found.id))
            raise
        _tell(after, "answered", json)


def approve(
    run: Annotated[str, _RUN],
    note: Annotated[str | None, _NOTE] = None,
    by: Annotated[str | None, _BY] = None,
    step: Annotated[str | None, _STEP] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Say yes to a run that waits for approval."""
    _decide(True, run, note, by, step, json)


def reject(
    run: Annotated[str, _RUN],
    note: Annotated[str | None, _NOTE] = None,
    by: Annotated[str | None, _BY] = None,
    step: Annotated[str | None, _STEP] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Say no to a run that waits for approval."""
    _decide(False, run, note, by, step, json)


def _decide(approved: bool, run: str, note: str | None, by: str | None, step: str | None, json: bool) -> None:
    with at_desk() as desk:
        found = named_run(desk.journal, run)
        waiting = desk.question(found, step)
        if waiting.kind != "approval":
            raise NotWaiting(
                f"{waiting.key} of run {found.name} is not to be approved or rejected.",
                hint=f"answer it: penstock runs answer {short(found.id)}",
            )
        told = {"approved": approved, "note": note}
        _tell(
            desk.reply(found.id, told, by=by, step=step),
            "approved" if approved else "rejected",
            json,
        )


def unpaused(journal: Journal, run: Run, json: bool) -> bool:
    """For `runs resume`: a run that only pauses is answered by that. True if others execute it then."""
    lost = run.lost(now_us())
    if run.pause_requested:
        after = let_go_on(journal, run.id, by=me()) or run
    elif run.waiting is not None and run.waiting.kind == "pause":
        after = reply(journal, run.id, by=me())
    else:
        return False
    if not lost:
        _tell(after, "goes on", json)
    return not lost


def _tell(run: Run, what: str, json: bool) -> None:
    if json:
        write_json({"run": run_record(run, now_us())})
        return
    where = ""
    if run.owner is None and run.pool is not None:
        where = f"  as soon as a worker of pool {clean(run.pool)} takes it"
    write_parts(
        [[(f"{glyph('Completed')} ", colour("Completed")), (f"{clean(run.name)} {what}", ""), (where, "bright_black")]]
    )


def _given(waiting: Waiting, value: str | None, fields: Sequence[str], run: str) -> Any:
    """The answer as it was typed.

    Raises:
        ConfigurationError: nothing was given, or it cannot be read.
    """
    schema = waiting.answer or {}
    if waiting.kind == "pause":
        if value is not None or fields:
            raise ConfigurationError(f"{waiting.key} asks for no value.", hint=f"penstock runs answer {run}")
        return None
    if value is not None and fields:
        raise ConfigurationError("Give the answer either as a whole or by its fields, not both.")
    if fields:
        return _by_field(fields, schema)
    if value is None:
        raise ConfigurationError(f"{waiting.key} asks: {waiting.prompt or 'for a value'}", hint=_way(waiting, run))
    word = _WORDS.get(value.lower())
    if waiting.kind == "approval" and word is not None:
        return word
    return from_text(value, schema, schema.get("$defs", {}))


def _by_field(fields: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.get("$defs", {})
    known = _fields(schema)
    found: dict[str, Any] = {}
    for item in fields:
        name, equals, text = item.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"--field {item!r} is not understood.", hint="write --field NAME=VALUE")
        if name.strip() in found:
            raise ConfigurationError(f"--field {name.strip()} is given twice.")
        found[name.strip()] = from_text(text, known.get(name.strip(), {}), definitions)
    return found


def _fields(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = resolved(schema, schema.get("$defs", {})).get("properties", {})
    return found


def _way(waiting: Waiting, run: str) -> str:
    """How to answer, on the command line."""
    if waiting.kind == "approval":
        return f"penstock runs approve {run}, or: penstock runs reject {run}"
    schema = waiting.answer or {}
    definitions = schema.get("$defs", {})
    fields = _fields(schema)
    if not fields:
        return f"penstock runs answer {run} VALUE  (which is {described(schema, definitions)})"
    needed = resolved(schema, definitions).get("required", [])
    pieces = []
    for name, kind in fields.items():
        piece = f"--field {name}=..."
        pieces.append(piece if name in needed else f"[{piece}]")
        pieces[-1] += f" ({described(kind, definitions)})"
    return fitting(f"penstock runs answer {run} {' '.join(pieces)}")


def from_text(text: str, schema: dict[str, Any] | bool, definitions: dict[str, Any]) -> Any:
    """What a text says: the value of all that it may mean that fits the schema; what is wrong is left to be refused."""
    whole = {**schema, "$defs": definitions} if isinstance(schema, dict) else schema

    def fits(value: Any) -> bool:
        return not mistakes_in(value, whole)

    anything = fits({}) and fits("")
    if text == "null" and fits(None):
        return None
    if fits(text) and not anything:
        return text
    word = _WORDS.get(text.lower())
    if word is not None and fits(word) and not anything:
        return word
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeError):
        return text
