"""An engine elsewhere, for tests of what Penstock does with one: it does as it is told, and may be away."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from penstock.core.deployments import Deployment
from penstock.core.engines import Abilities, Begun, Order, OutsideLine, OutsideRun, Placed
from penstock.core.errors import EngineUnreachable, RunNotThere
from penstock.core.ports import OutsideEngine
from penstock.core.workflows import WorkflowSpec


class ScriptedEngine(OutsideEngine):
    """Tells one look after the other of each run; the last one again and again.

    Attributes:
        looks: what is told of a run, in turn.
        said: log lines, by step.
        kept: what results are kept as, by their references.
        away: so many calls are not answered from now on.
    """

    name = "scripted"
    abilities = Abilities(caching="it keeps no results of other runs", timeouts="it has no clock")

    def __init__(self) -> None:
        self.looks: list[OutsideRun] = []
        self.said: dict[str | None, list[OutsideLine]] = {}
        self.away = 0
        self.ordered: list[Order] = []
        self.placed: dict[str, Deployment | WorkflowSpec] = {}
        self.paused: dict[str, bool] = {}
        self.removed: list[str] = []
        self.cancelled: list[str] = []
        self.others: list[Begun] = []
        self.known = True
        self.looked = 0
        self.kept: dict[str, bytes] = {}

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise EngineUnreachable("The scripted engine is away.")

    def content(self, reference: str, ref: str) -> bytes:
        self._answer()
        return self.kept[ref] if ref in self.kept else super().content(reference, ref)

    def place(self, plan: Deployment | WorkflowSpec) -> Placed:
        self._answer()
        changed = self.placed.get(plan.name) != plan
        self.placed[plan.name] = plan
        return Placed(name=plan.name, place=plan.name, changed=changed)

    def remove(self, name: str) -> bool:
        self._answer()
        self.removed.append(name)
        return self.placed.pop(name, None) is not None

    def pause(self, name: str, paused: bool) -> None:
        self._answer()
        if not self.known:
            raise RunNotThere(f"{name} has not been read yet.")
        self.paused[name] = paused

    def start(self, order: Order) -> str:
        self._answer()
        if order not in self.ordered:
            self.ordered.append(order)
        return f"there/{order.run_id}"

    def find(self, order: Order) -> str | None:
        self._answer()
        known = any(each.run_id == order.run_id for each in self.ordered)
        return f"there/{order.run_id}" if known else None

    def begun(self, deployments: Collection[str], since: int) -> Sequence[Begun]:
        self._answer()
        return [each for each in self.others if each.deployment in deployments]

    def look(self, reference: str) -> OutsideRun:
        self._answer()
        found = self.looks[min(self.looked, len(self.looks) - 1)]
        self.looked += 1
        return found

    def lines(self, reference: str, step: str | None, after: int) -> Sequence[OutsideLine]:
        self._answer()
        return self.said.get(step, [])[after:]

    def cancel(self, reference: str) -> None:
        self._answer()
        self.cancelled.append(reference)
