"""Pages fetched before they are asked for, where it is known which they will be."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from penstock.connectors.http.json_pages import JsonPage
from penstock.connectors.http.paths import MISSING


class Ahead:
    """Fetches pages in threads, a bounded number of them, and hands them out in order.

    What is fetched ahead is a guess. A page is handed out only if it turns out to be the one that comes next; otherwise
    all guesses are thrown away.

    Args:
        fetch: gives the page of a state.
        threads: where.
        width: how many pages at most are fetched, or wait to be taken, beside the one in hand. 0 for none.
    """

    def __init__(self, fetch: Callable[[Any, int], JsonPage], threads: ThreadPoolExecutor, width: int) -> None:
        self._fetch, self._threads, self._width = fetch, threads, width
        self._coming: deque[tuple[Any, Future[JsonPage]]] = deque()

    def get(self, state: Any, number: int) -> JsonPage:
        """The page of a state."""
        if self._coming and self._coming[0][0] == state:
            return self._coming.popleft()[1].result()
        self.close()
        return self._fetch(state, number)

    def plan(self, state: Any, number: int, guess: Callable[[Any], Any]) -> None:
        """Begin to fetch what comes after a state."""
        for _ in range(self._width):
            state, number = guess(state), number + 1
            if state is MISSING:
                return
            if any(state == known for known, _ in self._coming):
                continue
            if len(self._coming) >= self._width:
                return
            context = contextvars.copy_context()
            self._coming.append((state, self._threads.submit(context.run, self._fetch, state, number)))

    def close(self) -> None:
        """Begin nothing more; what is under way ends with the fetcher."""
        for _, future in self._coming:
            future.cancel()
        self._coming.clear()
