"""What is kept beside runs, for whoever asks for it by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.access import Credential
    from penstock.core.audit import AuditFilter
    from penstock.core.datasets import StoredDataset
    from penstock.core.events import Append, Stored
    from penstock.core.model import Artifact, Cached, CacheFilter
    from penstock.core.ports.bookmarks import Bookmark
    from penstock.core.sealed import SealedConnection
    from penstock.core.uploads import StoredFile
    from penstock.core.webhooks import StoredDelivery, StoredWebhook


class Kept(ABC):
    """What is kept beside runs, for whoever asks for it by name. A part of `Journal`."""

    @abstractmethod
    def cached(self, key: str, now: int) -> Cached | None:
        """A result that was recorded under this key and has not expired."""

    @abstractmethod
    def cache_entries(self, which: CacheFilter, after: str = "", limit: int = 100) -> list[Cached]:
        """What is cached (without its data), by key, from the first key after this one."""

    @abstractmethod
    def forget_cached(self, which: CacheFilter) -> int:
        """Invalidate cached results, some at a time; how many there were."""

    @abstractmethod
    def artifacts(
        self,
        run_id: str | None = None,
        key: str | None = None,
        before: str | None = None,
        limit: int = 50,
        *,
        named: str | None = None,
        latest: bool = False,
        bare: bool = False,
    ) -> list[Artifact]:
        """Artifacts of a run, all versions of one, or all there are, newest first.

        Args:
            run_id: only those of this run.
            key: only versions of this one.
            before: only those whose id sorts before this one.
            limit: at most so many.
            named: only those whose id is, or ends with, this text.
            latest: of each key only the newest version.
            bare: their size instead of their content.
        """

    @abstractmethod
    def connections(self, name: str | None = None) -> list[SealedConnection]:
        """Every saved connection by name, or the one of this name."""

    @abstractmethod
    def keep_connection(self, told: Append, kept: SealedConnection, also: Sequence[Append] = ()) -> None:
        """Append what is told of a connection, and keep its sealed fields in the place of former ones: all or nothing.

        `also` is appended in the same transaction.

        Raises:
            SequenceConflict: somebody else has changed it meanwhile; nothing was kept.
        """

    @abstractmethod
    def drop_connection(self, told: Append, name: str, also: Sequence[Append] = ()) -> None:
        """Append what is told of a connection, and remove its sealed fields: all or nothing; see `keep_connection`.

        Raises:
            SequenceConflict: somebody else has changed it meanwhile; nothing was removed.
        """

    @abstractmethod
    def credentials(
        self, names: Sequence[str] = (), *, kind: str | None = None, owner: str | None = None
    ) -> list[Credential]:
        """What is kept of accounts, by name: those of these names (a few), of this kind, of this owner."""

    @abstractmethod
    def keep_credentials(self, told: Append, kept: Sequence[Credential], dropped: Sequence[Credential] = ()) -> None:
        """Append what is told, keep these, and remove those: all or nothing. What is of no use any more goes too.

        Args:
            told: at least one record.
            kept: each in the place of the one with its name and its `seq`; with a `seq` of 0 there must be none.
            dropped: each as it is there.

        Raises:
            SequenceConflict: the stream, or one of these, is not as expected any more; nothing was done.
        """

    @abstractmethod
    def audit(self, where: AuditFilter) -> list[Stored]:
        """Entries of the audit, the newest first."""

    @abstractmethod
    def bookmark(self, name: str) -> Bookmark | None:
        """What was kept last under this name."""

    @abstractmethod
    def keep_bookmark(self, name: str, expected: int, data: bytes) -> bool:
        """Keep something in the place of what was kept before.

        Args:
            name: whose it is.
            expected: the `seq` of what is there; 0 for nothing.
            data: what to keep.

        Returns:
            False when something else was there; nothing was kept.
        """

    @abstractmethod
    def drop_bookmark(self, name: str) -> bool:
        """Forget what was kept under this name; False where nothing was."""

    @abstractmethod
    def datasets(self, called: str | None = None) -> list[StoredDataset]:
        """Every dataset by name, or those that have this name or this place."""

    @abstractmethod
    def webhooks(self, name: str | None = None) -> list[StoredWebhook]:
        """Every webhook by name, or the one of this name."""

    @abstractmethod
    def deliveries(
        self,
        hook: str | None = None,
        status: str | None = None,
        before: str | None = None,
        limit: int = 100,
        *,
        named: str | None = None,
    ) -> list[StoredDelivery]:
        """Requests that came to webhooks, newest first.

        Args:
            hook: only those to this webhook.
            status: only those that were accepted, refused or failed.
            before: only those whose id sorts before this one.
            limit: at most so many.
            named: only those whose id ends with this text, or that their sender gave this id.
        """

    @abstractmethod
    def files(
        self,
        file_id: str | Sequence[str] | None = None,
        before: str | None = None,
        limit: int = 100,
        *,
        tags: Sequence[str] | None = None,
    ) -> list[StoredFile]:
        """Files that were sent in, newest first.

        Args:
            file_id: only the one with this id, or those with one of these.
            before: only those whose id sorts before this one.
            limit: at most so many.
            tags: only those that bear one of these.
        """
