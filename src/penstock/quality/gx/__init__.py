"""Great Expectations: its expectations and suites as rules, and rules as its suites."""

from penstock.quality.gx.expectations import EXPECTATIONS, NOT_YET, Expectation, NotTranslated, rule_of
from penstock.quality.gx.running import run_with_gx
from penstock.quality.gx.suites import Imported, export_suite, import_suite

__all__ = [
    "EXPECTATIONS",
    "NOT_YET",
    "Expectation",
    "Imported",
    "NotTranslated",
    "export_suite",
    "import_suite",
    "rule_of",
    "run_with_gx",
]
