"""Every error Penstock raises, with Prefect's names for those that have one there."""

from penstock.core.errors import *  # noqa: F403
from penstock.core.errors import (
    MissingContextError,
    ParameterError,
    PenstockError,
    TaskTimedOut,
    UpstreamFailed,
)

PrefectException = PenstockError

ParameterTypeError = ParameterBindError = ParameterError
TaskRunTimeoutError = TaskTimedOut
UpstreamTaskError = UpstreamFailed
