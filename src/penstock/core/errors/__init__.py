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
    |  |  `- Unsupported              it needs what its engine cannot do
    |  |- NotThereYet              Prefect has it and Penstock does not, yet
    |  |- BadOption                an option of @flow or @task that cannot be (also TypeError and ValueError)
    |  |- BadSchedule              a schedule that cannot be (lists every mistake)
    |  |- HashError                a value that has no content to make a cache key of
    |  |- BadAutomation            an automation that cannot be (lists every mistake)
    |  |- BadAlerts                alerts that are set up wrongly (lists every mistake)
    |  |- BadEvent                 an event of one's own that cannot be
    |  |- BadWebhook               a webhook that cannot be (lists every mistake)
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
    |  |- AutomationConflict       another automation has the name
    |  |- WebhookConflict          another webhook has the name
    |  |- PlanNotFound             no such deployment, pool, limit, automation, backfill
    |  |  |- LimitNotFound            no such limit
    |  |  |- WorkflowNotFound         no such workflow, or no such version of it
    |  |  |- ArtifactNotFound         no such artifact
    |  |  |- WebhookNotFound          no such webhook
    |  |  |- DeliveryNotFound         no such delivery to one
    |  |  `- UploadNotFound           no such file
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
    |- AccessError                 what a server says of who asks, and of accounts
    |  |- NotSignedIn              nobody is signed in, or not any more
    |  |- NotAllowed               this takes another role
    |  |- SignInPaused             too many failures
    |  |- AccountNotFound          no such account
    |  |- KeyNotFound              no such key
    |  |- AccountConflict          another account has the name, or nobody would be admin
    |  |- BadAccount               an account, password or key that cannot be (lists every mistake)
    |  |- ProviderUnavailable      an OpenID provider does not answer as one
    |  `- SignInRefused            who comes from there is not let in
    |- EngineError                 an engine elsewhere did not do what was asked
    |  |- EngineUnreachable        nobody answers there
    |  |- EngineRefused            it answers, and will not
    |  `- RunNotThere              it knows no such run
    |- MissingContextError         needs a run around it, and there is none
    |- RecordedError               stands in for an exception that could not be stored
    |- LimitTimedOut               a slot or a turn did not come in time (also TimeoutError)
    |- WaitTimedOut                nobody answered in time (also TimeoutError)
    `- TaskTimedOut, FlowTimedOut  also TimeoutError

Besides, what lists every mistake is a Mistaken (also ValueError), and what is not there is a NotFound: those of runs,
plans, connections, datasets and engines. What unwinds a run from outside is no error: see `core.interruptions`.
"""

from penstock.core.errors.access import (
    AccessError,
    AccountConflict,
    AccountNotFound,
    BadAccount,
    KeyNotFound,
    NotAllowed,
    NotSignedIn,
    ProviderUnavailable,
    SignInPaused,
    SignInRefused,
)
from penstock.core.errors.authoring import (
    AnswerRefused,
    AuthoringError,
    BadAlerts,
    BadArtifact,
    BadAutomation,
    BadEvent,
    BadLimit,
    BadOption,
    BadSchedule,
    BadWait,
    BadWebhook,
    BadWorkflow,
    DeploymentError,
    FlowNotFound,
    HashError,
    MappingError,
    MappingLengthMismatch,
    MappingMissingIterable,
    NotThereYet,
    ParameterBindError,
    ParameterError,
    ParameterTypeError,
    ReservedArgumentError,
    UnsupportedFunction,
)
from penstock.core.errors.base import (
    ConfigurationError,
    FlowTimedOut,
    LimitTimedOut,
    MissingContextError,
    MissingExtra,
    Mistaken,
    NotFound,
    PenstockError,
    RecordedError,
    TaskTimedOut,
    WaitTimedOut,
    _rebuild,
)
from penstock.core.errors.data import (
    BadConnection,
    BadData,
    ConnectionNotFound,
    DataError,
    DatasetNotFound,
    PipeTakenOver,
    SchemaRefused,
    SinkUnavailable,
    SourceChanged,
    SourceUnavailable,
    Unbalanced,
)
from penstock.core.errors.engines import EngineError, EngineRefused, EngineUnreachable, RunNotThere, Unsupported
from penstock.core.errors.journals import (
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalOutdated,
    JournalReadOnly,
    JournalTooNew,
    JournalUnavailable,
    ResultError,
    ResultNotSaved,
    ResultUnavailable,
    SequenceConflict,
)
from penstock.core.errors.runs import (
    ArtifactNotFound,
    AutomationConflict,
    CancelledRun,
    CrashedRun,
    DeliveryNotFound,
    FailedRun,
    InvalidTransition,
    LimitNotFound,
    MissingResult,
    NotRedelivered,
    NotWaiting,
    PlanNotFound,
    ReplayDiverged,
    RunError,
    RunNotFound,
    RunNotResumable,
    RunTakenOver,
    StepTransactionFailed,
    UnfinishedRun,
    UploadNotFound,
    UpstreamFailed,
    WebhookConflict,
    WebhookNotFound,
    WorkflowConflict,
    WorkflowNotFound,
    WrongProcess,
)

__all__ = [
    "AccessError",
    "AccountConflict",
    "AccountNotFound",
    "AnswerRefused",
    "ArtifactNotFound",
    "AuthoringError",
    "AutomationConflict",
    "BadAccount",
    "BadAlerts",
    "BadArtifact",
    "BadAutomation",
    "BadConnection",
    "BadData",
    "BadEvent",
    "BadLimit",
    "BadOption",
    "BadSchedule",
    "BadWait",
    "BadWebhook",
    "BadWorkflow",
    "CancelledRun",
    "ConfigurationError",
    "ConnectionNotFound",
    "CrashedRun",
    "DataError",
    "DatasetNotFound",
    "DeliveryNotFound",
    "DeploymentError",
    "EngineError",
    "EngineRefused",
    "EngineUnreachable",
    "FailedRun",
    "FlowNotFound",
    "FlowTimedOut",
    "HashError",
    "InvalidTransition",
    "JournalCorrupt",
    "JournalError",
    "JournalFull",
    "JournalOutdated",
    "JournalReadOnly",
    "JournalTooNew",
    "JournalUnavailable",
    "KeyNotFound",
    "LimitNotFound",
    "LimitTimedOut",
    "MappingError",
    "MappingLengthMismatch",
    "MappingMissingIterable",
    "MissingContextError",
    "MissingExtra",
    "MissingResult",
    "Mistaken",
    "NotAllowed",
    "NotFound",
    "NotRedelivered",
    "NotSignedIn",
    "NotThereYet",
    "NotWaiting",
    "ParameterBindError",
    "ParameterError",
    "ParameterTypeError",
    "PenstockError",
    "PipeTakenOver",
    "PlanNotFound",
    "ProviderUnavailable",
    "RecordedError",
    "ReplayDiverged",
    "ReservedArgumentError",
    "ResultError",
    "ResultNotSaved",
    "ResultUnavailable",
    "RunError",
    "RunNotFound",
    "RunNotResumable",
    "RunNotThere",
    "RunTakenOver",
    "SchemaRefused",
    "SequenceConflict",
    "SignInPaused",
    "SignInRefused",
    "SinkUnavailable",
    "SourceChanged",
    "SourceUnavailable",
    "StepTransactionFailed",
    "TaskTimedOut",
    "Unbalanced",
    "UnfinishedRun",
    "Unsupported",
    "UnsupportedFunction",
    "UploadNotFound",
    "UpstreamFailed",
    "WaitTimedOut",
    "WebhookConflict",
    "WebhookNotFound",
    "WorkflowConflict",
    "WorkflowNotFound",
    "WrongProcess",
]

for _each in (_rebuild, *(globals()[_name] for _name in __all__)):
    _each.__module__ = __name__  # what is stored, pickled and shown of an error names this door
