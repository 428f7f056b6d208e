"""The conformance suite that every sink passes; run it over your own with pytest.

Example:
    class TestMySink(SinkConformance):
        @pytest.fixture(autouse=True)
        def system(self, tmp_path):
            self.path = tmp_path / "store"

        def make_sink(self, **options):
            return MySink(self.path, **options)

        def rows(self, table="rows"):
            return read_my_rows(self.path, table)

        def rejected(self, table="rows"):
            return read_my_quarantine(self.path, table)
"""

from __future__ import annotations

from penstock.testing.sink_changes import ChangeDuties
from penstock.testing.sink_landing import LandingDuties
from penstock.testing.sink_modes import MergeDuties, ReplaceDuties
from penstock.testing.sink_rows import RowDuties


class SinkConformance(LandingDuties, RowDuties):
    """The duties in the docstrings of `penstock.core.ports.data.Sink` and `Landing`; the sink adds what it is given.

    A subclass provides `make_sink`, which gives a sink for one place, the same at every call in a test, as another
    process would make it (options: `mode`, `keys`); `rows`, which reads the table back as dictionaries; and `rejected`,
    which reads the quarantine back as `Rejected`. Sinks that can do more add the duties of `MergeConformance`,
    `ReplaceConformance` and `ChangesConformance`.
    """


class MergeConformance(MergeDuties):
    """A sink made with `mode="merge", keys=["id"]` keeps one row for a key: the last one."""


class ReplaceConformance(ReplaceDuties):
    """A sink made with `mode="replace"` shows the old rows until the last batch has landed, then the new ones."""


class ChangesConformance(ChangeDuties):
    """A sink made with `mode="merge", keys=["id"]` carries out upserts, deletes and truncations."""
