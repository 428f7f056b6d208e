"""What goes wrong with runs, and with what they are made from."""

from __future__ import annotations

from penstock.core.errors.base import NotFound, PenstockError


class RunError(PenstockError):
    """A run is not in the state this needs."""

    code = "run"


class RunNotFound(NotFound, RunError):
    """There is no such run."""

    code = "run-not-found"
    hint = "`penstock runs list` shows the runs of this project"


class RunNotResumable(RunError):
    """This run cannot be resumed."""

    code = "run-not-resumable"


class InvalidTransition(RunError):
    """The state of the run does not allow this."""

    code = "invalid-transition"


class NotWaiting(InvalidTransition):
    """The run does not wait for an answer."""

    code = "not-waiting"


class PlanNotFound(NotFound, RunError):
    """There is no deployment, pool, limit, automation or backfill of this name."""

    code = "not-found"


class LimitNotFound(PlanNotFound):
    """There is no limit of this name."""

    code = "limit-not-found"


class WorkflowNotFound(PlanNotFound):
    """There is no workflow of this name."""

    code = "workflow-not-found"


class WorkflowConflict(RunError):
    """Another workflow has this name, or it was changed meanwhile."""

    code = "workflow-conflict"


class ArtifactNotFound(PlanNotFound):
    """There is no such artifact."""

    code = "artifact-not-found"
    hint = "`penstock artifacts list` shows them"


class AutomationConflict(RunError):
    """There is an automation of this name already."""

    code = "automation-conflict"


class WebhookConflict(RunError):
    """There is a webhook of this name already."""

    code = "webhook-conflict"


class WebhookNotFound(PlanNotFound):
    """There is no webhook of this name."""

    code = "webhook-not-found"
    hint = "`penstock webhook list` shows them"


class DeliveryNotFound(PlanNotFound):
    """There is no such delivery."""

    code = "delivery-not-found"
    hint = "`penstock webhook deliveries` shows them"


class NotRedelivered(RunError):
    """This delivery cannot be delivered again."""

    code = "not-redelivered"


class UploadNotFound(PlanNotFound):
    """There is no file with this id."""

    code = "file-not-found"
    hint = "the list of files shows those there are"


class ReplayDiverged(RunError):
    """The flow no longer follows what was recorded for this run."""

    code = "replay-diverged"
    hint = (
        "a flow must call the same tasks in the same order with the same arguments when it is replayed; "
        "put what varies (time, random numbers, outside data) into a task, or start anew with `penstock runs fork`"
    )


class RunTakenOver(RunError):
    """Another process has taken this run over."""

    code = "run-taken-over"
    hint = "nothing is lost: the other process goes on from the last recorded step"


class WrongProcess(RunError):
    """A forked child process called a task of its parent's run, which only the parent can record."""

    code = "wrong-process"
    hint = "use task_runner=ProcessPoolTaskRunner() to run tasks in processes"


class StepTransactionFailed(RunError):
    """What this step wrote in the journal's database was rolled back."""

    code = "step-transaction"


class FailedRun(RunError):
    """The run failed."""

    code = "failed-run"


class CrashedRun(RunError):
    """The run crashed."""

    code = "crashed-run"


class CancelledRun(RunError):
    """The run was cancelled."""

    code = "cancelled-run"


class MissingResult(RunError):
    """The state holds no result."""

    code = "missing-result"


class UnfinishedRun(RunError):
    """The run has not ended, so it has no result."""

    code = "unfinished-run"


class UpstreamFailed(UnfinishedRun):
    """A task was not run because one it depends on did not complete."""

    code = "upstream-failed"
