"""What `dataset_desk` has at hand, asked for over HTTP."""

from __future__ import annotations

from typing import Any

from penstock.cli.dataset_desk import SeenDataset
from penstock.core.clock import micros
from penstock.core.ports.tables import Version
from penstock.engine.datasets import named
from penstock.remote import Client
from penstock.remote.calls import first
from penstock.remote.reading import RemoteReading

_COUNTS = ("landed", "superseded", "rejected")


class RemoteDatasets:
    """The datasets of a server, as far as they are on record there; see `LocalDatasets`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def seen(self, name: str) -> SeenDataset:
        """See `LocalDatasets`; as it was last written, for a server reads no data."""
        known = named(RemoteReading(self._client), name)
        columns = [{"name": column, "type": kind} for column, kind in known.columns.items()]
        return SeenDataset(known.name, known, known.address, known.place, columns, None)

    def history(self, name: str, limit: int) -> tuple[list[Version] | None, list[dict[str, Any]]]:
        """See `LocalDatasets`; its versions are where its data is."""
        known = named(RemoteReading(self._client), name)
        kinds = ("DatasetWritten", "DatasetRead")
        events = self._client.events
        found = first(limit, lambda page: events.list(type=kinds, about=known.place, limit=page))
        return None, [_event(each) for each in found]


def _event(facts: dict[str, Any]) -> dict[str, Any]:
    run = facts.get("run")
    told = {"at": facts["at"], "at_us": micros(facts["at"]), "run": run["id"] if isinstance(run, dict) else run}
    told["step"] = facts.get("step")
    if facts["event"] == "DatasetRead":
        return {**told, "what": "read", "rows": facts.get("rows", 0)}
    counts = {name: facts.get(name, 0) for name in _COUNTS}
    return {**told, "what": "written", **counts, "inputs": list(facts.get("inputs", ()))}
