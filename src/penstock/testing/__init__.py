"""For tests: conformance suites, a journal in memory, and faults on purpose.

Nothing here needs pytest to be imported; the suites are plain classes that pytest collects from a subclass.
"""

from penstock.journal.memory import MemoryJournal
from penstock.testing.journal import JournalConformance

__all__ = ["JournalConformance", "MemoryJournal"]
