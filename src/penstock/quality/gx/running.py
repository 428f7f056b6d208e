"""Suites run by Great Expectations itself, and what it finds as a report of ours."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from penstock.core.extras import require
from penstock.quality.errors import BadRules
from penstock.quality.gx.expectations import NotTranslated, rule_of
from penstock.quality.gx.suites import arguments_of, entries_of, expectation_of, name_of
from penstock.quality.report import RuleResult, Sample, ValidationReport
from penstock.quality.rules import Rule
from penstock.quality.running import Input, file_input, input_of
from penstock.quality.running.sources import reading
from penstock.quality.running.words import first_line

_PLACE = "penstock_place"
"""GX answers in an order of its own: this tells an expectation from the others."""


class _Asked(NamedTuple):
    """One statement.

    Attributes:
        rule: as a rule of ours; named after the expectation where there is none of the same meaning.
        expectation: as GX has it; None where it has none.
        problem: why there is none.
    """

    rule: Rule
    expectation: Mapping[str, Any] | None
    problem: str = ""


def run_with_gx(
    suite: Mapping[str, Any] | str | Path | Iterable[Rule], data: Any, *, name: str = "", samples: int = 10
) -> ValidationReport:
    """Have Great Expectations check data; it reads all of it into memory.

    Args:
        suite: a suite of Great Expectations (a mapping, JSON text, or the path of a JSON file), or rules. A rule that
            has no expectation is reported as one that could not be checked.
        data: whatever `DataValidator.validate_dataset` takes. A Spark frame stays with Spark, anything else becomes a
            pandas frame.
        name: what the data is called in the report.
        samples: how many rows are shown of each rule.

    Raises:
        MissingExtra: Great Expectations is not installed.
        BadRules: it is no suite.
        BadData: the data cannot be read.
    """
    began, started = time.perf_counter(), datetime.now(UTC)
    asked = list(_asked(suite))
    gx = _library()
    notes: list[str] = []
    frame = data if _of_spark(data) else _pandas(data, notes)
    read = time.perf_counter()
    found = _answers(gx, frame, [one.expectation for one in asked], samples)
    results = tuple(
        _result(one, found[place], frame)
        if place in found
        else RuleResult(rule=one.rule, verdict="error", reason=one.problem)
        for place, one in enumerate(asked)
    )
    ended = time.perf_counter()
    return ValidationReport(
        name=name,
        rows=frame.count() if _of_spark(frame) else len(frame),
        columns=len(frame.columns),
        results=results,
        notes=tuple(notes),
        started=started.isoformat(),
        seconds=ended - began,
        seconds_reading=read - began,
    )


def _asked(suite: Mapping[str, Any] | str | Path | Iterable[Rule]) -> Iterable[_Asked]:
    if isinstance(suite, Mapping | str | Path):
        for entry in entries_of(suite):
            yield _Asked(_rule_for(entry), {"type": name_of(entry), "kwargs": {}, **entry})
        return
    for rule in suite:
        try:
            yield _Asked(rule, expectation_of(rule))
        except NotTranslated as problem:
            yield _Asked(rule, None, f"Great Expectations has no expectation for it: {problem}")


def _rule_for(entry: Mapping[str, Any]) -> Rule:
    try:
        return rule_of(name_of(entry), arguments_of(entry))
    except (NotTranslated, BadRules):
        kwargs = dict(entry.get("kwargs") or {})
        column = kwargs.pop("column", None)
        return Rule(name_of(entry), (str(column),) if column is not None else (), kwargs)


def _library() -> Any:
    """Great Expectations, without its telemetry; what it warns of (its own imports) is not the caller's business."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings(), _a_program():
        warnings.simplefilter("ignore")
        return require("great_expectations", "gx")


@contextmanager
def _a_program() -> Iterator[None]:
    """PySpark, which it imports where it can, takes an interpreter without a program for its own tests, and ends it."""
    main = sys.modules["__main__"]
    bare = main.__spec__ is None and not hasattr(main, "__file__")
    if bare:
        main.__file__ = "penstock"
    try:
        yield
    finally:
        if bare:
            del main.__file__


