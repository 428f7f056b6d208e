"""Listening to streams as a client does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple

import httpx

from penstock.core.model import LogLine
from penstock.core.ports import Journal
from penstock.testing.samples import task_completed


class Heard(NamedTuple):
    """A frame of a stream, as a client sees it."""

    id: str
    name: str
    data: dict[str, Any]


def parsed(lines: Iterable[str]) -> Iterator[Heard]:
    """The frames in the lines of a stream."""
    last, name, data = "", "", ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "id":
            last = value
        elif field == "event":
            name = value
        elif field == "data":
            data = value
        elif not line:
            if data:
                yield Heard(last, name, json.loads(data))
            name = data = ""


async def heard(stream: AsyncIterator[bytes]) -> AsyncIterator[Heard]:
    """The frames that a hub sends."""
    async for part in stream:
        for each in parsed(part.decode().split("\n")):
            yield each


def listen(url: str, last: str | None = None, most: int | None = None, **query: Any) -> list[Heard]:
    """What a stream sends, until it ends or so much was heard."""
    found: list[Heard] = []
    headers = {"Last-Event-ID": last} if last is not None else {}
    with httpx.stream("GET", url, headers=headers, params=query, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        for each in parsed(answer.iter_lines()):
            found.append(each)
            if most is not None and len(found) >= most:
                break
    return found


def log(journal: Journal, run_id: str, *messages: str) -> None:
    """Write log lines of a run."""
    journal.write_logs([LogLine(run_id, None, 5, 20, "here", message) for message in messages])


def complete_steps(journal: Journal, run_id: str, first: int, number: int) -> None:
    """Record steps of a run that has `first` records."""
    journal.append(run_id, first, [task_completed(first + n) for n in range(number)])


def numbers(found: Iterable[Heard]) -> list[int]:
    """The numbers of the records that were heard."""
    return [each.data["seq"] for each in found if "seq" in each.data]


def messages(found: Iterable[Heard]) -> list[str]:
    """The log lines that were heard."""
    return [each.data["message"] for each in found if each.name == "log"]
