"""Retention: old runs leave the journal, with their logs, results and artifacts.

In small steps: each is one short transaction, and between two of them there is time for others. A removal that is cut
short is gone on with next time. Never does a run leave that has not ended, whose subflow runs have not, or whose events
somebody still needs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

import msgspec

from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record, now_us, stored_name
from penstock.core.model import CacheFilter, Member, Run, RunFilter
from penstock.core.plans import ActionEnded, ActionTried, AutomationFired, Happened, stream_of
from penstock.core.ports import Journal, ResultStore
from penstock.core.retention import PASSING, Keep
from penstock.orchestrator.evaluator import CURSOR as AUTOMATIONS
from penstock.orchestrator.keys import key_stream
from penstock.orchestrator.promises import PROMISES
from penstock.orchestrator.purging import MOST_ROWS, Batch, Purged

_log = logging.getLogger("penstock.retention")
STREAM = stream_of("retention", "runs")
CURSOR = "retention"
_PAGE = 200
_EVENTS = 1000
_AT_ONCE = 4
_EVERY_US = 3_600_000_000
_PARTS = 11
_SHORTEST_REST = 0.005
_NEVER = 1 << 62


class _Old(NamedTuple):
    """An event that is old; of an action, what became of it."""

    position: int
    outcome: ActionTried | ActionEnded | None


class Purge:
    """One look through the journal, in small steps.

    Args:
        journal: what leaves it.
        results: where its large results are.
        before: runs that ended in these states before these times leave.
        now: the time.
        passing: events of other streams leave that are older than this time; None for none.
        asked: somebody asked for it.
        dry: nothing is removed, only counted.
        parts: which of 256 parts of the result store to look through for what nothing uses.
        rest: called with how long to rest after a transaction (seconds).
    """

    def __init__(
        self,
        journal: Journal,
        results: ResultStore,
        before: Mapping[str, int],
        now: int,
        *,
        passing: int | None = None,
        asked: bool = False,
        dry: bool = False,
        parts: range = range(256),
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self.journal = journal
        self.results = results
        self.done = Purged()
        self._before = before
        self._now = now
        self._passing = passing
        self._asked = asked
        self._dry = dry
        self._parts = parts
        self._rest = rest
        self._seq = journal.last_seq(STREAM)
        self._needed = self._needs()
        self._end = min(self._needed.values(), default=_NEVER)
        backfills = [each.id for each in journal.backfills(limit=10_000) if not each.ended]
        self._open_backfills = {f"backfill:{name}": name for name in backfills}
        self._newest: dict[tuple[str, str], str] = {}

    def _needs(self) -> dict[str, int]:
        """Who still needs events, and from which position on. Without automations, their cursor stands still."""
        found = {name: at for name, at in self.journal.needed_from().items() if name != CURSOR}
        if AUTOMATIONS in found and not self.journal.automations():
            del found[AUTOMATIONS]
        return found

    def steps(self) -> Iterator[None]:
        """Do it; after each step there may be a pause of any length."""
        for state, before in self._before.items():
            yield from self._runs(state, before)
        if self._dry:
            return
        if self._passing is not None:
            yield from self._events(self._passing)
        yield from self._cached()
        self.done.shared = self.results.shared()
        for number in self._parts:
            self.done.results += self.results.sweep(self.journal.unused, range(number, number + 1))
            yield

    def _runs(self, state: str, before: int) -> Iterator[None]:
        after = ""
        while page := self.journal.ended_before(state, before, after, _PAGE):
            after = page[-1].id
            families = self.journal.families([run.id for run in page])
            yield
            batch = Batch(before)
            for run in page:
                members = families.get(run.id)
                if not members:  # somebody else has removed it
                    continue
                why = self._why_kept(run, members)
                if why is not None:
                    self.done.kept[why] += 1
                    continue
                for member in members:
                    yield from self._thinned(member)
                    if batch.full(member):
                        self._remove(batch)
                        yield
                        batch = Batch(before)
                    batch.add(member, run)
            if batch.ids:
                self._remove(batch)
                yield

    def _why_kept(self, run: Run, members: Sequence[Member]) -> str | None:
        if any(not member.ended for member in members):
            return "a run of a subflow has not ended"
        for tag in run.tags:
            if tag in self._open_backfills:
                return f"the backfill {self._open_backfills[tag]} has not ended"
        last = max(member.position for member in members)
        for name, first in self._needed.items():
            if last >= first:
                return f"{name} has not read its events yet"
        if self._is_newest("flow", run.flow, run, RunFilter(flow=run.flow, limit=1)):
            return "it is the newest run of its flow"
        if run.deployment is not None and run.state == "Completed":
            newest = RunFilter(deployment=run.deployment, states=("Completed",), limit=1)
            if self._is_newest("deployment", run.deployment, run, newest):
                return "it is the newest completed run of its deployment"
        return None

    def _is_newest(self, kind: str, name: str, run: Run, where: RunFilter) -> bool:
        found = self._newest.get((kind, name))
        if found is None:
            wanted = kind == "flow" or self.journal.deployments(name)
            page = self.journal.runs(where) if wanted else []
            found = self._newest[kind, name] = page[0].id if page else ""
        return found == run.id

    def _thinned(self, member: Member) -> Iterator[None]:
        """Of a run with very much in it, everything but its beginning goes first, part by part."""
        if self._dry or member.rows <= MOST_ROWS:
            return
        while True:
            begun = time.perf_counter()
            count = self.journal.thin(member.id, MOST_ROWS)
            self._pause(begun)
            if not count:
                return
            yield

    def _remove(self, batch: Batch) -> None:
        """Remove a batch of runs; nobody counts a run that somebody else has removed meanwhile."""
        while batch.ids:
            refs = self.journal.refs_of(batch.ids) if not self._dry else set()
            told = batch.told(self._now, len(refs), self._asked)
            if not self._dry:
                append = Append(STREAM, self._seq, [Record(told)])
                begun = time.perf_counter()
                try:
                    self.journal.purge(batch.ids, append, self._streams(batch.roots), self._end)
                except SequenceConflict:
                    self._seq = self.journal.last_seq(STREAM)
                    batch.only([run_id for run_id in batch.ids if self.journal.run(run_id) is not None])
                    continue
                self._seq += 1
                self.done.results += self.results.remove(self.journal.unused(sorted(refs)))
                self._pause(begun)
            self.done.below += told.below
            for run in batch.roots:
                self.done.count(run)
            return

    def _streams(self, runs: Sequence[Run]) -> list[str]:
        """What else is about these runs only: promises that were broken, and idempotency keys."""
        found: list[str] = []
        for run in runs:
            if run.deployment is not None:
                found += [stream_of("promise", f"{run.id}/{promise}") for promise in PROMISES]
            elif run.origin_id is None:  # it was called, and no key stands for it
                continue
            first = next(iter(self.journal.load(run.id)), None) if run.cause not in ("schedule", "backfill") else None
            key = getattr(first.event, "key", None) if first is not None else None
            if key is not None:
                found.append(key_stream(run.deployment, key))
        return found

    def _events(self, before: int) -> Iterator[None]:
        """Events of other streams, from where the last look has come to.

        How old an event is, the next one tells that Penstock itself has dated: a user's own may bear any time.
        """
        at = settled = self.journal.cursor(CURSOR)
        waiting: list[_Old] = []
        while page := self.journal.read(at, _EVENTS):
            doomed: list[_Old] = []
            reached, over = settled, False
            for position, _, _, event, _ in page:
                dated = not isinstance(event, Happened)
                over = position >= self._end or (dated and event.at >= before)
                if over:
                    break
                if stored_name(event)[0] in PASSING:
                    waiting.append(_Old(position, event if isinstance(event, (ActionTried, ActionEnded)) else None))
                if dated:
                    doomed, waiting, reached = doomed + waiting, [], position
            if reached > settled:
                begun = time.perf_counter()
                self.done.events += self._forget(doomed, reached)
                if not self.journal.move_cursor(CURSOR, settled, reached):  # somebody else looks through them
                    return
                settled = reached
                self._pause(begun)
            if over:
                return
            at = page[-1].position
            yield

    def _forget(self, doomed: Sequence[_Old], reached: int) -> int:
        """Forget events; what became of a firing stays as long as the firing does, which may be the last of its stream.

        Without it, what was done would seem to wait.
        """
        count = self.journal.forget([each.position for each in doomed if each.outcome is None])
        outcomes = [(each.position, each.outcome) for each in doomed if each.outcome is not None]
        kept: set[str] = set()
        for name in {outcome.name for _, outcome in outcomes}:
            kept |= self._firings(name, reached)
        return count + self.journal.forget([position for position, outcome in outcomes if outcome.id not in kept])

    def _firings(self, automation: str, reached: int) -> set[str]:
        """The firings that have stayed of those that were looked at."""
        rows = takewhile(lambda row: row.position <= reached, self.journal.load(stream_of("automation", automation)))
        return {row.event.id for row in rows if isinstance(row.event, AutomationFired)}

    def _cached(self) -> Iterator[None]:
        """Cached results that nothing uses any more."""
        after = ""
        which = CacheFilter(expired_by=self._now)
        while page := self.journal.cache_entries(which, after, _PAGE):
            after = page[-1].key
            begun = time.perf_counter()
            keys = tuple(entry.key for entry in page)
            self.done.cached += self.journal.forget_cached(msgspec.structs.replace(which, keys=keys))
            self._pause(begun)
            yield

    def _pause(self, begun: float) -> None:
        """Leave the journal to others for twice as long as it was kept from them."""
        self._rest(max(_SHORTEST_REST, 2 * (time.perf_counter() - begun)))


class Retention:
    """What the leading scheduler does about it: a look every hour, a few steps at a time.

    Args:
        journal: what leaves it.
        results: where its large results are.
        keep: for how long what is kept.
    """

    def __init__(self, journal: Journal, results: ResultStore, keep: Keep) -> None:
        self.journal = journal
        self.results = results
        self.keep = keep
        self._purge: Purge | None = None
        self._steps: Iterator[None] = iter(())
        self._next = 0
        self._told = False

    def turn(self, now: int | None = None) -> None:
        """Go a few steps on with the look that is under way, or begin one whose time has come."""
        now = now_us() if now is None else now
        before = self.keep.before(now)
        if not before:
            return
        if self._purge is None:
            if 0 < self._next - now <= _EVERY_US:
                return
            self._next = now + _EVERY_US
            first = now // _EVERY_US * _PARTS % 256
            parts = range(first, min(first + _PARTS, 256))
            passing = before.get("Completed")
            self._purge = Purge(self.journal, self.results, before, now, passing=passing, parts=parts)
            self._steps = self._purge.steps()
        try:
            for _ in range(_AT_ONCE):
                next(self._steps)
        except StopIteration:
            done, self._purge = self._purge.done, None
            if done.shared and not self._told:
                self._told = True
                _log.warning("Result files stay although nothing uses them: other journals keep theirs there too.")
            if done.runs:
                _log.info("Removed %d old runs, with %d result files.", done.runs, done.results)
        except BaseException:
            self._purge = None
            raise
