"""What is told of checks: an event in the journal, and lines in the log of the run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.context import current_scope
from penstock.core.ports import Journal
from penstock.core.words import counted
from penstock.engine.datasets import checked, journal_of_run
from penstock.engine.logs import get_run_logger
from penstock.quality.report import ValidationReport
from penstock.quality.rules import SEVERITIES

if TYPE_CHECKING:
    from penstock.quality.steps.checking import Plan

_outside = logging.getLogger("penstock.quality")
_MOST_RULES = 500
_MOST_LINES = 20
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}


class Became(NamedTuple):
    """How many rows went on, and how many into quarantine."""

    good: int
    quarantined: int


def tell(report: ValidationReport, plan: Plan, became: Became, id: str, journal: Journal | None = None) -> None:
    """Put what was found into the journal and the log; outside of runs only where a journal is given."""
    journal = journal_of_run() if journal is None else journal
    severity = worst(report)
    if journal is not None:
        _log(report, became)
        checked(journal, plan.dataset, severity, facts_of(report, plan, became), id)


def worst(report: ValidationReport) -> str | None:
    """The worst severity of the rules that were not kept; None where all were."""
    found = {each.rule.severity for each in report.broken}
    return next((severity for severity in SEVERITIES if severity in found), None)


def facts_of(report: ValidationReport, plan: Plan, became: Became) -> dict[str, Any]:
    """The fields of the event: of very many rules those that were not kept, first."""
    ordered = sorted(report.results, key=lambda result: result.good)[:_MOST_RULES]
    repaired: dict[str, int] = {}
    for each in report.repairs:
        repaired[each.repair] = repaired.get(each.repair, 0) + each.changed + each.removed
    return {
        "place": plan.place,
        "rows": report.rows,
        "good": became.good,
        "quarantined": became.quarantined,
        "done": plan.on_failure,
        "rules": len(report.results),
        "verdicts": {each.rule.title: str(each.verdict) for each in reversed(ordered)},
        "failures": {each.rule.title: each.failed for each in ordered if each.failed},
        "repaired": repaired,
        "message": message_of(report, became),
    }


def message_of(report: ValidationReport, became: Became) -> str:
    """All of it in a sentence."""
    told = report.summary()
    if report.broken:
        told += f"; first: {report.broken[0].told()}"
    if not became.quarantined:
        return told
    return f"{told}; {counted(became.quarantined, 'row')} in quarantine"


def _log(report: ValidationReport, became: Became) -> None:
    logger: Any = get_run_logger() if current_scope.get() is not None else _outside
    for repair in report.repairs:
        if repair.reason:
            logger.warning("%s", repair.told())
    for result in report.broken[:_MOST_LINES]:
        logger.log(_LEVELS[result.rule.severity], "%s", result.told())
    if more := len(report.broken[_MOST_LINES:]):
        logger.warning("%d more rules were not kept", more)
    logger.info("%s", message_of(report, became) if became.quarantined else report.summary())
