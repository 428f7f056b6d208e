"""Every error Penstock raises on purpose.

    PenstockError
    |- ConfigurationError          settings, home folder, connection URL
    |  `- MissingExtra             an optional dependency is not installed
    |- AuthoringError              a flow or task is declared or called wrongly
    |  |- UnsupportedFunction      generators, classes, callables that cannot be a task
    |  |  `- ReservedArgumentError    a parameter has the name of an option of every call
    |  |- ParameterError           arguments that do not fit (lists every mistake)
    |  |  |- ParameterBindError       missing, unexpected, or given twice
    |  |  `- ParameterTypeError       not what the annotations say
    |  |- DeploymentError          a deployment that cannot be
    |  |- NotThereYet              Prefect has it and Penstock does not, yet
    |  |- BadOption                an option of @flow or @task that cannot be (also TypeError and ValueError)
    |  |- BadSchedule              a schedule that cannot be (lists every mistake)
    |  |- HashError                a value that has no content to make a cache key of
    |  |- BadAutomation            an automation that cannot be (lists every mistake)
    |  |- BadEvent                 an event of one's own that cannot be
    |  |- BadWebhook               a webhook that cannot be (lists every mistake; in `control`, as the next ones)
    |  |- BadWorkflow              a workflow that cannot be (lists every mistake)
    |  |- BadLimit                 slots or turns that can never be had, or a limit that cannot be
    |  |- BadArtifact              an artifact that cannot be
    |  |- BadWait                  a wait that cannot be
    |  |- AnswerRefused            an answer that does not fit what was asked (lists every mistake)
    |  |- MappingError             .map() cannot tell which calls to make
    |  |  |- MappingMissingIterable   nothing to map over
    |  |  `- MappingLengthMismatch    lengths that differ
    |  `- FlowNotFound             FILE:FLOW or MODULE:FLOW does not lead to a flow
    |- JournalError                the journal could not do what was asked
    |  |- JournalUnavailable       cannot be reached, or not within the time allowed
    |  |- JournalFull              the disk is full
    |  |- JournalReadOnly          the home folder cannot be written
    |  |- JournalCorrupt           the file is not a journal, or is damaged
    |  |- JournalOutdated          needs `penstock db upgrade`
    |  |- JournalTooNew            written by a newer Penstock
    |  `- SequenceConflict         somebody else appended first
    |- ResultError
    |  |- ResultNotSaved           a value that no serializer can write
    |  `- ResultUnavailable        a recorded value that cannot be read back
    |- RunError
    |  |- RunNotFound              no such run (or more than one with that prefix)
    |  |- RunNotResumable          it completed, or its process is alive
    |  |- InvalidTransition        a command that the state does not allow
    |  |  `- NotWaiting               an answer to a run that asks nothing (any more)
    |  |- WorkflowConflict         another workflow has the name, or it was changed meanwhile
    |  |- PlanNotFound             no such deployment, pool, limit, automation, backfill
    |  |  |- LimitNotFound            no such limit
    |  |  |- WorkflowNotFound         no such workflow, or no such version of it
    |  |  |- ArtifactNotFound         no such artifact
    |  |  |- WebhookNotFound          no such webhook
    |  |  `- DeliveryNotFound         no such delivery to one
    |  |- NotRedelivered           a delivery that nobody vouched for cannot be delivered again
    |  |- ReplayDiverged           the code no longer follows what was recorded
    |  |- RunTakenOver             another process executes this run now
    |  |- WrongProcess             a forked child tried to record in its parent's run
    |  |- StepTransactionFailed    what a step wrote in the journal's own database was not committed
    |  |- FailedRun                .result() of something that failed without an exception
    |  |- CrashedRun               .result() of something that crashed
    |  |- CancelledRun             .result() of something that was cancelled
    |  |- MissingResult            .result() of a completed state that holds no value
    |  `- UnfinishedRun            .result() of something that has not ended
    |     `- UpstreamFailed        a task was not run because one it needs did not complete
    |- DataError                   data could not be brought in, kept or found
    |  |- SourceUnavailable        a source cannot be reached, or does not answer as it should
    |  |- SourceChanged            what a position stands for is not there any more
    |  |- BadData                  no record can be told from the next
    |  |- SinkUnavailable          a sink cannot be reached, or is full
    |  |- SchemaRefused            a table and the rows for it do not go together
    |  |- PipeTakenOver            another process goes on with this pipe
    |  |- Unbalanced               records were lost or came from nowhere: a defect of a source or a sink
    |  |- ConnectionNotFound       no connection of that name
    |  |- BadConnection            a connection that cannot be
    |  |  `- BadFields                lists every mistake (in `core.connections`, as the next two)
    |  |- DataValidationError      data breaks its rules; the report is inside (in `quality`)
    |  |- QueryRefused             a database does not execute a query (in `stores.warehouse`)
    |  |- ConnectionFailed         a system cannot be reached, or does not let us in
    |  |- ConnectionLocked         a saved connection was sealed with another key
    |  `- DatasetNotFound          no dataset of that name
    |- MissingContextError         needs a run around it, and there is none
    |- RecordedError               stands in for an exception that could not be stored
    |- LimitTimedOut               a slot or a turn did not come in time (also TimeoutError)
    |- WaitTimedOut                nobody answered in time (also TimeoutError)
    `- TaskTimedOut, FlowTimedOut  also TimeoutError

What unwinds a run from outside is no error: see `core.interruptions`.
"""

