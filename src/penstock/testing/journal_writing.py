"""What a journal must do with what it is given."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from typing import Any

from penstock.core.errors import JournalError, SequenceConflict
from penstock.core.events import ErrorInfo, Record, RunCompleted, RunFailed, TaskFailed, UnknownEvent
from penstock.core.ids import new_run_id
from penstock.testing.journal_events import every_event
from penstock.testing.openings import Openings
from penstock.testing.samples import (
    HOSTILE,
    bare,
    begin_run,
    contents,
    created,
    log_line,
    refused,
    shown,
    started,
    step,
    task_completed,
    task_started,
)


class WritingDuties(Openings):
    """Appending, refusing, deleting."""

    def test_records_come_back_as_they_were(self) -> None:
        journal, run_id = self.opened(), new_run_id()
        records = [Record(event, b"data of %d" % number) for number, event in enumerate(every_event())]
        journal.append(run_id, 0, records[:3])
        for seq, record in enumerate(records[3:], start=3):
            journal.append(run_id, seq, [record])
        expected = [(seq, event, data) for seq, (event, data) in enumerate(records, start=1)]
        assert [bare(stored) for stored in journal.load(run_id)] == expected
        assert [bare(stored) for stored in self.again(journal).load(run_id)] == expected
        assert {stored.stream for stored in journal.load(run_id)} == {run_id}

    def test_no_bytes_and_empty_bytes_are_not_the_same(self) -> None:
        journal, run_id = self.opened(), new_run_id()
        data = [None, b"", bytes(range(256)), None]
        events = [created().event, started().event, task_started().event, task_completed().event]
        journal.append(run_id, 0, [Record(event, item) for event, item in zip(events, data, strict=True)])
        assert [stored.data for stored in journal.load(run_id)] == data

    def test_an_event_of_another_version_passes_through(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        before = journal.run(run_id)
        event = UnknownEvent(at=5, name="RunPainted", layout=7, body={"at": 5, "colour": ["red", None, {"x": 1}]})
        journal.append(run_id, 2, [Record(event, b"paint")])
        assert bare(list(self.again(journal).load(run_id))[-1]) == (3, event, b"paint")
        assert journal.run(run_id) == before

    def test_only_the_next_sequence_number_is_taken(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        before = contents(journal, run_id)
        for wrong in (0, 1, 3, 7):
            with refused(SequenceConflict):
                batch = [task_completed(), Record(RunCompleted(at=1))]
                journal.append(run_id, wrong, batch, [log_line(run_id)])
            assert contents(journal, run_id) == before, "a refused append left something behind"
        with refused(SequenceConflict):
            journal.append(new_run_id(), 1, [created()])
        journal.append(run_id, 2, [task_completed()])
        assert len(list(journal.load(run_id))) == 3

    def test_the_second_writer_is_refused(self) -> None:
        journal = self.opened()
        other = self.again(journal)
        run_id = begin_run(journal)
        journal.append(run_id, 2, [task_completed(1)])
        other.append(run_id, 3, [task_completed(2)])
        before = contents(journal, run_id)
        with refused(SequenceConflict):
            journal.append(run_id, 3, [task_completed(3), Record(RunCompleted(at=1))], [log_line(run_id)])
        assert contents(journal, run_id) == before
        journal.append(run_id, 4, [task_completed(3)])
        assert [task.key for task in other.task_runs(run_id)] == ["fetch#1", "fetch#2", "fetch#3"]

    def test_what_cannot_be_written_leaves_nothing(self) -> None:
        journal = self.opened()
        run_id, unborn = begin_run(journal), new_run_id()
        before = contents(journal, run_id)
        broken = created(shown={"thing": object()})
        with refused(TypeError):
            journal.append(run_id, 2, [task_completed(), Record(RunCompleted(at=1)), broken], [log_line(run_id)])
        with refused(TypeError):
            journal.append(unborn, 0, [broken])
        assert contents(journal, run_id) == before
        assert contents(journal, unborn) == ([], None, [], [])
        journal.append(run_id, 2, [task_completed()])
        journal.append(unborn, 0, [created()])

    def test_log_lines_go_with_the_records(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        journal.append(run_id, 2, [task_completed()], [log_line(run_id, "one"), log_line(run_id, "two")])
        journal.append(run_id, 3, [], [log_line(run_id, "three")])
        journal.append(run_id, 3, [Record(RunCompleted(at=1))], [log_line(run_id, "four")])
        assert [line.message for line in self.again(journal).logs(run_id)] == ["one", "two", "three", "four"]

    def test_any_text_can_be_written(self) -> None:
        journal = self.opened()
        for text in HOSTILE.values():
            run_id = begin_run(journal, flow=text, name=text, shown={text: [text]}, tags=(text,))
            odd = step()
            odd = type(odd)(odd.key + text[:100], text, text, 1, None, (text,), {text: text})
            ending = TaskFailed(at=3, step=odd, message=text, error=ErrorInfo("E", text, text))
            journal.append(run_id, 2, [Record(ending, text.encode("utf-8", "surrogatepass"))], [log_line(run_id, text)])
            journal.write_logs([log_line(run_id, text, key=odd.key)])
            journal.append(run_id, 3, [Record(RunFailed(at=4, message=text, error=ErrorInfo("E", text)))])
            self._check_text(self.again(journal), run_id, text)

    def _check_text(self, journal: Any, run_id: str, text: str) -> None:
        run, tasks, lines = journal.run(run_id), journal.task_runs(run_id), journal.logs(run_id)
        assert len(lines) == 2
        texts = [run.name, run.flow, run.message, *run.tags, *run.parameters, *run.parameters.values()]
        texts += [tasks[0].name, tasks[0].task, tasks[0].message, *tasks[0].tags, lines[0].message, lines[1].message]
        for item in texts:
            told = shown(item if isinstance(item, str) else item[0])
            assert told == shown(text) or (len(text) > 1000 and told[:400] == text[:400]), "only long names may be cut"
        records = list(journal.load(run_id))
        assert len(records) == 4
        assert records[2].data == text.encode("utf-8", "surrogatepass")
        assert shown(records[2].event.error.text) == shown(text)
        assert shown(records[0].event.name) == shown(text)
        if 0 < len(text) < 1000:
            assert run_id in {found.id for found in journal.find(text, 100)}

    def test_large_values(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        data = bytes(range(256)) * 40_000
        journal.append(run_id, 2, [Record(task_completed().event, data)], [log_line(run_id, "x" * 3_000_000)])
        assert list(journal.load(run_id))[-1].data == data
        assert len(journal.logs(run_id)[0].message) == 3_000_000

    def test_a_large_batch_is_one_append(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        lines = [log_line(run_id, f"line {number}") for number in range(6_000)]
        journal.append(run_id, 2, [task_completed(number) for number in range(1, 12_001)], lines)
        assert [stored.seq for stored in journal.load(run_id)] == list(range(1, 12_003))
        assert [task.ordinal for task in journal.task_runs(run_id)] == list(range(1, 12_001))
        assert [line.message for line in journal.logs(run_id, limit=10_000)] == [line.message for line in lines]
        with refused(SequenceConflict):
            journal.append(run_id, 12_001, [task_completed(number) for number in range(12_001, 24_001)], lines)
        assert len(journal.task_runs(run_id)) == 12_000

    def test_a_deleted_run_is_gone(self) -> None:
        journal = self.opened()
        kept, gone, child = begin_run(journal), begin_run(journal), new_run_id()
        journal.append(child, 0, [created(parent_id=gone), started()])
        journal.append(gone, 2, [task_completed()], [log_line(gone)])
        journal.append(kept, 2, [task_completed()], [log_line(kept)])
        before = contents(journal, kept), contents(journal, child)
        assert journal.delete([gone, gone, new_run_id()]) == 1
        assert contents(journal, gone) == ([], None, [], [])
        assert (contents(journal, kept), contents(journal, child)) == before
        assert journal.find(gone) == []
        assert journal.delete([gone]) == 0
        assert journal.delete([]) == 0

    def test_positions_never_go_back(self) -> None:
        journal = self.opened()
        highest = 0
        for _ in range(4):
            runs = [begin_run(journal) for _ in range(2)]
            positions = [stored.position for stored in self.settled(journal, highest, 4)]
            assert positions == sorted(positions)
            assert positions[0] > highest
            highest = positions[-1]
            assert journal.delete(runs) == 2
            assert journal.read(0) == []
            journal = self.again(journal)

    def test_who_writes_to_a_deleted_run_is_refused(self) -> None:
        journal = self.opened()
        other = self.again(journal)
        run_id = begin_run(journal)
        journal.append(run_id, 2, [task_completed(1)])
        begin_run(journal)
        assert other.delete([run_id]) == 1
        with refused(SequenceConflict):
            journal.append(run_id, 3, [task_completed(2)], [log_line(run_id)])
        assert contents(journal, run_id) == ([], None, [], [])

    def test_a_deleted_run_can_be_made_anew(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        for _ in range(2):
            journal.delete([run_id])
            begin_run(journal, run_id)
            for seq in range(2, 8):
                journal.append(run_id, seq, [task_completed(seq)])
            assert [stored.seq for stored in journal.load(run_id)] == list(range(1, 9))
            assert len(journal.task_runs(run_id)) == 6

    def test_closing_twice_is_fine_and_a_closed_journal_says_so(self) -> None:
        journal = self.make_journal()
        run_id = begin_run(journal)
        journal.close()
        journal.close()
        if journal.kind != "memory":
            with refused(JournalError):
                journal.append(run_id, 2, [task_completed()])
            with refused(JournalError):
                journal.run(run_id)
