"""What a journal keeps for ever, what leaves when it is old, and how old that is."""

from __future__ import annotations

from typing import NamedTuple

from penstock.core.errors import ConfigurationError

KEPT = frozenset(
    {
        *("DeploymentDeclared", "DeploymentPaused", "DeploymentResumed", "DeploymentDeleted"),
        *("WorkflowCreated", "WorkflowUpdated", "WorkflowDeleted"),
        *("PoolDeclared", "QueueDeclared", "QueueDeleted", "PoolDeleted", "LimitDeclared", "LimitDeleted"),
        *("AutomationDeclared", "AutomationDeleted", "BackfillCreated", "BackfillEnded", "RunsPurged"),
        *("SilenceStarted", "SilenceEnded"),
        *("ConnectionSaved", "ConnectionResealed", "ConnectionDeleted", "DatasetDeclared", "DatasetForgotten"),
        *("WebhookDeclared", "WebhookDeleted", "FileUploaded", "FileDeleted"),
        "Audited",
    }
)
"""What people decided, and that runs were removed: there for good."""

OF_RUNS = frozenset(
    {
        *("RunCreated", "RunClaimed", "RunRescheduled", "RunPaused", "RunAnswered", "RunContinued", "RunStarted"),
        *("RunResumed", "RunRetrying", "RunReleased", "RunCancelRequested", "RunPauseRequested"),
        *("RunCompleted", "RunFailed", "RunCrashed", "RunCancelled"),
        *("TaskStarted", "TaskRetrying", "TaskCompleted", "TaskFailed", "TaskCrashed", "TaskCancelled"),
        *("TransactionDecided", "ResultCached", "ArtifactSaved", "DeadlineMissed", "KeyTaken"),
    }
)
"""What happened to a run: it leaves with the run."""

PASSING = frozenset(
    {
        *("ScheduleMoved", "AutomationMatched", "AutomationFired", "ActionTried", "ActionEnded", "Happened"),
        *("DatasetRead", "DatasetWritten", "CheckPassed", "CheckFailed", "WebhookReceived"),
    }
)
"""What happened, and matters for a while: it leaves when it is as old as completed runs that leave."""

PURGEABLE = OF_RUNS | PASSING

DEFAULT_KEEP, DEFAULT_KEEP_FAILED = "90d", "180d"
OFF = "off"


class Keep(NamedTuple):
    """For how long ended runs are kept (microseconds); None for ever.

    Attributes:
        completed: those that completed or were cancelled.
        failed: those that failed or crashed.
    """

    completed: int | None
    failed: int | None

    def before(self, now: int) -> dict[str, int]:
        """Runs that ended in each of these states before this time leave."""
        kept = {"Completed": self.completed, "Cancelled": self.completed, "Failed": self.failed, "Crashed": self.failed}
        return {state: now - length for state, length in kept.items() if length is not None}


def keep_of(keep: str = DEFAULT_KEEP, keep_failed: str = DEFAULT_KEEP_FAILED) -> Keep:
    """What the settings say.

    Raises:
        ConfigurationError: one of them is no length of time.
    """
    return Keep(_length("keep", keep), _length("keep_failed", keep_failed))


def _length(name: str, text: str) -> int | None:
    from penstock.core.calendar.moments import as_seconds

    if text.strip().lower() == OFF:
        return None
    hint = f"write a length of time such as 90d, or {OFF} to keep everything"
    try:
        length = int(as_seconds(text) * 1_000_000)
    except ValueError:
        raise ConfigurationError(f"retention: {name} is {text!r}, which is no length of time.", hint=hint) from None
    if length <= 0:
        raise ConfigurationError(f"retention: {name} is {text!r}; nothing would be kept at all.", hint=hint)
    return length
