"""Alerts about checks that failed: `[tool.penstock.alerts]` of a pyproject.toml, as automations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from penstock.core.automations import Automation, Notify, Trigger, checked
from penstock.core.errors import BadAutomation

_SEVERITIES: tuple[Literal["error", "warning", "info"], ...] = ("error", "warning", "info")


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[tool.penstock.alerts]` says.

    Attributes:
        checks: the least severity of a rule that was not kept for which people are told: error, warning or info.
        to: the places where they are told; see `Notify.to`.
        cool_down_seconds: having told of a dataset, do not tell of it again for so long.
    """

    checks: Literal["error", "warning", "info"] = "error"
    to: str | tuple[str, ...] = ("console", "file")
    cool_down_seconds: float | None = None


def breaches(table: Mapping[str, Any], folder: str) -> dict[str, Automation]:
    """The automations that tell of checks which failed; none where the table says nothing.

    Args:
        table: what the pyproject.toml has.
        folder: its folder.

    Raises:
        BadAutomation: something in it cannot be.
    """
    if not table:
        return {}
    try:
        settings = msgspec.convert(table, AlertSettings)
    except msgspec.ValidationError as error:
        raise BadAutomation("alerts", [("tool.penstock.alerts", str(error))]) from None
    wanted = _SEVERITIES[: _SEVERITIES.index(settings.checks) + 1]
    return {f"check-{severity}": _automation(severity, settings, folder) for severity in wanted}


def _automation(severity: Literal["error", "warning", "info"], settings: AlertSettings, folder: str) -> Automation:
    rest = settings.cool_down_seconds
    trigger = Trigger(event="CheckFailed", where={"severity": severity}, cool_down_seconds=rest)
    if rest is not None:
        trigger = msgspec.structs.replace(trigger, per="dataset")
    told = Notify("{message}", title="{dataset}: a check failed", level=severity, to=settings.to)
    made = Automation(
        name=f"check-{severity}",
        trigger=trigger,
        actions=(told,),
        description=f"Tell of rules of severity {severity} that are not kept.",
        folder=folder,
    )
    return checked(made)
