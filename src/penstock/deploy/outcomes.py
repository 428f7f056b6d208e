"""What the steps of a run that is executed elsewhere hand to each other: their records, and results by reference.

All of it is below one address, a folder that every worker sees or a prefix of a bucket:

    results/..          values, as a result store has them
    outcomes/RUN/STEP   the records of a step of a run: what a journal would have of it
"""

from __future__ import annotations

import datetime
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from penstock.core import typed
from penstock.core.errors import ConfigurationError, ResultUnavailable
from penstock.core.errors.engines import EngineError
from penstock.core.events import Record, Saved, decode_event, encode_event, stored_name
from penstock.core.extras import require
from penstock.core.files import atomic_write
from penstock.core.states import Elsewhere
from penstock.journal.results import FileResultStore

LAYOUT = 1
_RESULTS, _OUTCOMES = "results", "outcomes"


class OutcomesUnreachable(EngineError):
    """What the steps of a run hand to each other cannot be reached."""

    code = "outcomes-unreachable"
    hint = "name a place that every worker reaches, a shared folder or s3://BUCKET/PREFIX: results, or AIRFLOW_RESULTS"


class _Kept(msgspec.Struct, frozen=True):
    name: str
    version: int
    at: int
    body: bytes
    data: bytes | None


class Outcome(msgspec.Struct, frozen=True):
    """What is known of a step.

    Attributes:
        layout: of this structure.
        penstock: the version that has written it.
        records: its events, in order.
    """

    layout: int
    penstock: str
    kept: tuple[_Kept, ...]

    @property
    def records(self) -> list[Record]:
        """Its events, in order."""
        return [Record(decode_event(each.name, each.version, each.at, each.body), each.data) for each in self.kept]


def outcome(version: str, records: list[Record]) -> Outcome:
    """What is known of a step, by this version of Penstock."""
    kept = [_Kept(*stored_name(event), event.at, encode_event(event), data) for event, data in records]
    return Outcome(LAYOUT, version, tuple(kept))


class Place(ABC):
    """Where bytes are kept under names with slashes."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Keep it, whole or not at all."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """What is kept; None for nothing."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """What is kept directly below a name."""


class _Folder(Place):
    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, "wb") as file:
            file.write(data)

    def get(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(each for each in os.listdir(self._root / folder) if not each.startswith("."))
        except FileNotFoundError:
            return []


class _Bucket(Place):
    """Credentials, the region and the endpoint come from the environment (AWS_...)."""

    def __init__(self, address: str) -> None:
        self._obstore = require("obstore", "data")
        retry = {"max_retries": 4, "retry_timeout": datetime.timedelta(seconds=30)}
        self._store = require("obstore.store", "data").from_url(address, retry_config=retry)

    def put(self, name: str, data: bytes) -> None:
        self._obstore.put(self._store, name, data)

    def get(self, name: str) -> bytes | None:
        try:
            return bytes(self._obstore.get(self._store, name).bytes())
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        pages = self._obstore.list(self._store, f"{folder}/")
        return sorted(found["path"].rpartition("/")[2] for page in pages for found in page)


class _Results(FileResultStore):
    """Results below the address of the outcomes."""

    def __init__(self, place: Place, folder: Path) -> None:
        super().__init__(folder)
        self._place = place

    def load(self, saved: Saved, data: bytes | None) -> Any:
        """The value; one in a file is read when somebody looks at it: a step needs few of those it passes."""
        load = super().load
        return load(saved, data) if saved.ref is None else Elsewhere(saved, None, load)


class _BucketResults(_Results):
    def _write(self, data: bytes) -> str:
        import hashlib

        ref = hashlib.blake2b(data, digest_size=20).hexdigest()
        self._place.put(f"{_RESULTS}/{ref[:2]}/{ref[2:]}", data)
        return ref

    def read(self, ref: str) -> bytes:
        """See `FileResultStore.read`."""
        data = self._place.get(f"{_RESULTS}/{ref[:2]}/{ref[2:]}")
        if data is None:
            raise ResultUnavailable(
                f"The result {ref[:12]}... is not in the store.",
                hint="was it removed there? execute the step that made it again",
            )
        return data


class Outcomes:
    """What is handed on, below one address.

    Args:
        address: a folder, or `s3://bucket/prefix` (or gs:// or az://).

    Attributes:
        results: values of these runs. What is there by reference is read when somebody looks at it.
    """

    def __init__(self, address: str) -> None:
        self.address = checked_address(address)
        self.results: FileResultStore
        if "://" in address:
            with _reaching(self.address):
                self._place: Place = _Bucket(address)
            self.results = _BucketResults(self._place, Path(_RESULTS))
        else:
            self._place = _Folder(Path(address))
            self.results = _Results(self._place, Path(address) / _RESULTS)

    def put(self, run: str, step: str, found: Outcome) -> None:
        """Keep what is known of a step.

        Raises:
            OutcomesUnreachable: the place cannot be written.
        """
        with _reaching(self.address):
            self._place.put(self._name(run, step), msgspec.msgpack.encode(found))

    def get(self, run: str, step: str) -> Outcome | None:
        """What is known of a step; None for nothing.

        Raises:
            OutcomesUnreachable: the place cannot be read, or another Penstock has written it.
        """
        with _reaching(self.address):
            data = self._place.get(self._name(run, step))
        if data is None:
            return None
        try:
            found = typed.from_msgpack(data, Outcome)
        except msgspec.MsgspecError as error:
            raise OutcomesUnreachable(f"The outcome of {step} in {self.address} is damaged: {error}.") from None
        if found.layout != LAYOUT:
            raise OutcomesUnreachable(
                f"The outcome of {step} was written by Penstock {found.penstock}, and this one cannot read it.",
                hint="install one version of Penstock for all workers of a deployment",
            )
        return found

    def content(self, ref: str) -> bytes:
        """What a value is kept as.

        Raises:
            OutcomesUnreachable: the place cannot be read.
            ResultUnavailable: it is not there, or damaged.
        """
        with _reaching(self.address):
            return self.results.read(ref)

    def of_run(self, run: str) -> Iterator[tuple[str, Outcome]]:
        """What is known of each step of a run."""
        with _reaching(self.address):
            names = self._place.names(f"{_OUTCOMES}/{_as_name(run)}")
        for name in names:
            step = unquote(name)
            if (found := self.get(run, step)) is not None:
                yield step, found

    def _name(self, run: str, step: str) -> str:
        return f"{_OUTCOMES}/{_as_name(run)}/{_as_name(step)}"


def _as_name(text: str) -> str:
    """As the name of a file; none begins with a dot."""
    return quote(text, safe="").replace(".", "%2E")


def checked_address(address: str) -> str:
    """The address, if it can be one.

    Raises:
        ConfigurationError: it cannot, or it holds a password, which would stand in the engine's files.
    """
    if "://" not in address:
        if not os.path.isabs(address):
            raise ConfigurationError(f"{address!r} is no absolute path.", hint="workers run in other folders")
        return address
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise ConfigurationError(
            f"{parts.scheme}://...@{parts.hostname} holds a password, which would be written into the engine's files.",
            hint="give it to the workers in their environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
        )
    return address


class _reaching:
    """Tells what goes wrong with the place as `OutcomesUnreachable`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        theirs = type(error).__module__.split(".")[0] == "obstore"
        if isinstance(error, OSError) or theirs:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise OutcomesUnreachable(f"{self._address} cannot be reached: {told}") from None
