"""What a validation found, and how it is shown."""

from penstock.quality.report.report import (
    ColumnStatistics,
    Mended,
    RepairResult,
    RuleResult,
    Sample,
    ValidationReport,
    Verdict,
)

__all__ = ["ColumnStatistics", "Mended", "RepairResult", "RuleResult", "Sample", "ValidationReport", "Verdict"]
