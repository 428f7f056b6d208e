"""For the tests of flows, and of journals and engines."""

from penstock.journal.memory import MemoryJournal
from penstock.testing.clock import FakeClock
from penstock.testing.faults import Fault, FaultyJournal
from penstock.testing.journal import JournalConformance
from penstock.testing.simulation import Simulation, run_flow_until

__all__ = [
    "FakeClock",
    "Fault",
    "FaultyJournal",
    "JournalConformance",
    "MemoryJournal",
    "Simulation",
    "run_flow_until",
]
