"""`/api/v1/connections`: where outside systems are and how to get in. Secrets go in, and never come out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from penstock.control.access import Editor, Viewer, check_all
from penstock.control.auth.signing import CONNECTION
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import Shape
from penstock.control.problems import Problem
from penstock.control.wiring import IdempotencyKey, TheAuth, TheShelf, tell_place
from penstock.core.connections import BadFields, Connection, ConnectionFailed
from penstock.core.errors import ConnectionNotFound, NotAllowed
from penstock.core.secrets import MASK, Secret
from penstock.engine.connections.shelf import SAVED, Shelf
from penstock.engine.connections.types import every_type, type_named
from penstock.orchestrator.plan_records import connection_record

router = APIRouter(prefix="/connections", tags=["connections"])
_FIELDS = {"type": "secret", "fields": {"value": "what senders sign with"}}


class ConnectionChange(Shape):
    """A connection as it is to be."""

    type: str = Field(max_length=100)
    fields: dict[str, Any] = Field(description="what it consists of; see /connections/types")


class ConnectionIn(ConnectionChange):
    """A connection to be saved."""

    name: str = Field(max_length=200)


class ConnectionOut(BaseModel):
    """A connection as it is listed: nothing of what is in it."""

    name: str
    type: str | None
    source: str = Field(description="saved, environment or .env")
    variable: str | None
    hides_saved: bool
    saved_at: str | None


class ConnectionDetail(ConnectionOut):
    """A connection with its fields; secrets are masked."""

    fields: dict[str, Any]


class HealthOut(BaseModel):
    """What an outside system answered."""

    ok: bool
    seconds: float | None
    told: str
    hint: str | None


def _listed(shelf: Shelf, name: str) -> dict[str, Any]:
    record = connection_record(shelf.find(name))
    return {**record, "source": record["from"]}


def _answer(shelf: Shelf, name: str, connection: Connection) -> ConnectionDetail:
    return ConnectionDetail(**_listed(shelf, name), fields=connection.shown())


def _refuse_own(name: str) -> None:
    """Who could put other keys there could sign for anybody."""
    if name == CONNECTION:
        raise NotAllowed(f"{name} is Penstock's own.", hint="penstock keys rotate --signing puts other keys there")


def _made(given: ConnectionChange, before: Connection | None = None) -> Connection:
    """The connection that is meant. Where nothing changes, a secret may be given as it is shown."""
    shown = before.shown() if before is not None else {}
    kept = {name for name, value in given.fields.items() if MASK in str(value) and shown.get(name) == value}
    try:
        made = type_named(given.type).of(
            {name: getattr(before, name) if name in kept else value for name, value in given.fields.items()}
        )
    except BadFields as error:
        fields = [(f"fields.{where}", told) for where, told in error.mistakes]
        raise Problem(422, f"The connection cannot be a {given.type}.", fields, hint=error.hint) from None
    if kept and any(getattr(made, name) != getattr(before, name) for name in made.fields()):
        raise _masked(kept, "something else changes, and a secret does not go where it was not given for")
    if masked := [name for name in made.fields() if name not in kept and _is_mask(getattr(made, name))]:
        raise _masked(masked, f"{MASK} is how a secret is shown, and none itself")
    return made


def _is_mask(value: object) -> bool:
    """Whether a secret holds what one is shown as, as a whole or where the password of an address is."""
    return isinstance(value, Secret) and MASK in (text := value.reveal()) and text == str(value)


def _masked(names: Iterable[str], why: str) -> Problem:
    return Problem(422, "A secret is missing.", [(f"fields.{name}", f"give it again: {why}") for name in sorted(names)])


@router.get("")
def list_connections(shelf: TheShelf, user: Viewer) -> list[ConnectionOut]:
    """Every connection by name: saved ones, and those of the server's environment."""
    check_all(user)
    return [ConnectionOut(**(record := connection_record(each)), source=record["from"]) for each in shelf.listed()]


@router.get("/types")
def list_types(user: Viewer) -> dict[str, list[str]]:
    """The types there are, each with the names of its fields."""
    return {kind: list(cls.fields()) for kind, cls in sorted(every_type().items())}


@router.post("", status_code=201, openapi_extra=BODIES.of(ConnectionIn, {"name": "git-hook", **_FIELDS}))
def create(response: Response, raw: Raw, shelf: TheShelf, user: Editor, key: IdempotencyKey) -> ConnectionDetail:
    """Save a connection, encrypted with the server's key."""
    check_all(user)
    given = parsed(ConnectionIn, raw)
    _refuse_own(given.name)
    made = _made(given)
    if (known := _saved(shelf, given.name)) and not (key is not None and _same(shelf, given.name, made)):
        raise Problem(
            409, f"There is a connection {given.name!r} ({known}) already.",
            hint="give another name, or put it in the place of that one: PUT",
        )  # fmt: skip
    if not known:
        shelf.save(made, given.name)
    tell_place(response, "connections", given.name)
    return _answer(shelf, given.name, made)


def _saved(shelf: Shelf, name: str) -> str | None:
    """The type of a saved connection; None where there is none."""
    try:
        return shelf.row(name).type
    except ConnectionNotFound:
        return None


def _same(shelf: Shelf, name: str, made: Connection) -> bool:
    before = shelf.load(name, Connection)
    fields = made.fields()
    return type(before) is type(made) and all(getattr(before, each) == getattr(made, each) for each in fields)


@router.get("/{name}")
def get(name: str, shelf: TheShelf, user: Editor) -> ConnectionDetail:
    """One connection with its fields; secrets are masked."""
    check_all(user)
    return _answer(shelf, name, shelf.load(name, Connection))


@router.put("/{name}", openapi_extra=BODIES.of(ConnectionChange, _FIELDS))
def replace(name: str, raw: Raw, shelf: TheShelf, user: Editor) -> ConnectionDetail:
    """Save a connection in the place of the one of this name, whole.

    A secret that is not given is gone; one may be given as it is shown (`***`) only where nothing changes.
    """
    check_all(user)
    _refuse_own(name)
    given = parsed(ConnectionChange, raw)
    same = shelf.row(name).type == given.type
    shown = same and any(MASK in str(value) for value in given.fields.values())
    made = _made(given, shelf.load(name, Connection) if shown and shelf.find(name).place == SAVED else None)
    shelf.save(made, name, overwrite=True)
    return _answer(shelf, name, made)


@router.delete("/{name}", status_code=204)
def delete(name: str, shelf: TheShelf, user: Editor) -> None:
    """Remove a saved connection, for good: its secrets are nowhere else."""
    check_all(user)
    _refuse_own(name)
    if shelf.find(name).place != SAVED:
        raise Problem(409, f"The connection {name!r} is not saved: the server's environment describes it.")
    shelf.delete(name)


@router.post("/{name}/test")
def try_out(
    name: str, shelf: TheShelf, auth: TheAuth, user: Editor, timeout: Annotated[float, Query(ge=0.1, le=30)] = 10.0
) -> HealthOut:
    """Ask the system whether it is there and lets us in."""
    check_all(user)
    connection = shelf.load(name, Connection)
    found = _tested(connection, timeout)
    outcome = {"type": connection.kind, "ok": found.ok}
    auth.log.record("ConnectionTested", f"connection/{name}", after=outcome, detail=found.told)
    return found


def _tested(connection: Connection, timeout: float) -> HealthOut:
    try:
        health = connection.test(timeout)
    except ConnectionFailed as error:
        return HealthOut(ok=False, seconds=None, told=error.message, hint=error.hint)
    return HealthOut(ok=True, seconds=round(health.seconds, 6), told=health.told, hint=None)
