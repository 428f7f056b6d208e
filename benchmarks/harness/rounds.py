"""Interleaved rounds: each contender is measured once in each, so that a slow minute is shared by all."""

from dataclasses import dataclass, field

from harness.contenders import Contender
from harness.places import Failed
from harness.session import Row, Session
from harness.texts import THINGS
from harness.topics import Topic
from harness.words import duration, in_unit

Key = tuple[str, int]


@dataclass
class Table:
    """The rows of a topic, and what has to be said about who is missing or was measured less often."""

    topic: Topic
    rows: list[Row] = field(default_factory=list)
    exceptions: list[dict[str, str]] = field(default_factory=list)

    def note(self, contender: Contender, reason: str) -> None:
        """Keep a line for the reader, and show it."""
        self.exceptions.append({"contender": contender.name, "label": contender.label, "reason": reason})
        print(f"  {contender.label}: {reason}", flush=True)


def measure(session: Session, topic: Topic, contenders: list[Contender]) -> Table:
    """Take all samples of a topic."""
    rounds = _Rounds(session, topic, [one for one in contenders if topic.name in one.topics])
    for contender in contenders:
        if topic.name in contender.without:
            rounds.table.note(contender, f"left out: {contender.without[topic.name]}")
    for number in range(rounds.count):
        for _ in range(1 if session.quick else topic.passes):
            rounds.once(number)
    rounds.table.rows = [row for row in rounds.rows.values() if row.samples]
    return rounds.table


class _Rounds:
    """The rounds of one topic while they run."""

    def __init__(self, session: Session, topic: Topic, contenders: list[Contender]) -> None:
        self.session = session
        self.topic = topic
        self.contenders = contenders
        self.table = Table(topic)
        self.count = min(session.rounds, topic.most_rounds)
        self.rows: dict[Key, Row] = {
            (one.name, size): Row(one, size)
            for one in contenders
            for size in session.sizes or topic.sizes_for(one, quick=session.quick)
        }
        self.dropped: set[Key] = set()

    def once(self, number: int) -> None:
        """Measure everybody once, the small sizes first, and somebody else first in each round."""
        start = number % len(self.contenders) if self.contenders else 0
        in_turn = self.contenders[start:] + self.contenders[:start]
        for size in sorted({size for _, size in self.rows}):
            for contender in in_turn:
                key = (contender.name, size)
                if key in self.rows and key not in self.dropped and not self._sample(self.rows[key], number):
                    self.dropped.add(key)

    def _sample(self, row: Row, number: int) -> bool:
        """Take one sample; tell whether the row stays in the rounds."""
        tasks = f" at {row.size:,} {THINGS.get(self.topic.name, 'tasks')}" if row.size > 1 else ""
        most = self.topic.job_limit or self.session.job_limit
        limit = f"the limit is {most:.0f} s"
        expected = 0.0 if row.samples else self._expected_seconds(row)
        if expected > most:
            about = f"it would take about {duration(expected)}, {limit}"
            self.table.note(row.contender, f"not measured{tasks}: {about}")
            return False
        try:
            sample, row.remark = self.topic.measure(self.session, row.contender, row.size)
        except Failed as failure:
            self.table.note(row.contender, f"failed{tasks} in round {number + 1}: {failure}")
            return False
        row.samples.append(sample)
        value = sample[self.topic.primary]
        shown = in_unit(value, self.topic.unit)
        print(f"  {number + 1}/{self.count} {row.contender.label}{tasks}: {shown}", flush=True)
        took = sample.get("wall_seconds", 0.0) + sample.get("settle_seconds", 0.0)
        if took > most and number + 1 < self.count:
            why = f"the run and its records took {duration(took)}, {limit}"
            self.table.note(row.contender, f"measured in {len(row.samples)} of {self.count} rounds{tasks}: {why}")
            return False
        return True

    def _expected_seconds(self, row: Row) -> float:
        """Return how long a size will take, judged by the contender's time at the size before."""
        name = row.contender.name
        smaller = [size for (of, size), one in self.rows.items() if of == name and size < row.size and one.samples]
        if self.topic.primary != "task_seconds" or not smaller:
            return 0.0
        return row.size * self.rows[name, max(smaller)].median("task_seconds")
