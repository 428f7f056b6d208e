"""What can go wrong with PostgreSQL, in Penstock's words."""

from __future__ import annotations

from typing import Any

from penstock.core.errors import (
    ConfigurationError,
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalReadOnly,
    JournalUnavailable,
    PenstockError,
)

_GONE = ("08", "57P", "25P03")
_SEVERITY, _SQLSTATE, _PRIMARY, _CONSTRAINT = ord("S"), ord("C"), ord("M"), ord("n")


class Lost(Exception):
    """The connection is gone; what it was doing may or may not have been done."""


class Refused(Exception):
    """The server said no, and did nothing.

    Attributes:
        sqlstate: the five characters of the SQL standard.
        constraint: the constraint that was violated, if any.
        place: which of several statements was refused.
    """

    def __init__(self, sqlstate: str, text: str, constraint: str = "", place: int = 0) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.place = place

    @staticmethod
    def by(result: Any, place: int = 0) -> Refused | Lost:
        """The refusal a result stands for; a server that goes away is a loss."""

        def field(code: int) -> str:
            return (result.error_field(code) or b"").decode("utf-8", "replace")

        text = field(_PRIMARY) or result.error_message.decode("utf-8", "replace").strip()
        sqlstate = field(_SQLSTATE)
        if not sqlstate or sqlstate.startswith(_GONE):
            return Lost(text or "the connection was lost")
        return Refused(sqlstate, text, field(_CONSTRAINT), place)


def unavailable(place: str, seconds: float, reason: str) -> JournalUnavailable:
    """The time is up."""
    return JournalUnavailable(f"PostgreSQL at {place} could not be used for {seconds:g} seconds: {_first(reason)}")


def opening_error(place: str, text: str) -> PenstockError | None:
    """Why a first connection failed; None when waiting may help (the server starts, or has no free connection).

    libpq gives no code for these, only the server's words, which may be in any language: what is not recognized is
    shown as it is.
    """
    reason = _first(text).rsplit(" failed: ", 1)[-1]
    if any(words in text for words in ("starting up", "too many c", "remaining connection slots")):
        return None
    if "database" in text and "does not exist" in text:
        return ConfigurationError(
            f"PostgreSQL at {place} has no such database: {reason}",
            hint="create it with createdb, or correct the name at the end of the URL",
        )
    if "authentication failed" in text or "no password supplied" in text or "role" in text or "pg_hba.conf" in text:
        return ConfigurationError(
            f"PostgreSQL at {place} does not let this user in: {reason}",
            hint="correct the user and the password in the URL (percent-encode special characters)",
        )
    return JournalUnavailable(
        f"PostgreSQL at {place} cannot be reached: {reason}",
        hint="check that it runs, and the host and port in the URL",
    )


def journal_error(error: Refused, place: str) -> JournalError:
    """A refusal in Penstock's words."""
    state, text = error.sqlstate, str(error)
    if state == "53100":
        return JournalFull(f"The disk of PostgreSQL at {place} is full ({text}); what was recorded is safe.")
    if state == "25006":
        return JournalReadOnly(
            f"PostgreSQL at {place} takes no writes ({text}).",
            hint="it may be a standby: name the primary in the URL, or add target_session_attrs=read-write",
        )
    if state == "42501":
        return JournalReadOnly(
            f"PostgreSQL at {place} does not allow this: {text}.",
            hint="let the user own the schema: CREATE SCHEMA penstock AUTHORIZATION user",
        )
    if state in ("42P01", "3F000", "42703"):
        return JournalCorrupt(
            f"The journal's tables in {place} are not as they should be: {text}.",
            hint="restore a backup, or name an empty database",
        )
    if state in ("XX001", "XX002"):
        return JournalCorrupt(f"PostgreSQL at {place} found damaged data: {text}.", hint="restore a backup")
    if state in ("57014", "55P03", "40001", "40P01"):
        return JournalUnavailable(f"PostgreSQL at {place} took too long: {text}.", hint="see what keeps it busy")
    if state in ("54000", "22003"):
        return JournalError(f"PostgreSQL cannot store this: {text}.", hint="return less, or write it to a file")
    return JournalError(f"PostgreSQL at {place} refused ({state}): {text}.")


def _first(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
