"""Annotations of all kinds."""

import datetime
import enum
import pathlib
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal

from facts import fact, outcome, raised
from prefect import flow


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Sample:
    """A dataclass."""

    label: str
    readings: list[float] = field(default_factory=list)


class Instrument:
    """An ordinary class."""


def taking(annotation: object):
    """A flow with one parameter, annotated as given."""

    def show(value):
        return value.isoformat() if isinstance(value, datetime.datetime) else repr(value)

    show.__annotations__ = {"value": annotation}
    return flow(show)


CASES = {
    "enum": (Colour, ["red", Colour.BLUE, "green"]),
    "literal": (Literal["fast", "slow"], ["fast", "medium"]),
    "date": (datetime.date, ["2024-02-29", "2024-02-30", datetime.date(2024, 1, 2)]),
    "datetime": (datetime.datetime, ["2024-02-29T10:00:00", "2024-02-29T10:00:00+02:00", "soon"]),
    "timedelta": (datetime.timedelta, [90, "PT1M30S"]),
    "union": (int | str, [5, "5", 5.5]),
    "optional": (int | None, [None, "6"]),
    "tuple": (tuple[int, str], [["1", "a"], (1,)]),
    "set": (set[int], [["1", 1, 2]]),
    "bool": (bool, ["yes", "off", 1, "2"]),
    "text": (str, ["a", 1]),
    "any": (Any, [None, 3.5]),
    "dict": (dict[str, list[int]], [{"a": ["1"]}, {"a": ["x"]}, []]),
    "path": (pathlib.PurePosixPath, ["a/b"]),
    "uuid": (uuid.UUID, ["12345678123456781234567812345678"]),
    "decimal": (Decimal, ["1.10", 2]),
    "annotated": (Annotated[int, "just a remark"], ["8"]),
}


@flow
def dataclass_flow(sample: Sample):
    """A dataclass from a dict or as it is."""
    return [type(sample).__name__, sample.label, sample.readings]


@flow
def class_flow(instrument: Instrument):
    """An ordinary class is only checked."""
    return type(instrument).__name__


if __name__ == "__main__":
    for name, (annotation, values) in CASES.items():
        fact(name, [raised(taking(annotation), value) or taking(annotation)(value) for value in values])
    fact("where in a dict", outcome(taking(dict[str, list[int]]), {"a": ["1", "x"], "b": ["y"]}))
    fact("dataclass", [outcome(dataclass_flow, given) for given in (
        {"label": "s1", "readings": ["1.5"]}, Sample("s2"), {"label": "s3", "readings": ["x"]}, {"readings": []}, 4,
    )])  # fmt: skip
    fact("class", [class_flow(Instrument()), raised(class_flow, "hammer")])
