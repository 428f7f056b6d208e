"""A journal that writes down who changed what: whatever is appended for somebody is appended with an entry about it.

No service has to think of it, and none can forget it. What has no actor (the scheduler, workers, webhooks) is not
audited: its events say all there is to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from penstock.control.auth.log import ACTOR, AuditLog, entry_of
from penstock.core.audit import Audited
from penstock.core.events import Append, Record, stored_name
from penstock.core.model import LogLine
from penstock.core.ports import Journal
from penstock.core.sealed import SealedConnection
from penstock.core.workflows import WorkflowFilter

_BESIDE = frozenset({"KeyTaken", "DeploymentDeclared", "DeploymentDeleted"})
"""Events that come with others which say more."""


class AuditedJournal:
    """Stands around a journal; everything else is passed on to it.

    Args:
        journal: the real one.
        log: the audit of it.
    """

    def __init__(self, journal: Journal, log: AuditLog) -> None:
        self._journal = journal
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        if ACTOR.get() is None or not records or logs:
            self._journal.append(stream, expected_seq, records, logs)
        else:
            self.commit([Append(stream, expected_seq, records)])

    def commit(self, appends: Sequence[Append], cursor: tuple[str, int, int] | None = None) -> None:
        """See `Journal.commit`."""
        if ACTOR.get() is None or not any(item.records for item in appends):
            self._journal.commit(appends, cursor)
            return
        self._log.write(lambda: self._entry(appends), lambda told: self._journal.commit([*appends, told], cursor))

    def keep_connection(self, told: Append, kept: SealedConnection, also: Sequence[Append] = ()) -> None:
        """See `Journal.keep_connection`."""
        self._with_entry(told, lambda more: self._journal.keep_connection(told, kept, [*also, *more]))

    def drop_connection(self, told: Append, name: str, also: Sequence[Append] = ()) -> None:
        """See `Journal.drop_connection`."""
        self._with_entry(told, lambda more: self._journal.drop_connection(told, name, [*also, *more]))

    def delete(self, run_ids: Sequence[str]) -> int:
        """See `Journal.delete`. It is written down first: runs are removed one after the other."""
        if ACTOR.get() is not None and run_ids:
            after = {"runs": list(run_ids)} if len(run_ids) > 1 else None
            self._log.record("RunDeleted", run_ids[0], before=self._before(run_ids[0]), after=after)
        return self._journal.delete(run_ids)

    def _with_entry(self, told: Append, commit: Callable[[Sequence[Append]], None]) -> None:
        if ACTOR.get() is None:
            commit(())
        else:
            self._log.write(lambda: self._entry([told]), lambda entry: commit([entry]))

    def _entry(self, appends: Sequence[Append]) -> Audited:
        """One entry for all that is committed at once; it is about what says the most."""
        told = [(item, record.event) for item in appends for record in item.records]
        names = [stored_name(event)[0] for _, event in told]
        main = next((place for place, name in enumerate(names) if name not in _BESIDE), 0)
        item, event = told[main]
        after = _content(event)
        others = [f"{name} {other.stream}" for place, ((other, _), name) in enumerate(zip(told, names, strict=True))
                  if place != main]  # fmt: skip
        return entry_of(
            names[main],
            item.stream,
            before=self._before(item.stream) if item.expected_seq else None,
            after=after,
            detail=f"with {', '.join(others)}" if others else None,
        )

    def _before(self, stream: str) -> Any:
        """What a thing is as long as it is not changed."""
        kind, slash, name = stream.partition("/")
        if not slash:
            run = self._journal.run(stream)
            return {"state": run.state, "name": run.name, "flow": run.flow} if run is not None else None
        found = _LOOKS[kind](self._journal, name) if kind in _LOOKS else []
        if not found:
            return None
        data: dict[str, Any] = msgspec.to_builtins(found[0])
        return data


def _content(event: Any) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(event)
    data.pop("at", None)
    return data


def _connection(journal: Journal, name: str) -> list[Any]:
    return [{"type": each.type, "key": each.key, "saved_at": each.saved_at} for each in journal.connections(name)]


_LOOKS: dict[str, Callable[[Journal, str], list[Any]]] = {
    "workflow": lambda journal, name: journal.workflows(WorkflowFilter(name=name, limit=1)),
    "deployment": lambda journal, name: journal.deployments(name),
    "automation": lambda journal, name: journal.automations(name),
    "webhook": lambda journal, name: journal.webhooks(name),
    "limit": lambda journal, name: journal.limits(name, counted=False),
    "pool": lambda journal, name: journal.pools(name),
    "connection": _connection,
}
