"""Is the data good? Rules, a validator, and a report.

from penstock.quality import DataValidator

report = DataValidator("rules.yaml").validate_dataset("orders.parquet")
"""

from penstock.quality.errors import BadRules, DataValidationError
from penstock.quality.profiles import DriftReport, Profile, Suggestions, drift, profile, suggest
from penstock.quality.report import ColumnStatistics, RepairResult, RuleResult, Sample, ValidationReport
from penstock.quality.rules import KINDS, REPAIRS, Repair, Rule
from penstock.quality.steps import Checks, Outcome, check, validated
from penstock.quality.validator import DataValidator

__all__ = [
    "KINDS",
    "REPAIRS",
    "BadRules",
    "Checks",
    "ColumnStatistics",
    "DataValidationError",
    "DataValidator",
    "DriftReport",
    "Outcome",
    "Profile",
    "Repair",
    "RepairResult",
    "Rule",
    "RuleResult",
    "Sample",
    "Suggestions",
    "ValidationReport",
    "check",
    "drift",
    "profile",
    "suggest",
    "validated",
]
