"""The suite that every engine passes: the same flows and workflows, and the same comes of them.

Example:
    class TestMyEngine(EngineConformance):
        abilities = MY_ABILITIES

        def run(self, trials):
            for trial in trials:
                run_id = start_it_there(trial.case.entrypoint, trial.parameters)
                yield outcome_of(self.app, run_id)

        def refuse(self, trial):
            place_it_there(trial.case.entrypoint)

What an engine cannot do, by its `abilities`, it has to refuse before anything is executed.
"""

from __future__ import annotations

import itertools
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from penstock.app import Penstock
from penstock.core.engines import Abilities
from penstock.core.errors import Unsupported
from penstock.core.events import RunCompleted
from penstock.core.workflows import WorkflowSpec, read
from penstock.testing.engine_cases import CASES, Case, Steps
from penstock.testing.engine_flows import notes_in


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A case that is to be run.

    Attributes:
        case: which.
        folder: where its tasks note what they do.
    """

    case: Case
    folder: Path

    @property
    def parameters(self) -> dict[str, Any]:
        """All that the run is given, as JSON has it."""
        return {"folder": str(self.folder), **self.case.parameters}

    @property
    def workflow(self) -> WorkflowSpec | None:
        """The workflow; None where the case is a flow."""
        if self.case.workflow is None:
            return None
        defaults = dict.fromkeys(self.parameters)
        return read({"name": self.case.name, "parameters": defaults, "tasks": list(self.case.workflow)})


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run, as it is on record.

    Attributes:
        state, result, message: of the run.
        steps, lines, artifacts: see `Case`.
    """

    state: str
    result: Any = None
    message: str = ""
    steps: Steps = {}
    lines: tuple[tuple[str, str | None], ...] = ()
    artifacts: tuple[tuple[str, str | None, str | None], ...] = ()


def outcome_of(app: Penstock, run_id: str) -> Outcome:
    """What the journal has of a run that has ended."""
    journal = app.journal
    run = journal.run(run_id)
    assert run is not None, f"there is no run {run_id}"
    result = None
    for stored in journal.load(run_id):
        event = stored.event
        if isinstance(event, RunCompleted) and event.result is not None:
            result = app.results.load(event.result, stored.data)
    return Outcome(
        state=run.state,
        result=result,
        message=run.message or "",
        steps={step.key: (step.state, step.attempt) for step in journal.task_runs(run_id)},
        lines=tuple((line.message, line.key) for line in journal.logs(run_id)),
        artifacts=tuple(sorted((made.kind, made.key, made.step) for made in journal.artifacts(run_id))),
    )


class EngineConformance(ABC):
    """A subclass provides `run` and, where the engine cannot do everything, `abilities` and `refuse`.

    Attributes:
        abilities: what the engine can do.
    """

    abilities: Abilities = Abilities()
    _outcomes: ClassVar[dict[str, tuple[Trial, Outcome]]]

    def __init_subclass__(cls) -> None:
        """Runs are made once for all tests of a class."""
        cls._outcomes = {}

    @abstractmethod
    def run(self, trials: Sequence[Trial]) -> Iterable[Outcome]:
        """Run all of these to their end, in whatever order or at once; gives the outcomes in the order of the trials.

        It is called once for each class, with every case that the engine can do.
        """

    def refuse(self, trial: Trial) -> None:
        """Put a case there that the engine cannot do.

        Raises:
            Unsupported: as it must.
        """
        pytest.fail(f"{type(self).__name__} lacks {self.lacking(trial.case)}: give it a method `refuse`")

    def knows_steps(self, case: Case) -> bool:
        """Whether the engine tells of the steps of this flow. One that executes it as a whole may not."""
        return True

    def lacking(self, case: Case) -> dict[str, str]:
        """What a case needs and the engine cannot do, with the reasons."""
        return self.abilities.lacking(case.needs)

    def outcome(self, case: Case) -> tuple[Trial, Outcome]:
        """What came of a case, and the trial that was made of it."""
        if not self._outcomes:
            wanted = [each for each in CASES if not self.lacking(each)]
            trials = [Trial(case=each, folder=Path(tempfile.mkdtemp(prefix="penstock-"))) for each in wanted]
            for trial, outcome in zip(trials, self.run(trials), strict=True):
                self._outcomes[trial.case.name] = trial, outcome
        return self._outcomes[case.name]

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_it_comes_to_the_same(self, case: Case, tmp_path: Path) -> None:
        """State, result, steps with their attempts, what was executed and in which order, log lines, artifacts."""
        if self.lacking(case):
            trial = Trial(case=case, folder=tmp_path)
            with pytest.raises(Unsupported) as refused:
                self.refuse(trial)
            assert all(reason in str(refused.value) for reason in self.lacking(case).values())
            assert notes_in(trial.folder) == [], "it was refused after something of it had been executed"
            return
        trial, outcome = self.outcome(case)
        assert (outcome.state, outcome.result) == (case.state, case.result), outcome.message
        assert case.error is None or case.error in outcome.message
        noted = notes_in(trial.folder)
        assert Counter(noted) == Counter(case.notes), noted
        for first, second in case.before:
            last = len(noted) - 1 - noted[::-1].index(first)
            assert last < noted.index(second), f"{second!r} was noted before {first!r}: {noted}"
        if self.knows_steps(case):
            calls = {key: end for key, end in outcome.steps.items() if not key.startswith("transaction#")}
            assert calls == case.steps, f"{calls} instead of {case.steps}"
            assert outcome.artifacts == tuple(sorted(case.artifacts, key=_texts)), outcome.artifacts
            assert [line for line in case.lines if line not in outcome.lines] == [], outcome.lines


def _texts(artifact: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(part or "" for part in artifact)


def completeness(engines: Mapping[str, Abilities]) -> str:
    """A table in Markdown of what engines can do, and below it why they cannot do the rest."""
    told = dict(_told())
    reasons: dict[str, int] = {}
    lines = ["| | " + " | ".join(engines) + " |", "|---" * (len(engines) + 1) + "|"]
    for name in Abilities.__struct_fields__:
        cells = []
        for abilities in engines.values():
            ability = getattr(abilities, name)
            cells.append("yes" if ability is True else f"no ({reasons.setdefault(ability, len(reasons) + 1)})")
        lines.append(f"| `{name}`: {told.get(name, '')} | " + " | ".join(cells) + " |")
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def _told() -> Iterable[tuple[str, str]]:
    """What each ability is, as the docstring has it."""
    text = (Abilities.__doc__ or "").partition("Attributes:")[2]
    entries = itertools.takewhile(str.strip, text.strip().splitlines())
    for entry in entries:
        name, _, rest = entry.strip().partition(": ")
        yield name, rest.rstrip(".")
