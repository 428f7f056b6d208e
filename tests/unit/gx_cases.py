"""The test cases of Great Expectations: data, an expectation, and what has to come out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

OURS = ("pandas", "sqlite", "postgresql")
"""Cases for one of these are ours, too: their data are plain, and their answers do not depend on a database."""
_FORMER = {"pandas_022", "pandas_023", "pandas_v2_api"}


class Case(NamedTuple):
    """One of them.

    Attributes:
        name: its file, dataset and title.
        expectation: its name.
        data: columns by name.
        kinds: the types of the columns, as pandas names them.
        given: the arguments of the expectation.
        wanted: what has to come out.
        refused: whether an error has to come out.
        exact: whether everything that comes out has to be as wanted.
        elsewhere: why it is for others; empty where it is ours.
        tolerance: by which a number may differ.
        tables: other tables.
    """

    name: str
    expectation: str
    data: dict[str, list[Any]]
    kinds: dict[str, str]
    given: Any
    wanted: dict[str, Any]
    refused: bool
    exact: bool
    elsewhere: str
    tolerance: float
    tables: dict[str, dict[str, list[Any]]]


def cases_in(folder: Path) -> Iterator[Case]:
    """All of them, in the order of their files."""
    for path in sorted(folder.glob("*/*.json")):
        told = json.loads(path.read_text())
        for number, dataset in enumerate(told["datasets"]):
            for place, test in enumerate(dataset["tests"]):
                yield _case(path, told["expectation_type"], number, dataset, place, test)


def _case(path: Path, expectation: str, number: int, dataset: Any, place: int, test: Any) -> Case:
    data, tables = dataset["data"], {}
    if isinstance(data, list):
        tables = {each["dataset_name"]: each["data"] for each in data}
        data = data[0]["data"]
    wanted = test.get("out", {})
    return Case(
        f"{path.stem}-{number}-{place}-{test['title']}",
        path.stem if path.stem.startswith("test_") else expectation,
        data,
        (dataset.get("schemas") or {}).get("pandas") or {},
        test["in"],
        {**wanted, **wanted.get("result", {})},
        "error" in test or "traceback_substring" in wanted,
        bool(test.get("exact_match_out")),
        _elsewhere(test, dataset),
        float(test.get("tolerance", 1e-9)),
        tables,
    )


def _elsewhere(test: Any, dataset: Any) -> str:
    for told in (test, dataset):
        only = told.get("only_for")
        if only and not any(each.startswith(OURS) and each not in _FORMER for each in only):
            return f"only for {', '.join(only)}"
        if any(each in ("pandas", "pandas_v3_api") for each in told.get("suppress_test_for") or ()):
            return "not for pandas"
    return ""


def frame_of(case: Case) -> pd.DataFrame:
    """The data of a case, its types as pandas has them."""
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in case.data.items()})
    for name in frame.columns:
        kind = case.kinds.get(name, "")
        if kind.startswith(("datetime", "timestamp")):
            frame[name] = pd.to_datetime(frame[name])
        elif kind in ("float", "float64"):
            frame[name] = frame[name].astype(float)
        else:
            frame[name] = frame[name].infer_objects()
    return frame