from __future__ import annotations

from typing import Any


class PenstockError(Exception):
    """Something went wrong in Penstock."""

    code = "penstock"
    hint: str | None = None

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n")[0]
        if hint is not None:
            self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.message, self.hint, self.__dict__.copy()))


def _rebuild(cls: type[PenstockError], message: str, hint: str | None, state: dict[str, Any]) -> PenstockError:
    error = cls.__new__(cls)
    PenstockError.__init__(error, message, hint=hint)
    error.__dict__.update(state)
    return error


class ConfigurationError(PenstockError):
    """A setting is wrong."""

    code = "configuration"


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed."""

    code = "missing-extra"

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"{module} is not installed, and this needs it.",
            hint=f'install it with: pip install "penstock[{extra}]"',
        )
        self.module = module
        self.extra = extra


class AuthoringError(PenstockError):
    """A flow or task is declared or called in a way that cannot work."""

    code = "authoring"


class UnsupportedFunction(AuthoringError):
    """This callable cannot be a flow or a task."""

    code = "unsupported-function"


class ParameterError(AuthoringError, ValueError):
    """Arguments do not fit the annotations."""

    code = "parameters"

    def __init__(self, target: str, mistakes: list[tuple[str, str]]) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {where}: {what}" for where, what in mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the parameters of {target}:\n{lines}")


class ParameterBindError(ParameterError, TypeError):
    """Arguments are missing, unexpected, or given twice."""


class ParameterTypeError(ParameterError, TypeError):
    """Arguments are not what the annotations say."""


class ReservedArgumentError(UnsupportedFunction, TypeError):
    """A parameter has the name of an option of every call."""


class MappingError(AuthoringError):
    """These arguments cannot be mapped over."""

    code = "mapping"


class MappingMissingIterable(MappingError):
    """There is nothing to map over."""


class MappingLengthMismatch(MappingError):
    """The iterables to map over have different lengths."""


class DeploymentError(AuthoringError):
    """This deployment cannot be."""

    code = "bad-deployment"


class NotThereYet(AuthoringError, AttributeError):
    """Penstock does not have this yet."""

    code = "not-there-yet"


class BadOption(AuthoringError, TypeError, ValueError):
    """An option of a flow or a task cannot be."""

    code = "option"


class BadSchedule(AuthoringError, ValueError):
    """A schedule cannot be."""

    code = "schedule"

    def __init__(self, mistakes: list[tuple[str, str]]) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {where}: {what}".replace("\n", "\n    ") for where, what in mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the schedule:\n{lines}")


class BadAutomation(AuthoringError, ValueError):
    """An automation cannot be."""

    code = "automation"

    def __init__(self, name: str, mistakes: list[tuple[str, str]]) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {where}: {what}" for where, what in mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the automation {name!r}:\n{lines}")


class BadWorkflow(AuthoringError, ValueError):
    """A workflow cannot be."""

    code = "workflow"

    def __init__(self, name: str, mistakes: list[tuple[str, str]]) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {where}: {what}".replace("\n", "\n    ") for where, what in mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the workflow{f' {name!r}' if name else ''}:\n{lines}")


class BadEvent(AuthoringError, ValueError):
    """An event of one's own cannot be."""

    code = "event"


class BadLimit(AuthoringError, ValueError):
    """A limit cannot be, or what is asked of it can never be had."""

    code = "limit"


class BadArtifact(AuthoringError, ValueError):
    """An artifact cannot be."""

    code = "artifact"


class BadWait(AuthoringError, ValueError):
    """A wait cannot be."""

    code = "wait"


class AnswerRefused(AuthoringError, ValueError):
    """An answer does not fit what was asked. The run goes on waiting."""

    code = "answer"

    def __init__(self, target: str, mistakes: list[tuple[str, str]]) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {where}: {what}" for where, what in mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the answer to {target}:\n{lines}")


