"""What a run on Prefect leaves in Penstock's result store: how each step ended, and where its value is.

A run has one file, to which each end of a step adds a line. Values are never in it: they are in the result store,
and a line refers to them. It is how Penstock reads the results of a run that Prefect has executed, and how the steps
that completed are not executed again when Prefect runs the flow once more.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.errors import ResultNotSaved, ResultUnavailable
from penstock.core.events import ErrorInfo, Saved, Step
from penstock.core.ports import ResultStore
from penstock.core.states import NO_DATA, State, StateType
from penstock.engine.failures import error_info
from penstock.engine.logs import engine_logger

_FOLDER = "outside"
RUN = ""
"""The key under which the end of the run itself is kept."""


class Ended(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a step, or a run, has ended.

    Attributes:
        key: of the step; `RUN` for the run itself.
        state: one of Penstock's, in its own spelling (COMPLETED).
        name, message: of the state, where they say more.
        attempt: from 1; 0 for a step that ended without having begun.
        result: where the value is; a small one is in `data`.
        error: what was raised.
        data: the serialized value, or the exception itself, pickled.
        step: which call of its flow it was.
        reference: the id of its task run on Prefect.
    """

    key: str
    state: str
    name: str | None = None
    message: str | None = None
    attempt: int = 1
    started: int = 0
    ended: int = 0
    result: Saved | None = None
    error: ErrorInfo | None = None
    data: bytes | None = None
    step: Step | None = None
    reference: str | None = None

    @property
    def completed(self) -> bool:
        """It has a value."""
        return self.state == StateType.COMPLETED.value


_encode = msgspec.json.Encoder().encode
_decode = typed.json_decoder(Ended).decode


def file_of(home: Path, run_id: str) -> Path:
    """Where the record of a run is."""
    return home / "results" / _FOLDER / f"{run_id}.jsonl"


def read(home: Path, run_id: str) -> dict[str, Ended]:
    """How the steps of a run have ended, by key; empty where nothing is known of it. A later end is the end."""
    try:
        data = file_of(home, run_id).read_bytes()
    except OSError:
        return {}
    return {found.key: found for found in _lines(data)}


def _lines(data: bytes) -> Iterator[Ended]:
    for line in data.split(b"\n"):
        try:
            yield _decode(line)
        except (msgspec.DecodeError, msgspec.ValidationError):  # the last one, where the process was killed
            continue


class RunRecord:
    """The record of one run, in the process that executes it.

    Args:
        home: Penstock's home folder, where this process sees it.
        run_id: the run.
        results: where values are kept.

    Raises:
        ResultUnavailable: the folder cannot be used from here.
    """

    def __init__(self, home: Path, run_id: str, results: ResultStore) -> None:
        self.results = results
        self.known = read(home, run_id)
        self._lock = threading.Lock()
        file = file_of(home, run_id)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise ResultUnavailable(
                f"The result store of this run cannot be used: {error.strerror or error}: {str(file.parent)!r}.",
                hint="PENSTOCK_HOME names the home folder as this machine sees it; the deployment's own is the default",
            ) from error

    def key_for(self, key: str, inputs: dict[str, str]) -> tuple[str, Ended | None]:
        """The key of a call, and how it ended before where that still counts.

        A call that did not complete before, or had other arguments, is another generation of the step.
        """
        if key not in self.known:
            return key, None
        generation = 1
        while f"{key}~{generation + 1}" in self.known:
            generation += 1
        last = self.known[key if generation == 1 else f"{key}~{generation}"]
        inputs_then = last.step.inputs if last.step is not None else None
        if last.completed and inputs_then == inputs and last.result is not None:
            return last.key, last
        return f"{key}~{generation + 1}", None

    def value(self, ended: Ended) -> Any:
        """The value of a step that completed.

        Raises:
            ResultUnavailable: it cannot be read back.
        """
        assert ended.result is not None
        return self.results.load(ended.result, ended.data)

    def keep(self, key: str, state: State, **facts: Any) -> None:
        """Keep the end of a step, or of the run; see `Ended` for the facts."""
        value = state._data
        result = error = data = None
        if isinstance(value, BaseException):
            error, data = error_info(value)
        elif value is not NO_DATA or state.type is StateType.COMPLETED:
            result, data = self._save(key, None if value is NO_DATA else value)
        name = state.name if state.name != state.type.word else None
        ended = Ended(key, state.type.value, name, state.message, result=result, error=error, data=data, **facts)
        self.known[key] = ended
        with self._lock:
            os.write(self._file, _encode(ended) + b"\n")

    def _save(self, key: str, value: Any) -> tuple[Saved, bytes | None]:
        try:
            return self.results.save(value)
        except ResultNotSaved as problem:
            engine_logger().warning("%s: %s", key or "The run", problem.message)
            return Saved("none"), None

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)
