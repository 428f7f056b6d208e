"""What is checked, and by which rules, as people name it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.cli.console import clean, say
from penstock.cli.session import reading
from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.data import Dataset
from penstock.engine import datasets
from penstock.quality import BadRules, DataValidator, ValidationReport
from penstock.quality.gx import import_suite, run_with_gx
from penstock.quality.rules.documents import read_document

ENGINES = ("penstock", "gx")
_OF_PATHS = ":./\\*?["


def data_of(given: str) -> str | Dataset:
    """A file, a pattern or an address as it is; or the dataset on record that is called so.

    Raises:
        DatasetNotFound: it is neither a file nor a dataset.
        ConfigurationError: nobody knows how the dataset is read.
    """
    if any(sign in given for sign in _OF_PATHS) or Path(given).exists():
        return given
    with reading() as penstock:
        try:
            known = datasets.named(penstock.journal, given)
        except DatasetNotFound:
            hint = "give a file, an address such as lake:raw/orders, or a name of penstock dataset list"
            raise DatasetNotFound(f"There is neither a file nor a dataset {given!r}.", hint=hint) from None
    if not known.address:
        raise ConfigurationError(f"It is not on record how {known.name} is read.", hint="give its address")
    return Dataset(known.name, known.address, options=known.spec.get("options"))


def checked(rules: Path, data: Any, engine: str, *, tables: Mapping[str, Any], fail_fast: bool) -> ValidationReport:
    """Check data against rules, or against a suite of Great Expectations.

    Raises:
        ConfigurationError: there is no such engine, or it cannot do what is asked for.
        BadRules: the rules cannot be.
    """
    if engine not in ENGINES:
        raise ConfigurationError(f"There is no engine {engine!r}.", hint=f"one of {', '.join(ENGINES)}")
    if engine == "gx" and (tables or fail_fast):
        raise ConfigurationError("Great Expectations takes neither --table nor --fail-fast.", hint="leave --engine out")
    suite = _suite_of(rules)
    if engine == "gx":
        called = data if isinstance(data, str) else data.name
        return run_with_gx(suite or DataValidator(rules).validation_rules, data, name=Path(called).name)
    validator = DataValidator(rules if suite is None else _imported(suite))
    return validator.validate_dataset(data, tables=tables, fail_fast=fail_fast)


def _suite_of(rules: Path) -> Mapping[str, Any] | None:
    """The suite of Great Expectations in a file; None where it is one of rules."""
    if rules.suffix.lower() != ".json":
        return None
    document = read_document(rules)
    return document if isinstance(document, Mapping) and "expectations" in document else None


def _imported(suite: Mapping[str, Any]) -> list[Any]:
    found = import_suite(suite)
    for name, reason in found.left_out:
        say(f"Left out: {clean(name)}: {clean(reason)}")
    if not found.rules:
        raise BadRules([("the suite", "has no expectation that a rule stands for")], hint="--engine gx runs it")
    return list(found.rules)
