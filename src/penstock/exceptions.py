"""Every error Penstock raises, with Prefect's names for those that have one there."""

from penstock.core.errors import *  # noqa: F403
from penstock.core.errors import (
    NotWaiting,
    PenstockError,
    TaskTimedOut,
    UpstreamFailed,
    WaitTimedOut,
)
from penstock.core.interruptions import *  # noqa: F403

FlowPauseTimeout = WaitTimedOut
NotPausedError = NotWaiting
PrefectException = PenstockError
TaskRunTimeoutError = TaskTimedOut
UpstreamTaskError = UpstreamFailed
