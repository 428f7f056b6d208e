"""What a validation found, and how it is shown."""

from penstock.quality.report.report import ColumnStatistics, RuleResult, Sample, ValidationReport, Verdict

__all__ = ["ColumnStatistics", "RuleResult", "Sample", "ValidationReport", "Verdict"]
