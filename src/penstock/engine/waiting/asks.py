"""What a step can wait for, and what its answer must be like."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from penstock.authoring.parameters import convert
from penstock.authoring.schema import type_schema
from penstock.core.errors import AnswerRefused, BadWait

When = float | datetime.timedelta | datetime.datetime
NOTHING: Any = object()
"""No default was given."""

_WITHOUT_BODY = {"$schema", "title"}


class Approval(NamedTuple):
    """How somebody decided. It is true when it was approved.

    Attributes:
        approved: yes or no.
        by: who decided; None where nobody did in time.
        note: what they said about it.
    """

    approved: bool
    by: str | None = None
    note: str | None = None

    def __bool__(self) -> bool:
        return self.approved


class Ask:
    """A wait that nobody has to end: time passes, or somebody says that it may go on.

    Args:
        name: of the step: sleep, pause_run, wait_for_input, approve.
        kind: sleep, pause, input or approval.
        when: how long it takes (or, where it asks, may take), or until when; None for ever.
        prompt: what to tell whoever answers.
        key: names it; a second wait of the same name in a run gives what the first one gave.
        default: what it gives when time is up; without it, that is an error.
    """

    approvers: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        kind: str,
        when: When | None,
        *,
        prompt: str | None = None,
        key: str | None = None,
        default: Any = NOTHING,
    ) -> None:
        self.name = name
        self.kind = kind
        self.when: float | datetime.datetime | None = _checked(name, when)
        self.prompt = prompt
        self.key = key
        self.default = default

    def until(self, now: int) -> int | None:
        """When it is over, if it begins now."""
        if self.when is None:
            return None
        if isinstance(self.when, datetime.datetime):
            return round(self.when.timestamp() * 1_000_000)
        return now + int(self.when * 1_000_000)

    def schema(self) -> dict[str, Any] | None:
        """What an answer must be like, as JSON Schema; None where there is none."""
        return {"type": "null"} if self.kind == "pause" else None

    def kept(self, answer: Any, by: str | None) -> Any:
        """What is recorded of an answer, as JSON."""
        return None

    def value(self, kept: Any, late: bool = False) -> Any:
        """What the call gives: for what was answered, or for the default because it was too `late` for an answer.

        Raises:
            AnswerRefused: it does not fit.
        """
        return kept if late else None


class AskInput(Ask):
    """Somebody is to give a value of a type."""

    def __init__(self, wanted: Any, **options: Any) -> None:
        super().__init__("wait_for_input", "input", options.pop("when"), **options)
        self.prompt = self.prompt or getattr(wanted, "_description", None)
        self.wanted = wanted
        self._schema = type_schema(wanted)
        if wanted is bytes or (not self._schema.keys() - _WITHOUT_BODY and wanted not in (Any, object)):
            raise BadWait(
                f"wait_for_input cannot ask for {wanted!r}: nobody could give one as JSON.",
                hint="ask for a dataclass, a TypedDict, a pydantic model, a Literal, or a plain type such as int",
            )

    def schema(self) -> dict[str, Any]:
        """See `Ask.schema`."""
        return self._schema

    def kept(self, answer: Any, by: str | None) -> Any:
        """See `Ask.kept`."""
        return answer

    def value(self, kept: Any, late: bool = False) -> Any:
        """See `Ask.value`."""
        if late:
            return kept
        mistakes: list[tuple[str, str]] = []
        value = convert(kept, self.wanted, "answer", mistakes)
        if mistakes:
            raise AnswerRefused(self.key or self.name, mistakes)
        return value


class AskApproval(Ask):
    """Somebody is to say yes or no."""

    def __init__(self, prompt: str, approvers: Iterable[str] | None, **options: Any) -> None:
        super().__init__("approve", "approval", options.pop("when"), prompt=prompt, **options)
        if isinstance(approvers, str):
            raise BadWait("approvers is a list of names.", hint=f"write approvers=[{approvers!r}]")
        self.approvers = tuple(approvers or ())
        if self.default is not NOTHING:
            self.default = {"approved": bool(self.default), "by": None, "note": "Nobody answered in time."}

    def schema(self) -> dict[str, Any]:
        """See `Ask.schema`."""
        return APPROVAL

    def kept(self, answer: Any, by: str | None) -> Any:
        """See `Ask.kept`."""
        return {"approved": bool(answer["approved"]), "by": by, "note": answer.get("note")}

    def value(self, kept: Any, late: bool = False) -> Any:
        """See `Ask.value`."""
        return Approval(kept["approved"], kept.get("by"), kept.get("note"))


APPROVAL: dict[str, Any] = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "note": {"type": ["string", "null"]}},
    "required": ["approved"],
    "additionalProperties": False,
}


def _checked(name: str, when: Any) -> Any:
    """How long in seconds, or until when.

    Raises:
        BadWait: it is neither.
    """
    if isinstance(when, datetime.timedelta):
        when = when.total_seconds()
    if when is None:
        return None
    if isinstance(when, datetime.datetime):
        if when.tzinfo is None:
            raise BadWait(
                f"{name} was given the time {when.isoformat(' ')}, which means another instant in every time zone.",
                hint='say which: when.replace(tzinfo=ZoneInfo("Europe/Paris"))',
            )
        return when
    if isinstance(when, bool) or not isinstance(when, (int, float)) or not math.isfinite(when) or when < 0:
        raise BadWait(
            f"{name} takes seconds from 0, a timedelta or a datetime, and got {when!r}.",
            hint="write 90, timedelta(hours=2) or datetime(2026, 1, 31, 17, tzinfo=UTC)",
        )
    return float(when)
