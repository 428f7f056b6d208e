"""The validator: rules on one side, data on the other, a report between them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.core.addresses import without_secrets
from penstock.quality.errors import BadRules, DataValidationError, RuleProblem
from penstock.quality.extras import pl
from penstock.quality.report import ValidationReport
from penstock.quality.rules import Configuration, Rule, read_configuration
from penstock.quality.rules.arguments import listed
from penstock.quality.rules.rule import short
from penstock.quality.running import Input, file_input, input_of, run
from penstock.quality.running.plan import sql_condition
from penstock.quality.running.tables import table_of


class DataValidator:
    """Checks data against rules."""

    def __init__(self, config: Any) -> None:
        """Read the rules.

        Args:
            config: the path of a YAML, TOML or JSON file, such a text, a mapping with `rules`, or a list of rules.

        Raises:
            BadRules: with every mistake, and its place.
        """
        self.configuration: Configuration = read_configuration(config)
        mistakes = [
            (f"rules[{place}]", wrong)
            for place, rule in enumerate(self.configuration.rules)
            for wrong in _written_wrongly(rule)
        ]
        if mistakes:
            raise BadRules(mistakes)

    @property
    def validation_rules(self) -> tuple[Rule, ...]:
        """The rules, in their order."""
        return self.configuration.rules

    def validate_dataset(
        self,
        data: Any,
        *,
        tables: Mapping[str, Any] | None = None,
        name: str | None = None,
        fail_fast: bool = False,
        statistics: bool = True,
    ) -> ValidationReport:
        """Check the rules against data, in one streaming pass.

        A rule that cannot be checked, such as one on a column that is not there, is reported, and the others run.

        Args:
            data: a pandas, Polars (eager or lazy), PyArrow, Dask or Spark frame, a PyArrow reader, a DuckDB relation,
                a list of dictionaries, columns by name, the path of a CSV, Parquet, JSON lines or Arrow file, a
                dataset, or the address of a table such as `lake:raw/orders`.
            tables: other tables that rules speak of, by name; each as data may be.
            name: what the data is called in the report.
            fail_fast: end with the first rule of severity `error` that fails.
            statistics: also tell the least, greatest and mean values of the columns that rules are about.

        Raises:
            BadData: the data cannot be read.
        """
        with ExitStack() as stack:
            opened = stack.enter_context(_Opened(data))
            others = {each: stack.enter_context(_Opened(table)).frame for each, table in (tables or {}).items()}
            called = name or self.configuration.name or _called(data)
            configuration = replace(self.configuration, name=called)
            if configuration.repairs:
                opened.notes.append(
                    "the data is looked at as it is: repairs are for rows on their way (check, validated)"
                )
            return run(opened, configuration, others, fail_fast=fail_fast, statistics=statistics)

    def check(self, data: Any, **options: Any) -> ValidationReport:
        """The same, for code that goes on only with good data.

        Raises:
            DataValidationError: a rule of severity `error` failed; the report is in it.
            BadData: the data cannot be read.
        """
        report = self.validate_dataset(data, **options)
        if not report.passed:
            raise DataValidationError(report)
        return report


def _called(data: Any) -> str:
    """What people call a file, an address or a dataset."""
    if isinstance(data, str | Path):
        return Path(without_secrets(str(data))).name
    return str(getattr(data, "name", "")) if table_of(data) is not None else ""


class _Opened:
    """Data whose scratch files are gone in the end."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __enter__(self) -> Input:
        self._input = file_input(self._data) if isinstance(self._data, str | Path) else input_of(self._data)
        return self._input

    def __exit__(self, *unused: object) -> None:
        self._input.close()


def _written_wrongly(rule: Rule) -> list[str]:
    """What is wrong with the SQL and the regular expressions of a rule, whatever the data."""
    found = []
    for sql in (rule.where, rule.arguments.get("sql")):
        try:
            if sql:
                sql_condition(sql)
        except RuleProblem as problem:
            found.append(str(problem))
    for pattern in listed(rule.arguments["pattern"]) if rule.kind in ("matches", "not_matches") else ():
        try:
            pl.Series([""]).str.contains(pattern)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            what = " ".join(str(error).split())
            found.append(f"{short(pattern)} is no regular expression that runs in linear time: {what}"[:400])
    return found