def _of_spark(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pyspark"


def _pandas(data: Any, notes: list[str]) -> Any:
    if type(data).__module__.partition(".")[0] == "pandas" and type(data).__name__ == "DataFrame":
        return data.reset_index(drop=True)
    with closing(file_input(data) if isinstance(data, str | Path) else input_of(data)) as given:
        notes += given.notes
        require("pandas", "gx")
        return _collected(given).to_pandas()


def _collected(given: Input) -> Any:
    try:
        return given.frame.collect()
    except Exception:  # the types of the first rows are not those of all
        if given.widened is None:
            return reading(given.frame.collect)
        frame, _ = reading(given.widened)
        return reading(frame.collect)


def _answers(gx: Any, frame: Any, expectations: list[Mapping[str, Any] | None], samples: int) -> dict[int, Any]:
    """What GX says, by the place of the expectation; of one that it does not know, its error."""
    found: dict[int, Any] = {}
    made = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        for place, expectation in enumerate(expectations):
            if expectation is not None:
                try:
                    made.append(_made(expectation, place))
                except Exception as error:  # its errors of a suite that cannot be have no common class
                    found[place] = error
        source = context.data_sources.add_spark("data") if _of_spark(frame) else context.data_sources.add_pandas("data")
        whole = source.add_dataframe_asset("data").add_batch_definition_whole_dataframe("all")
        batch = whole.get_batch({"dataframe": frame})
        suite = gx.ExpectationSuite(name="all")
        for expectation in made:
            suite.add_expectation(expectation)
        wanted = {"result_format": "SUMMARY", "partial_unexpected_count": samples}
        for answer in batch.validate(suite, result_format=wanted).results:
            found[answer.expectation_config.meta[_PLACE]] = answer.to_json_dict()
    return found


def _made(expectation: Mapping[str, Any], place: int) -> Any:
    configuration = require("great_expectations.expectations.expectation_configuration", "gx")
    given = {name: expectation[name] for name in ("kwargs", "severity", "notes") if expectation.get(name) is not None}
    meta = {**(expectation.get("meta") or {}), _PLACE: place}
    return configuration.ExpectationConfiguration(type=expectation["type"], meta=meta, **given).to_domain_obj()


def _result(one: _Asked, answer: Any, frame: Any) -> RuleResult:
    if isinstance(answer, Exception):
        return RuleResult(rule=one.rule, verdict="error", reason=first_line(answer))
    if problem := _exception(answer.get("exception_info")):
        return RuleResult(rule=one.rule, verdict="error", reason=problem)
    told = answer.get("result") or {}
    checked, nulls = told.get("element_count"), told.get("missing_count")
    if checked is not None and nulls is not None:
        checked -= nulls
    failed = told.get("unexpected_count")
    return RuleResult(
        rule=one.rule,
        verdict="passed" if answer["success"] else "failed",
        checked=checked if failed is not None else None,
        failed=failed,
        nulls=nulls if failed is not None else None,
        observed=told.get("observed_value"),
        samples=tuple(_samples(one.rule, told.get("partial_unexpected_index_list") or [], frame)),
    )


def _exception(info: Any) -> str:
    """What went wrong, of an answer; GX tells it of the expectation, or of each measure that it takes."""
    if not isinstance(info, Mapping):
        return ""
    if "raised_exception" in info:
        told = str(info.get("exception_message") or "").strip()
        return (told.splitlines() or ["it could not be checked"])[0] if info["raised_exception"] else ""
    return next(filter(None, map(_exception, info.values())), "")


def _samples(rule: Rule, places: list[Any], frame: Any) -> Iterable[Sample]:
    for place in places:
        if isinstance(place, int):
            values = {column: frame.iloc[place][column] for column in rule.columns if column in frame.columns}
            yield Sample(place, {}, {column: _plain(value) for column, value in values.items()})


def _plain(value: Any) -> Any:
    """Missing values of pandas are None; numbers of NumPy are Python's."""
    if value is None or value != value or type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value.item() if hasattr(value, "item") else value
