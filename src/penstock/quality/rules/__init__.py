"""Rules: what can be stated about data, and how it is written down."""

from penstock.quality.rules.kinds import KINDS, Kind
from penstock.quality.rules.reading import Configuration, read_configuration, read_repairs
from penstock.quality.rules.repairs import REPAIRS, Repair
from penstock.quality.rules.rule import SEVERITIES, Rule, Severity

__all__ = [
    "KINDS",
    "REPAIRS",
    "SEVERITIES",
    "Configuration",
    "Kind",
    "Repair",
    "Rule",
    "Severity",
    "read_configuration",
    "read_repairs",
]
