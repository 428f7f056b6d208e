"""Is the data good? Rules, a validator, and a report.

from penstock.quality import DataValidator

report = DataValidator("rules.yaml").validate_dataset("orders.parquet")
"""

from penstock.quality.errors import BadRules, DataValidationError
from penstock.quality.report import ColumnStatistics, RuleResult, Sample, ValidationReport
from penstock.quality.rules import KINDS, Rule
from penstock.quality.validator import DataValidator

__all__ = [
    "KINDS",
    "BadRules",
    "ColumnStatistics",
    "DataValidationError",
    "DataValidator",
    "Rule",
    "RuleResult",
    "Sample",
    "ValidationReport",
]
