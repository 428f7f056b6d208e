"""All metrics of a server: its own, and what the journal records."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from penstock.core.ports import Journal
from penstock.observability import REGISTRY
from penstock.observability.gauges import Gauges
from penstock.observability.recorded import Recorded

_FRESH_SECONDS = 1.0


class Metrics:
    """All metrics of a server. Who asks again within a second gets the same answer.

    Args:
        journal: whose runs they are about.
        listeners: gives how many listen to event streams.
    """

    def __init__(self, journal: Journal, listeners: Callable[[], int]) -> None:
        self._recorded = Recorded(journal)
        self._gauges = Gauges(journal)
        self._listeners = listeners
        self._lock = threading.Lock()
        self._made = -_FRESH_SECONDS
        self._text = ""

    def text(self) -> str:
        """As Prometheus reads them.

        Raises:
            JournalError: the journal cannot be read.
        """
        with self._lock:
            if time.monotonic() - self._made >= _FRESH_SECONDS:
                REGISTRY.gauge("penstock_stream_listeners", "Who listens to event streams.").set(self._listeners())
                self._text = REGISTRY.text() + self._recorded.text() + self._gauges.text()
                self._made = time.monotonic()
            return self._text
