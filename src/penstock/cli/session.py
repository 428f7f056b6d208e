"""The wired Penstock that a command works with, and the runs people name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from penstock.app import Penstock, Settings, chosen_profile, load_settings
from penstock.authoring.loading import flows_in, load_flow, load_module
from penstock.cli.units import age
from penstock.core.errors import ConfigurationError, FlowNotFound, PenstockError, RunNotFound
from penstock.core.events import now_us
from penstock.core.model import Run, RunFilter
from penstock.core.ports.reading import Reading
from penstock.engine.logs import install
from penstock.engine.recovery import find_run
from penstock.journal.memory import MemoryJournal

SHORT = 8
"""How many characters at the end of a run's id are shown; the beginning is the time, which runs share."""

_PROFILE = "profile:"


def journal_file(settings: Settings) -> Path | None:
    """Where the SQLite journal is; None for another kind."""
    if not settings.database_url:
        return Path(settings.home) / "journal.db"
    if settings.database_url.startswith("sqlite:///"):
        return Path(settings.database_url.removeprefix("sqlite:///"))
    return None


def log_lines() -> None:
    """Have this process log to stderr for programs, where the settings say so."""
    settings = load_settings()
    if settings.log_format == "json":
        install(settings.level, True, settings.log_format)


@contextmanager
def executing() -> Iterator[Penstock]:
    """Penstock for a command that runs a flow; it shows the log lines itself."""
    settings = load_settings()
    app = Penstock(msgspec.structs.replace(settings, log_console=False))
    with app.activate():
        yield app
    app.close()


@contextmanager
def reading() -> Iterator[Penstock]:
    """Penstock for a command that looks at the journal. Where there is none, none is made: it looks at an empty one."""
    settings = load_settings()
    file = journal_file(settings)
    journal = MemoryJournal() if file is not None and not file.exists() else None
    app = Penstock(msgspec.structs.replace(settings, log_console=False), journal=journal)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def going_on(wanted: str) -> Iterator[tuple[Penstock, Run]]:
    """Penstock and a run for a command that goes on with it: with the profile that the run was begun with.

    Raises:
        RunNotFound: none fits, or more than one does.
        ConfigurationError: another profile is asked for.
    """
    with ExitStack() as stack:
        penstock = stack.enter_context(executing())
        run = named_run(penstock.journal, wanted)
        begun = next((tag.removeprefix(_PROFILE) for tag in run.tags if tag.startswith(_PROFILE)), None)
        chosen = chosen_profile()
        if begun is not None and chosen is None:
            stack.close()
            os.environ["PENSTOCK_PROFILE"] = begun
            penstock = stack.enter_context(executing())
            if penstock.journal.run(run.id) is None:
                raise RunNotFound(
                    f"The run {run.name} was begun with the profile {begun}, which has another journal now.",
                    hint="bring the profile back to what it was",
                )
        elif begun is not None and chosen is not None and begun != chosen.name:
            raise ConfigurationError(
                f"The run {run.name} was begun with the profile {begun}, not with {chosen.name}.",
                hint=f"go on with it as it began: --profile {begun}",
            )
        yield penstock, run


def profile_tags() -> list[str]:
    """What tells of a run which profile it was begun with."""
    profile = chosen_profile()
    return [f"{_PROFILE}{profile.name}"] if profile is not None else []


def profile_parameters(flow: str) -> dict[str, Any]:
    """What the profile has for a flow."""
    profile = chosen_profile()
    return profile.parameters.get(flow, {}) if profile is not None else {}


def named_run(journal: Reading, wanted: str) -> Run:
    """A run by id, by the beginning or the end of its id, by name, or the newest one for `last`.

    Raises:
        RunNotFound: none fits, or more than one does.
    """
    if wanted == "last":
        newest = journal.runs(RunFilter(limit=1))
        if not newest:
            raise RunNotFound("There are no runs yet.", hint="start one: penstock run FILE.py")
        return newest[0]
    return find_run(journal, wanted)


def named_flow(target: str) -> Any:
    """The flow behind FILE[:FLOW] or MODULE[:FLOW].

    Raises:
        FlowNotFound: it says what is there instead.
    """
    with _imported(target):
        return load_flow(target)


def declared_in(target: str) -> dict[str, Any]:
    """The flows of a file or module, by variable.

    Raises:
        FlowNotFound: it cannot be imported.
    """
    with _imported(target):
        return flows_in(load_module(target))


@contextmanager
def _imported(target: str) -> Iterator[None]:
    if Path(target).is_dir() and not target.isidentifier():
        raise FlowNotFound(f"{target!r} is a folder.", hint=f"name a file in it: {Path(target) / 'flow.py'}")
    try:
        yield
    except SystemExit as error:
        raise FlowNotFound(
            f"{target} ended the process while it was imported (sys.exit with {error.code!r}).",
            hint='put what is for `python FILE` below: if __name__ == "__main__":',
        ) from error


def short(run_id: str) -> str:
    """What people type: the end of the id."""
    return run_id[-SHORT:]


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """Runs for the shell's completion: by the end of the id, by name, and the whole id once it is begun."""
    found: list[tuple[str, str]] = []
    with suppress(PenstockError, OSError), reading() as app:
        now = now_us()
        for run in app.journal.runs(RunFilter(limit=50)):
            told = _harmless(f"{run.flow} {run.name}, {run.shown_state(now)}, {age(run.created_at, now)}")
            found.append((short(run.id), told))
            if run.id.startswith(incomplete) and incomplete:
                found.append((run.id, told))
            if run.name == _harmless(run.name) and " " not in run.name:
                found.append((run.name, told))
    return found


def complete_flow(incomplete: str) -> list[tuple[str, str]]:
    """Flows of the journal for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as app:
        return [(flow.flow, f"{flow.runs} runs") for flow in app.journal.flows() if flow.flow == _harmless(flow.flow)]
    return []


def complete_step(run_id: str) -> list[tuple[str, str]]:
    """Steps of a run for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as app:
        run = named_run(app.journal, run_id)
        steps = app.journal.task_runs(run.id)[:200]
        told = [(step.key, _harmless(f"{step.name}, {step.state}")) for step in steps]
        return [(key, note) for key, note in told if key == _harmless(key)]
    return []


def _harmless(text: str) -> str:
    """A text that shells, which evaluate completions, take for nothing but text."""
    return re.sub(r"[^\w .,:#/~@+-]", "_", text)
