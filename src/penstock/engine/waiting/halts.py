"""A run that was asked to pause: it stops where its flow would call the next step, and goes on when it is told to.

That is no step: at another time, in another process, the flow calls its steps in the same order all the same. The
request stays until it is withdrawn, whatever kills the process meanwhile: whoever goes on with the run stops again.
What the flow had submitted before goes on to its end, and so does what the steps under way call themselves.
"""

from __future__ import annotations

from penstock.core.context import Scope
from penstock.core.decisions import Continue, Pause, decide_run
from penstock.core.events import ON_REQUEST, Record, RunPauseRequested, Waiting, now_us
from penstock.core.states import StateType
from penstock.engine.limits.calls import in_async_code
from penstock.engine.live import LiveRun
from penstock.engine.logs import engine_logger
from penstock.engine.outcome import Path, drive
from penstock.engine.together import Moved, Part, append_together, holding
from penstock.engine.waiting.calls import stand
from penstock.engine.waiting.lookout import Held
from penstock.engine.waiting.standing import Standing, is_of_flow


def halt(live: LiveRun, scope: Scope) -> Path[None]:
    """Wait until the run may go on, where this call is one of the flow itself.

    Raises:
        Suspended: the process is let go.
        Interruption: the run is to stop.
    """
    root = live.root
    if not is_of_flow(live, scope):
        return
    place = _Halt(live, scope)
    held = Held(root, root.scope, ON_REQUEST, None, True, place.is_idle)
    yield from stand(place, held, scope)


def hold_back(live: LiveRun, scope: Scope) -> None:
    """The same for a step that is submitted; on an event loop it is not submitted later, but begins later."""
    if not in_async_code():
        drive(halt(live, scope))


class _Halt(Standing):
    """One call that is not made as yet."""

    key = ON_REQUEST

    def turn(self, let_go: bool) -> bool | None:
        """See `Standing.turn`."""
        root = self.recorders[0]
        with holding(self.recorders):
            while True:
                self._refresh([root], now_us() if let_go else 0)
                try:
                    if root.state.pausing is None:
                        self._go_on()
                        return True
                    if not any(each.state.cancel_requested for each in self.recorders):
                        self._pause(root.state.pausing, let_go)
                    return None
                except Moved:
                    continue

    def _go_on(self) -> None:
        root = self.recorders[0]
        if root.state.type is StateType.PAUSED and not root.state.waits:  # else it waits for something else, too
            append_together([(root, [Record(decide_run(root.state, Continue(now_us(), ON_REQUEST)))])])

    def _pause(self, asked: RunPauseRequested, let_go: bool) -> None:
        root = self.recorders[0]
        if root.state.halted and not let_go:
            return
        now = now_us()
        waiting = Waiting(key=ON_REQUEST, kind="pause", prompt=told(asked), answer={"type": "null"})
        parts: list[Part] = [(root, [Record(decide_run(root.state, Pause(now, waiting, not let_go)))])]
        if let_go:
            below = Waiting(key=ON_REQUEST, kind="pause", prompt=told(asked), run=root.run_id)
            inner = self.recorders[1:]
            parts += [(each, [Record(decide_run(each.state, Pause(now, below)))]) for each in inner]
        append_together(parts)
        self.let_go = let_go

    def tell(self) -> None:
        """See `Standing.tell`."""
        self.told = True
        asked = self.recorders[0].state.pausing
        if asked is not None:
            engine_logger().info("%s It goes on with: penstock runs resume %s", told(asked), self.line[0].id[-8:])


def told(asked: RunPauseRequested) -> str:
    """Who asked for it, and why."""
    who = f"Paused by {asked.by}" if asked.by else "Paused on request"
    return f"{who}: {asked.reason}" if asked.reason else f"{who}."
