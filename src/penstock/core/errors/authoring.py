"""What is wrong with a flow or a task, and with what is said about it."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.core.errors.base import Mistaken, PenstockError


class AuthoringError(PenstockError):
    """A flow or task is declared or called in a way that cannot work."""

    code = "authoring"


class UnsupportedFunction(AuthoringError):
    """This callable cannot be a flow or a task."""

    code = "unsupported-function"


class ParameterError(Mistaken, AuthoringError):
    """Arguments do not fit the annotations."""

    code = "parameters"

    def __init__(self, target: str, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"the parameters of {target}", mistakes)


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


class BadSchedule(Mistaken, AuthoringError):
    """A schedule cannot be."""

    code = "schedule"

    def __init__(self, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__("the schedule", mistakes)


class BadAutomation(Mistaken, AuthoringError):
    """An automation cannot be."""

    code = "automation"

    def __init__(self, name: str, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"the automation {name!r}", mistakes)


class BadWebhook(Mistaken, AuthoringError):
    """A webhook cannot be."""

    code = "webhook"

    def __init__(self, name: str, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"the webhook {name!r}", mistakes)


class BadAlerts(Mistaken, AuthoringError):
    """Alerts are set up wrongly."""

    code = "alerts"

    def __init__(self, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__("the alerts", mistakes)


class BadWorkflow(Mistaken, AuthoringError):
    """A workflow cannot be."""

    code = "workflow"

    def __init__(self, name: str, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"the workflow {name!r}" if name else "the workflow", mistakes)


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


class AnswerRefused(Mistaken, AuthoringError):
    """An answer does not fit what was asked. The run goes on waiting."""

    code = "answer"

    def __init__(self, target: str, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"the answer to {target}", mistakes)


class HashError(AuthoringError, ValueError):
    """This value has no content that a cache key could be made of."""

    code = "hash"


class FlowNotFound(AuthoringError):
    """No flow is found there."""

    code = "flow-not-found"
