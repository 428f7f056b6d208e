"""`penstock doctor`."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from penstock.app import Settings, chosen_profile, load_settings
from penstock.cli.console import Column, clean, counted, fitting, glyph, text, write, write_json, write_table
from penstock.cli.db import without_password
from penstock.cli.help import JSON, Command, examples
from penstock.cli.session import journal_file, reading
from penstock.cli.units import size
from penstock.core.errors import ConfigurationError, MissingExtra, PenstockError
from penstock.core.events import now_us
from penstock.core.model import RunFilter
from penstock.core.release import VERSION
from penstock.engine.project import project_file
from penstock.observability.alerts import KINDS
from penstock.orchestrator.channels import loader, project_alerts, state_of
from penstock.orchestrator.engines import Engines, engine_of
from penstock.orchestrator.shelves import shelf_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_OLDEST_SQLITE = (3, 24, 0)
_LITTLE_SPACE = 100_000_000

EXTRAS = {
    "postgres": ("the journal in PostgreSQL, shared by many machines", "penstock.journal.postgres"),
    "data": ("Polars, pandas and Arrow frames as results", "penstock.journal"),
    "server": ("API, schedules, users and webhooks", "penstock.control"),
    "kafka": ("streams from and to Kafka", "penstock.connectors"),
    "quality": ("checks on datasets", "penstock.quality"),
    "ml": ("tracking, models, recommendations", "penstock.ml"),
    "serving": ("the prediction API", "penstock.serving"),
    "prefect": ("the same flow on Prefect", "penstock.deploy"),
    "dask": ("the same flow on Dask", "penstock.deploy"),
    "spark": ("jobs on Spark", "penstock.processing"),
    "flink": ("jobs on Flink", "penstock.processing"),
}
"""What each extra gives, and the room that uses it."""


class Check(NamedTuple):
    """One thing that was looked at; `hint` says what to do when it is not well."""

    name: str
    ok: bool
    detail: str
    hint: str | None = None


class Extra(NamedTuple):
    """An extra, and the packages of it that are not there."""

    name: str
    feature: str
    available: bool
    missing: list[str]

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f'pip install "penstock[{self.name}]"'


@app.command(
    cls=Command,
    epilog=examples("penstock doctor", "penstock doctor --json | jq .ok  # for scripts; the exit code says it too"),
)
def doctor(json: Annotated[bool, JSON] = False) -> int:
    """Check the setup: what is installed, what is missing, and whether the journal is sound.

    It changes nothing. The exit code is 1 when something is wrong; an extra that is not installed is not wrong.
    """
    checks = [_python(), _sqlite(), *_home()]
    extras = _extras()
    well = all(check.ok for check in checks)
    if json:
        write_json(
            {
                "ok": well,
                "checks": [check._asdict() for check in checks],
                "extras": [
                    {**extra._asdict(), "installed": not extra.missing, "install": extra.install} for extra in extras
                ],
            }
        )
    else:
        _write(checks, extras, well)
    return 0 if well else 1


def _python() -> Check:
    found = platform.python_version()
    detail = f"Penstock {VERSION} on {platform.python_implementation()} {found}, {sys.executable}"
    return Check("python", sys.version_info >= (3, 11), detail, "Penstock needs Python 3.11 or newer")


def _sqlite() -> Check:
    found = sqlite3.sqlite_version
    hint = f"Penstock needs SQLite {'.'.join(map(str, _OLDEST_SQLITE))} or newer; install a newer Python"
    return Check("sqlite", sqlite3.sqlite_version_info >= _OLDEST_SQLITE, f"SQLite {found}", hint)


def _home() -> list[Check]:
    try:
        settings = load_settings()
    except PenstockError as error:
        return [Check("settings", False, error.message, error.hint)]
    home, profile = Path(settings.home), chosen_profile()
    named = [Check("profile", True, f"{profile.name}, of {profile.file}")] if profile is not None else []
    return [*named, _folder(home), _space(home), _journal(settings), *_results(home), *_channels(settings), *_engines()]


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _folder(home: Path) -> Check:
    place = _nearest(home)
    if not place.is_dir():
        return Check("home", False, f"{home}: {place} is no folder", "point PENSTOCK_HOME at a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("home", False, f"{home} cannot be written", "make it writable, or point PENSTOCK_HOME elsewhere")
    return Check("home", True, f"{home}{'' if home.exists() else ' (made by the first run)'}")


def _space(home: Path) -> Check:
    free = shutil.disk_usage(_nearest(home)).free
    return Check("disk", free >= _LITTLE_SPACE, f"{size(free)} free", "free some space")


def _journal(settings: Settings) -> Check:
    file = journal_file(settings)
    if file is not None and not file.exists():
        return Check("journal", True, f"none yet; the first run makes {file}")
    place = str(file) if file is not None else without_password(settings.database_url)
    try:
        with reading() as penstock:
            found = penstock.journal.status()
            check = getattr(penstock.journal, "check", None)
            damage = check() if check is not None else []
            sound = ", sound" if check is not None else ""
            running = penstock.journal.runs(RunFilter(states=("Running", "Retrying"), limit=1000))
    except PenstockError as error:
        return Check("journal", False, error.message, error.hint)
    if damage:
        return Check("journal", False, f"{place} is damaged: {damage[0]}", "restore a backup, or move the file away")
    now = now_us()
    lost = sum(run.lost(now) for run in running)
    detail = f"{place}: {counted(found['runs'], 'run')}, {size(found['bytes'])}, layout {found['layout']}{sound}"
    if lost:
        detail += f"; {counted(lost, 'run')} can be resumed (penstock runs list --state crashed)"
    return Check("journal", True, detail)


def _results(home: Path) -> list[Check]:
    folder = home / "results"
    if not folder.is_dir():
        return []
    files = [path.stat().st_size for path in folder.glob("??/*")]
    return [Check("results", True, f"{counted(len(files), 'file')}, {size(sum(files))}")]


def _channels(settings: Settings) -> list[Check]:
    """The channels for alerts; that one is off for want of its connection may be meant."""
    try:
        found = project_alerts(project_file(Path.cwd())).channels
    except PenstockError as error:
        return [Check("alerts", False, error.message, error.hint)]
    checks = []
    for name, channel in found.items():
        try:
            with reading() as penstock:
                load = loader(shelf_of(penstock))
                told = state_of(channel, load)
        except PenstockError as error:
            told = error.message
        well = told is None or told.startswith("off")
        hint = f"penstock connection create {KINDS[channel.type]} {channel.connection} ... --overwrite"
        checks.append(Check("alerts", well, f"{name} ({channel.type}): {told or 'set up'}", hint))
    return checks


def _engines() -> list[Check]:
    """Engines elsewhere that are set up, or that a deployment is for."""
    checks = []
    try:
        with reading() as penstock:
            used = {engine_of(stored) for stored in penstock.journal.deployments()}
            engines = Engines(penstock)
            for name in engines:
                try:
                    checks.append(Check(f"engine {name}", True, engines.get(name).status()))
                except (ConfigurationError, MissingExtra) as error:
                    if name in used:
                        checks.append(Check(f"engine {name}", False, error.message, error.hint))
                except PenstockError as error:
                    checks.append(Check(f"engine {name}", False, error.message, error.hint))
            engines.close()
    except PenstockError:  # the journal; that was told
        pass
    return checks


def _extras() -> list[Extra]:
    try:
        lines: list[str] | None = requires("penstock") or []
    except PackageNotFoundError:
        lines = None
    found = []
    for name, (feature, room) in EXTRAS.items():
        wanted = [line for line in lines or () if re.search(rf"extra *== *['\"]{name}['\"]", line)]
        missing = [told for line in wanted if (told := _missing(line))]
        if lines is None:
            missing = ["not known: Penstock itself is not installed, it runs from its source"]
        found.append(Extra(name, feature, _is_there(room), missing))
    return found


def _is_there(room: str) -> bool:
    try:
        return find_spec(room) is not None
    except ModuleNotFoundError:
        return False


def _missing(requirement: str) -> str | None:
    """A package that is not installed, or too old; None when it is well."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    floor = re.search(r">= *([0-9][0-9.]*)", requirement)
    if name is None:
        return None
    try:
        there = version(name[0])
    except PackageNotFoundError:
        return name[0]
    if floor is not None and _numbers(there) < _numbers(floor[1]):
        return f"{name[0]} {there} (needs {floor[1]})"
    return None


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release.split("+")[0])[:3])


def _write(checks: list[Check], extras: list[Extra], well: bool) -> None:
    for check in checks:
        sign = (glyph("Completed"), "green") if check.ok else (glyph("Failed"), "red")
        write(text(sign, f" {check.name:<8}  ", clean(check.detail)), wrap=True)
        if not check.ok and check.hint:
            write(text(("Hint: ", "cyan"), clean(check.hint)), wrap=True, indent=12)
    write()
    rows: list[list[Any]] = []
    for extra in extras:
        if not extra.available:
            state: Any = text(("in a later release", "bright_black"))
        elif extra.missing:
            state = text(("not installed: ", "yellow"), extra.install)
        else:
            state = text(("installed", "green"))
        rows.append([text((extra.name, "cyan")), extra.feature, state])
    write_table([Column("extra"), Column("gives", least=12, leaves=1), Column("")], rows)
    write()
    bad = [check.name for check in checks if not check.ok]
    told = "All is well." if well else fitting(f"{counted(len(bad), 'problem')}: {', '.join(bad)}.")
    write(text((told, "bold green" if well else "bold red")))


command = typer.main.get_command(app)
