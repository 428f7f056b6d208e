"""What Penstock asks of an engine elsewhere: Prefect, Airflow, or another that a package brings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from penstock.core.errors import ResultUnavailable

if TYPE_CHECKING:
    from penstock.core.deployments import Deployment
    from penstock.core.engines import Abilities, Begun, Order, OutsideLine, OutsideRun, Placed
    from penstock.core.workflows import WorkflowSpec


class OutsideEngine(ABC):
    """An engine that is not Penstock's own. Entry points of the group `penstock.engines` make one of the settings.

    Every method may raise `EngineUnreachable` (nobody answers there: it may be tried again) and `EngineRefused` (it
    answers, and will not: it says why).

    Attributes:
        name: how deployments call it.
        abilities: what it can do.
        whole_log: lines of a run hold those of its steps, each with its step; otherwise each step is asked for.
    """

    name: str
    abilities: Abilities
    whole_log: bool = False

    @abstractmethod
    def place(self, plan: Deployment | WorkflowSpec) -> Placed:
        """Put a deployment or a workflow there, or change the one of this name. Nothing changes where it is the same.

        Raises:
            Unsupported: it needs what the engine lacks. Nothing was changed.
        """

    @abstractmethod
    def remove(self, name: str) -> bool:
        """Take a deployment away; False where there is none. Runs that have begun go on."""

    @abstractmethod
    def pause(self, name: str, paused: bool) -> None:
        """Have its schedules make runs no more, or again."""

    @abstractmethod
    def start(self, order: Order) -> str:
        """Have a run made, and give its reference there. An order that was carried out already makes no second run."""

    @abstractmethod
    def find(self, order: Order) -> str | None:
        """The reference of a run that was ordered; None where there is none."""

    def begun(self, deployments: Collection[str], since: int) -> Sequence[Begun]:
        """Runs of these deployments that were begun there, without an order, or have changed since (microseconds)."""
        return ()

    @abstractmethod
    def look(self, reference: str) -> OutsideRun:
        """How a run is by now.

        Raises:
            RunNotThere: the engine knows no such run.
        """

    @abstractmethod
    def lines(self, reference: str, step: str | None, after: int) -> Sequence[OutsideLine]:
        """What a run, or a step of it, has logged, but for the first lines, which were read already."""

    def content(self, reference: str, ref: str) -> bytes:
        """What a result of a run is kept as, in a store that is not Penstock's own.

        Args:
            reference: of the run.
            ref: of the result.

        Raises:
            ResultUnavailable: it is not there.
        """
        hint = "see that its workers share PENSTOCK_HOME/results"
        raise ResultUnavailable(f"{self.name} keeps no results.", hint=hint)

    @abstractmethod
    def cancel(self, reference: str) -> None:
        """End a run with all its processes. One that has ended stays as it is."""

    def status(self) -> str:
        """Whom it reaches, in a few words, such as its version and address.

        Raises:
            EngineUnreachable, EngineRefused: it cannot be used, and why.
        """
        return self.name

    def close(self) -> None:  # noqa: B027  # most have nothing to give back
        """Give connections back."""
