"""What goes wrong with the journal and with results."""

from __future__ import annotations

from penstock.core.errors.base import PenstockError


class JournalError(PenstockError):
    """The journal could not do what was asked."""

    code = "journal"


class JournalUnavailable(JournalError):
    """The journal cannot be reached."""

    code = "journal-unavailable"
    hint = "check that the database is up; what was recorded is safe: `penstock runs resume ID` continues from there"


class JournalFull(JournalError):
    """The disk that holds the journal is full; nothing recorded so far is lost."""

    code = "journal-full"
    hint = "free some space, then `penstock runs resume ID` continues from the last recorded step"


class JournalReadOnly(JournalError):
    """The journal cannot be written."""

    code = "journal-read-only"
    hint = "make the folder writable, or point PENSTOCK_HOME at one that is"


class JournalCorrupt(JournalError):
    """The file is not a Penstock journal, or it is damaged. It was not touched."""

    code = "journal-corrupt"
    hint = "move the file away to start with a new journal, or restore a backup"


class JournalOutdated(JournalError):
    """The journal was written by an older Penstock."""

    code = "journal-outdated"
    hint = "run `penstock db upgrade` (it keeps every run)"


class JournalTooNew(JournalError):
    """The journal was written by a newer Penstock. It was not touched."""

    code = "journal-too-new"
    hint = "upgrade Penstock, or point PENSTOCK_HOME at another folder"


class SequenceConflict(JournalError):
    """Somebody else appended to this stream first.

    Attributes:
        stream: which one; None where a subscriber's cursor was moved.
    """

    code = "sequence-conflict"

    def __init__(self, message: str | None = None, *, stream: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.stream = stream


class ResultError(PenstockError):
    """A result cannot be stored or read."""

    code = "result"


class ResultNotSaved(ResultError):
    """No serializer can write this value."""

    code = "result-not-saved"


class ResultUnavailable(ResultError):
    """A recorded value cannot be read back."""

    code = "result-unavailable"
