"""Webhooks and their secrets as they are now: looked at once, and again only when the journal says they changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from penstock.control.webhooks.hooks import SLUG, Hook
from penstock.control.webhooks.registry import find_hook
from penstock.core.errors import ConfigurationError, DataError, WebhookNotFound
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.secrets import Secret
from penstock.core.webhooks import KIND

_MOST = 1000


class _Seen(NamedTuple):
    seq: int
    value: Any


class Known:
    """What is known of webhooks and secrets, each with the number of the last event about it.

    Args:
        journal: has the webhooks, and says what has changed.
        secret: gives the secret of a name.
        outside: whether the secret of a name is none of the journal's; it is looked at each time then.
    """

    def __init__(
        self, journal: Journal, secret: Callable[[str], str], outside: Callable[[str], bool] = lambda name: False
    ) -> None:
        self.journal = journal
        self._secret = secret
        self._outside = outside
        self._seen: dict[str, _Seen] = {}

    def hook(self, slug: str) -> Hook | None:
        """A webhook; None where there is none."""
        if not SLUG.fullmatch(slug):
            return None
        found: Hook | None = self._of(stream_of(KIND, slug), lambda: self._found(slug))
        return found

    def _found(self, slug: str) -> Hook | None:
        try:
            return find_hook(self.journal, slug)
        except WebhookNotFound:
            return None

    def secret(self, name: str) -> str:
        """A secret.

        Raises:
            DataError, ConfigurationError: it cannot be had.
        """
        if self._outside(name):
            return self._secret(name)
        found: Secret = self._of(stream_of("connection", name), lambda: Secret(self._secret(name)))
        return found.reveal()

    def _of(self, stream: str, look: Callable[[], Any]) -> Any:
        seq = self.journal.last_seq(stream)  # before it is looked at: what changes meanwhile is looked at again
        seen = self._seen.get(stream)
        if not seq:
            return look() if stream.startswith("connection/") else None
        if seen is None or seen.seq != seq:
            seen = _Seen(seq, look())
            while len(self._seen) >= _MOST:
                self._seen.pop(next(iter(self._seen)))
            self._seen[stream] = seen
        return seen.value


class Now:
    """The same for a batch of requests: each thing is asked for once.

    Args:
        known: what is known.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._hooks: dict[str, Hook | None] = {}
        self._secrets: dict[str, str | None] = {}

    def hook(self, slug: str) -> Hook | None:
        """A webhook; None where there is none."""
        if slug not in self._hooks:
            self._hooks[slug] = self._known.hook(slug)
        return self._hooks[slug]

    def secrets(self, hook: Hook, at: int) -> list[str] | None:
        """The secrets that are valid at this time; None where one of them cannot be had."""
        found = [self._one(each.connection) for each in hook.secrets if each.valid(at)]
        return None if None in found else [each for each in found if each is not None]

    def _one(self, name: str) -> str | None:
        if name not in self._secrets:
            try:
                self._secrets[name] = self._known.secret(name)
            except (DataError, ConfigurationError):
                self._secrets[name] = None
        return self._secrets[name]
