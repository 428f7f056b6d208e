"""What goes wrong with engines elsewhere."""

from __future__ import annotations

from penstock.core.errors.authoring import DeploymentError
from penstock.core.errors.base import NotFound, PenstockError


class EngineError(PenstockError):
    """An engine elsewhere did not do what was asked."""

    code = "engine"


class EngineUnreachable(EngineError):
    """The engine cannot be reached."""

    code = "engine-unreachable"
    hint = "see that it runs and that its address is right; `penstock doctor` asks it"


class EngineRefused(EngineError):
    """The engine answers, and does not do what it was asked."""

    code = "engine-refused"


class RunNotThere(NotFound, EngineError):
    """The engine knows no such run."""

    code = "run-not-there"


class Unsupported(DeploymentError):
    """The flow needs what the engine cannot do."""

    code = "unsupported"
