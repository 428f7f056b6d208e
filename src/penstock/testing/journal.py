"""The conformance suite that every journal passes; run it over your own with pytest.

Example:
    class TestMyJournal(JournalConformance):
        @pytest.fixture(autouse=True)
        def place(self, tmp_path):
            self.path = tmp_path / "journal"

        def make_journal(self):
            return MyJournal(self.path)

        def reopen(self, journal):
            return MyJournal(self.path)
"""

from __future__ import annotations

from penstock.testing.journal_access import AccessDuties
from penstock.testing.journal_automations import FollowerDuties
from penstock.testing.journal_bookmarks import BookmarkDuties
from penstock.testing.journal_claims import ClaimDuties
from penstock.testing.journal_connections import ConnectionDuties
from penstock.testing.journal_crowd import CrowdDuties
from penstock.testing.journal_datasets import DatasetDuties
from penstock.testing.journal_moments import MomentDuties
from penstock.testing.journal_news import NewsDuties
from penstock.testing.journal_plans import PlanDuties
from penstock.testing.journal_reading import ReadingDuties
from penstock.testing.journal_retention import RetentionDuties
from penstock.testing.journal_search import SearchDuties
from penstock.testing.journal_slots import SlotDuties
from penstock.testing.journal_streams import StreamDuties
from penstock.testing.journal_uploads import UploadDuties
from penstock.testing.journal_watch import WatchDuties
from penstock.testing.journal_webhooks import WebhookDuties
from penstock.testing.journal_workflows import WorkflowDuties
from penstock.testing.journal_writing import WritingDuties


class JournalConformance(
    WritingDuties,
    ReadingDuties,
    CrowdDuties,
    StreamDuties,
    PlanDuties,
    ClaimDuties,
    SlotDuties,
    WatchDuties,
    SearchDuties,
    NewsDuties,
    FollowerDuties,
    RetentionDuties,
    ConnectionDuties,
    BookmarkDuties,
    DatasetDuties,
    WebhookDuties,
    UploadDuties,
    MomentDuties,
    WorkflowDuties,
    AccessDuties,
):
    """Every duty in the docstrings of `penstock.core.ports.Journal`.

    A subclass provides `make_journal`, which makes a new, empty journal, and `reopen`, which opens the same one again
    as another process would (a journal that lives in one process returns itself).
    """
