"""The journal: the append-only record of run events, the tables projected from it, and stored results."""

from penstock.journal.memory import MemoryJournal
from penstock.journal.results import FileResultStore
from penstock.journal.sqlite import SqliteJournal

__all__ = ["FileResultStore", "MemoryJournal", "SqliteJournal"]
