"""How a run ended, and what to do next."""

from __future__ import annotations

from typing import Any

from penstock.cli.console import Parts, clean, clean_lines, colour, counted, fitting, glyph, width, write_parts
from penstock.cli.progress import Progress, told_of
from penstock.cli.session import short
from penstock.cli.units import duration
from penstock.core.events import now_us
from penstock.core.model import Run
from penstock.core.states import State, StateType
from penstock.engine.shown import shown
from penstock.journal.results import is_exactly_json
from penstock.orchestrator.records import error_record, run_record

_DIM = "bright_black"
_WORDS = {130: "stopped by Ctrl-C", 143: "stopped by SIGTERM"}


def write_summary(progress: Progress, run: Run | None, state: State | None, code: int, *, quiet: bool) -> None:
    """Write state, time, counts, the error, and the commands that help from here."""
    root = progress.root
    if root is None:
        return
    word = run.state if run is not None and run.ended else "Crashed"
    name = clean(root.flow)
    took = duration((root.ended or now_us()) - root.started) if root.started else ""
    how = _WORDS.get(code, word.lower())
    between = " in " if word == "Completed" else " after "
    lines: list[Parts] = [] if quiet else [[]]
    lines.append([(f"{glyph(word)} ", colour(word)), (f"{name} {how}", f"bold {colour(word)}"), (between + took, "")])
    lines[-1].append((fitting(f"  {clean(root.name)} · {short(root.id)}"), _DIM))
    if not quiet:
        lines.append([("  " + _counts(progress), "")])
        lines += _returned(state)
    lines += _error(progress, run, code)
    if not quiet:
        lines += _next(progress, word, short(root.id))
    write_parts(lines)


def _counts(progress: Progress) -> str:
    ended = sum(progress.counts.values())
    told = [f"{count:,} {state.lower()}" for state, count in sorted(progress.counts.items())]
    if progress.retries:
        told.append(f"{counted(progress.retries, 'attempt')} retried")
    if progress.kept:
        told.append(f"{progress.kept:,} taken from the record")
    return counted(ended + progress.kept, "step") + (": " + ", ".join(told) if told else "")


def _returned(state: State | None) -> list[Parts]:
    if state is None or state.type is not StateType.COMPLETED or state.data is None:
        return []
    value = state.data
    short_form = shown(value)
    told = clean(short_form if isinstance(short_form, str) else repr(short_form))
    room = min(width(), 200) - 12
    return [[("  returned ", _DIM), (told if len(told) <= room else told[: room - 1] + fitting("…"), "")]]


def _error(progress: Progress, run: Run | None, code: int) -> list[Parts]:
    root = progress.root
    if root is None or code in _WORDS or root.state == "Completed":
        return []
    if root.error is not None and root.error.trace and root.state == "Failed":
        return [[], *([("  " + line, "red" if not line.startswith(" ") else "")] for line in _trace(root.error.trace))]
    message = run.message if run is not None and run.message else root.message
    return [[], *([("  " + line, "")] for line in clean_lines(message))] if message else []


def _trace(trace: str) -> list[str]:
    return clean_lines(trace.rstrip())


def _next(progress: Progress, word: str, run_id: str) -> list[Parts]:
    ways = []
    if word != "Completed":
        ways.append((f"penstock runs resume {run_id}", "go on from the steps that completed"))
        step = _culprit(progress) if word == "Failed" else None
        if step is not None:
            ways.append((f"penstock runs fork {run_id} --from {step}", "a new run, from that step on"))
    ways.append((f"penstock runs show {run_id}", "every step"))
    ways.append((f"penstock runs logs {run_id}", "what was logged"))
    return [[], *advice(ways)]


def advice(ways: list[tuple[str, str]]) -> list[Parts]:
    """Commands to type next, and what they do where there is room to say so."""
    longest = max(len(command) for command, _ in ways)
    room = width() - longest - 4
    lines: list[Parts] = []
    for command, note in ways:
        lines.append([("  " + command.ljust(longest + 2), "cyan"), (note if len(note) <= room else "", _DIM)])
    return lines


def _culprit(progress: Progress) -> str | None:
    """The top-level step whose error became the run's, where its name can be typed."""
    root = progress.root
    if root is None or root.error is None:
        return None
    told = told_of(root.error)
    for group in root.groups.values():
        for call in group.failed:
            key = call.key.split("~")[0]
            if call.message == told and key.isprintable() and not set(key) & set(" '\"\\$`&|;<>()*?[]{}!"):
                return key
    return None


def outcome_record(progress: Progress, run: Run | None, state: State | None) -> dict[str, Any]:
    """The outcome for machines; `result` is null where JSON cannot hold it (`result_type` tells what it was)."""
    value = state.data if state is not None and state.type is StateType.COMPLETED else None
    root = progress.root
    return {
        "run": run_record(run, now_us()) if run is not None else None,
        "steps": {word.lower(): count for word, count in sorted(progress.counts.items())},
        "retries": progress.retries,
        "from_record": progress.kept,
        "result": value if is_exactly_json(value) else None,
        "result_type": type(value).__name__,
        "error": error_record(None, root.error) if root is not None and root.error is not None else None,
    }