class HashError(AuthoringError, ValueError):
    """This value has no content that a cache key could be made of."""

    code = "hash"


class FlowNotFound(AuthoringError):
    """No flow is found there."""

    code = "flow-not-found"


class JournalError(PenstockError):
    """The journal could not do what was asked."""

    code = "journal"


class JournalUnavailable(JournalError):
    """The journal cannot be reached."""

    code = "journal-unavailable"
    hint = "check that the database is up; what was recorded is safe: `penstock runs resume ID` continues from there"


class JournalFull(JournalError):
    """The disk that holds the journal is full; nothing recorded so far is lost."""

    code = "journal-full"
    hint = "free some space, then `penstock runs resume ID` continues from the last recorded step"


class JournalReadOnly(JournalError):
    """The journal cannot be written."""

    code = "journal-read-only"
    hint = "make the folder writable, or point PENSTOCK_HOME at one that is"


class JournalCorrupt(JournalError):
    """The file is not a Penstock journal, or it is damaged. It was not touched."""

    code = "journal-corrupt"
    hint = "move the file away to start with a new journal, or restore a backup"


class JournalOutdated(JournalError):
    """The journal was written by an older Penstock."""

    code = "journal-outdated"
    hint = "run `penstock db upgrade` (it keeps every run)"


class JournalTooNew(JournalError):
    """The journal was written by a newer Penstock. It was not touched."""

    code = "journal-too-new"
    hint = "upgrade Penstock, or point PENSTOCK_HOME at another folder"


class SequenceConflict(JournalError):
    """Somebody else appended to this stream first.

    Attributes:
        stream: which one; None where a subscriber's cursor was moved.
    """

    code = "sequence-conflict"

    def __init__(self, message: str | None = None, *, stream: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.stream = stream


class ResultError(PenstockError):
    """A result cannot be stored or read."""

    code = "result"


class ResultNotSaved(ResultError):
    """No serializer can write this value."""

    code = "result-not-saved"


class ResultUnavailable(ResultError):
    """A recorded value cannot be read back."""

    code = "result-unavailable"


class RunError(PenstockError):
    """A run is not in the state this needs."""

    code = "run"


class RunNotFound(RunError):
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


class PlanNotFound(RunError):
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


class DataError(PenstockError):
    """Data could not be brought in, kept or found."""

    code = "data"


class SourceUnavailable(DataError):
    """The source cannot be reached."""

    code = "source-unavailable"
    hint = "what has landed stays; the next time goes on from there"


class SourceChanged(DataError):
    """What was to be read is not there any more."""

    code = "source-changed"


class BadData(DataError, ValueError):
    """The data cannot be read."""

    code = "bad-data"


class SinkUnavailable(DataError):
    """The sink cannot be reached."""

    code = "sink-unavailable"
    hint = "what has landed stays; the next time goes on from there"


class SchemaRefused(DataError, ValueError):
    """The table and the rows for it do not go together."""

    code = "schema-refused"


class PipeTakenOver(DataError):
    """Another process goes on with this pipe; this one has stopped, and wrote nothing twice."""

    code = "pipe-taken-over"


class Unbalanced(DataError):
    """The records that were read are not those that landed or were rejected."""

    code = "unbalanced"
    hint = "this is a defect of the source or the sink: please report it"


class ConnectionNotFound(DataError):
    """There is no such connection."""

    code = "connection-not-found"
    hint = "penstock connection list shows those there are"


class BadConnection(DataError, ValueError):
    """A connection that cannot be."""

    code = "bad-connection"


class DatasetNotFound(DataError):
    """There is no such dataset."""

    code = "dataset-not-found"
    hint = "penstock dataset list shows those there are"


class MissingContextError(PenstockError, RuntimeError):
    """This works only inside a flow or a task."""

    code = "missing-context"


class RecordedError(PenstockError):
    """An exception was recorded that could not itself be stored."""

    code = "recorded-error"

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__(f"{type_name}: {text}" if text else type_name)
        self.type_name = type_name


class UpstreamFailed(UnfinishedRun):
    """A task was not run because one it depends on did not complete."""

    code = "upstream-failed"


class LimitTimedOut(PenstockError, TimeoutError):
    """A slot or a turn did not come in time."""

    code = "limit-timed-out"


class WaitTimedOut(PenstockError, TimeoutError):
    """Nobody answered in time."""

    code = "wait-timed-out"


class TaskTimedOut(PenstockError, TimeoutError):
    """The task ran longer than its timeout_seconds."""

    code = "task-timed-out"


class FlowTimedOut(PenstockError, TimeoutError):
    """The flow ran longer than its timeout_seconds."""

    code = "flow-timed-out"
