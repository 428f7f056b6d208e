"""For the tests of flows, and of journals and engines."""

from penstock.journal.memory import MemoryJournal
from penstock.testing.clock import FakeClock
from penstock.testing.data_memory import Memory, MemorySink, MemorySource
from penstock.testing.data_sinks import ChangesConformance, MergeConformance, ReplaceConformance, SinkConformance
from penstock.testing.data_sources import SourceConformance
from penstock.testing.faults import Fault, FaultyJournal
from penstock.testing.journal import JournalConformance
from penstock.testing.simulation import Simulation, run_flow_until

__all__ = [
    "ChangesConformance",
    "FakeClock",
    "Fault",
    "FaultyJournal",
    "JournalConformance",
    "Memory",
    "MemoryJournal",
    "MemorySink",
    "MemorySource",
    "MergeConformance",
    "ReplaceConformance",
    "Simulation",
    "SinkConformance",
    "SourceConformance",
    "run_flow_until",
]
