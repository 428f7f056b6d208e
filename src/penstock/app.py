"""The composition root: settings in, a wired Penstock out."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core import typed
from penstock.core.errors import ConfigurationError
from penstock.core.extras import LateModule, require
from penstock.core.levels import LEVELS
from penstock.core.model import Run
from penstock.core.ports import Journal, ResultStore
from penstock.engine import recovery
from penstock.engine.local import LocalEngine
from penstock.engine.logs import install
from penstock.engine.project import penstock_table, project_file
from penstock.journal.results import FileResultStore
from penstock.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from penstock.core.profiles import Profile

_profiles: Any = LateModule("penstock.core.profiles")
_replies: Any = LateModule("penstock.engine.waiting.replies")
_uploads: Any = LateModule("penstock.engine.uploads")
_retention: Any = LateModule("penstock.core.retention")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How Penstock is set up; each field is also `PENSTOCK_<NAME>` in the environment.

    Attributes:
        home: folder of the journal and the results; default `.penstock` beside the nearest pyproject.toml.
        database_url: a `postgresql://` URL to keep the journal there instead of in the home folder.
        durability: `normal` survives the death of the process, `full` also a power loss (an fsync per commit).
        lease_seconds: when nothing is heard of a run's process for so long, the run may be taken over.
        suspend_seconds: a run of a worker that waits for longer than this gives its process and its slot up meanwhile.
        inline_bytes: results up to this size are kept in the journal, larger ones in files.
        max_workers: threads of the default task runner.
        refresh_cache: execute tasks although their results are cached, and cache the new ones.
        retention_keep: how long runs that completed or were cancelled are kept, such as 90d; off to keep them for ever.
        retention_keep_failed: the same for runs that failed or crashed.
        call_hosts: hosts that automations may call though they are not of the internet: names, globs, addresses and
            networks, with commas; in a file also a list.
        engine_patience_seconds: how long an engine elsewhere that does not answer is waited for.
        public_url: where people reach the server, for links in messages, such as https://penstock.example.com.
        log_level: what is logged to the journal and to stderr: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        log_console: also write log lines of runs to stderr.
        log_format: of log lines on stderr: text for people, json for programs.
    """

    home: str = ""
    database_url: str = ""
    durability: str = "normal"
    lease_seconds: float = 30.0
    suspend_seconds: float = 5.0
    inline_bytes: int = 16_384
    max_workers: int = 64
    refresh_cache: bool = False
    retention_keep: str = "90d"
    retention_keep_failed: str = "180d"
    call_hosts: str = ""
    engine_patience_seconds: float = 3600.0
    public_url: str = ""
    log_level: str = "INFO"
    log_console: bool = True
    log_format: str = "text"

    @property
    def level(self) -> int:
        """`log_level`, as Python's number."""
        return LEVELS[self.log_level.upper()]


def project_home(start: Path) -> Path:
    """`.penstock` beside the nearest pyproject.toml or existing `.penstock`, else in the starting folder."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() or (folder / ".penstock").is_dir():
            return folder / ".penstock"
    return start / ".penstock"


def load_settings(environ: Mapping[str, str] | None = None, start: Path | None = None) -> Settings:
    """Settings from the environment, over the profile that it names, over `[tool.penstock]`, over the defaults.

    `[tool.penstock]` is in the nearest pyproject.toml. The variables of the profile are set in the environment of
    this process, where it does not have them; not where another environment is given.

    Raises:
        ConfigurationError: a value that cannot be, or a name that is none.
    """
    start = Path.cwd() if start is None else start
    values: dict[str, object] = dict(_from_pyproject(start))
    profile = chosen_profile(environ, start)
    if profile is not None:
        values |= profile.settings
        if environ is None:
            _enter(profile)
    environ = os.environ if environ is None else environ
    for field in Settings.__struct_fields__:
        given = environ.get(f"PENSTOCK_{field.upper()}")
        if given:
            values[field] = given
    hosts = values.get("call_hosts")
    if isinstance(hosts, list) and all(isinstance(host, str) for host in hosts):
        values["call_hosts"] = ", ".join(hosts)
    try:
        settings = typed.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"A Penstock setting is wrong: {error}.", hint="see the settings page") from None
    if settings.durability not in ("normal", "full"):
        raise ConfigurationError(f"durability is {settings.durability!r}.", hint="set it to normal or full")
    if settings.log_level.upper() not in LEVELS:
        raise ConfigurationError(f"log_level is {settings.log_level!r}.", hint=f"set it to one of {', '.join(LEVELS)}")
    if settings.log_format not in ("text", "json"):
        raise ConfigurationError(f"log_format is {settings.log_format!r}.", hint="set it to text or json")
    if settings.lease_seconds <= 0 or settings.max_workers < 1:
        raise ConfigurationError("lease_seconds and max_workers must be greater than 0.")
    if settings.suspend_seconds < 0 or settings.engine_patience_seconds < 0:
        raise ConfigurationError("suspend_seconds and engine_patience_seconds must be at least 0.")
    if values.keys() & {"retention_keep", "retention_keep_failed"}:
        keep_of(settings)
    home = Path(settings.home).expanduser() if settings.home else project_home(start)
    return msgspec.structs.replace(settings, home=str(home.absolute()))


def chosen_profile(environ: Mapping[str, str] | None = None, start: Path | None = None) -> Profile | None:
    """The profile that `PENSTOCK_PROFILE` names, as NAME or as NAME@FILE; None where it names none.

    Raises:
        ConfigurationError: there is no such profile, or something in it cannot be.
    """
    environ = os.environ if environ is None else environ
    name, _, place = environ.get("PENSTOCK_PROFILE", "").partition("@")
    if not name:
        return None
    file = Path(place) if place else project_file((Path.cwd() if start is None else start).absolute())
    if file is None:
        raise ConfigurationError(
            f"There is no profile {name!r}: there is no pyproject.toml here or above.",
            hint="profiles are tables [tool.penstock.profiles.NAME] in it",
        )
    tables = _profiles.tables_of(penstock_table(file).get("profiles", {}), str(file))
    found: Profile = _profiles.profile_of(tables, name, str(file), environ, Settings.__struct_fields__)
    return found


def _enter(profile: Profile) -> None:
    """Have this process, and those that it starts in whatever folder, use the profile."""
    for name, value in profile.environment.items():
        if not os.environ.get(name):
            os.environ[name] = value
    os.environ["PENSTOCK_PROFILE"] = f"{profile.name}@{profile.file}"


def _from_pyproject(start: Path) -> dict[str, object]:
    file = project_file(start)
    table = penstock_table(file) if file is not None else {}
    fields = Settings.__struct_fields__
    known = {name: value for name, value in table.items() if name in fields or not isinstance(value, dict)}
    retention = table.get("retention")
    if isinstance(retention, dict):
        known |= {f"retention_{name}": value for name, value in retention.items()}
    unknown = set(known) - set(fields)
    if unknown:
        raise ConfigurationError(
            f"[tool.penstock] has unknown settings: {', '.join(sorted(unknown))}.",
            hint=f"there are: {', '.join(fields)}",
        )
    return known


def keep_of(settings: Settings) -> Any:
    """For how long ended runs are kept (see `core.retention.Keep`).

    Raises:
        ConfigurationError: a setting is no length of time.
    """
    return _retention.keep_of(settings.retention_keep, settings.retention_keep_failed)


class Penstock:
    """Everything wired together.

    Args:
        settings: how; from the environment when left out.
        journal: another journal than the settings name (for tests).
        results: another result store (for tests).
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        journal: Journal | None = None,
        results: ResultStore | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.home = Path(self.settings.home)
        full = self.settings.durability == "full"
        self.journal = journal or open_journal(self.settings)
        self.results = results or FileResultStore(
            self.home / "results",
            inline_bytes=self.settings.inline_bytes,
            sync=full,
            journal=self.journal.identity,
        )
        self.engine = LocalEngine(
            self.journal,
            self.results,
            lease_seconds=self.settings.lease_seconds,
            suspend_seconds=self.settings.suspend_seconds,
            max_workers=self.settings.max_workers,
            refresh_cache=self.settings.refresh_cache,
            files=lambda: self.files,
        )
        install(self.settings.level, self.settings.log_console, self.settings.log_format)

    @cached_property
    def files(self) -> Any:
        """Files that were sent in; see `penstock.engine.uploads.FileShelf`."""
        full = self.settings.durability == "full"
        return _uploads.FileShelf(self.home / "files" / self.journal.identity(), sync=full)

    @contextmanager
    def activate(self) -> Iterator[Penstock]:
        """Let the flows of this process run on this instance, inside the `with` block."""
        _active.append(self)
        try:
            yield self
        finally:
            _active.remove(self)

    def resume(self, run_id: str, flow: Any = None, *, return_state: bool = False) -> Any:
        """Go on with a run; see `penstock.engine.recovery.resume`."""
        return recovery.resume(self.engine, run_id, flow, return_state=return_state)

    def close(self) -> None:
        """Release the journal."""
        self.journal.close()


_POSTGRES = ("postgresql://", "postgres://")


def _postgres() -> Any:
    require("psycopg", "postgres")
    return require("penstock.journal.postgres", "postgres")


def import_journal(settings: Settings) -> None:
    """Import what `open_journal` will need, in a process that has others do it."""
    if settings.database_url.startswith(_POSTGRES):
        _postgres()


def open_journal(settings: Settings, *, patient: bool = False) -> Journal:
    """The journal the settings name.

    Args:
        settings: which one.
        patient: it has been open in another process: wait for a server that is away, instead of refusing at once.

    Raises:
        JournalError: it cannot be opened; nothing was changed.
        ConfigurationError: the URL is none.
    """
    url = settings.database_url
    full = settings.durability == "full"
    if not url:
        return SqliteJournal(Path(settings.home) / "journal.db", full=full)
    if url.startswith(_POSTGRES):
        journal: Journal = _postgres().PostgresJournal(url, patient=patient)
        return journal
    if url.startswith("sqlite:///"):
        return SqliteJournal(Path(url.removeprefix("sqlite:///")), full=full)
    raise ConfigurationError(
        f"database_url {url.split('@')[-1]!r} is not understood.",
        hint="use postgresql://USER@HOST:PORT/DATABASE",
    )


_active: list[Penstock] = []
_default: list[Penstock] = []
_lock = threading.Lock()


def current() -> Penstock:
    """The active Penstock; made from the settings when it is first needed."""
    if _active:
        return _active[-1]
    if not _default:
        with _lock:
            if not _default:
                _default.append(Penstock())
    return _default[0]


def current_home() -> Path:
    """The home folder of the active Penstock, or of the settings; no journal is opened for it."""
    return _active[-1].home if _active else Path(load_settings().home)


def reset() -> None:
    """Forget the default instance, so that the next use reads the settings again."""
    with _lock:
        for instance in _default:
            instance.close()
        _default.clear()


def resume(run_id: str, flow: Any = None, *, return_state: bool = False) -> Any:
    """Go on with a run of this project; see `penstock runs resume`.

    Raises:
        RunNotFound, RunNotResumable: with what to do instead.
    """
    return current().resume(run_id, flow, return_state=return_state)


def answer_run(run_id: str, value: Any = None, *, by: str | None = None, step: str | None = None) -> Run:
    """Answer what a run of this project asks; see `penstock runs answer`.

    Args:
        run_id: its id, the beginning or the end of its id, or its name.
        value: the answer, of the type that was asked for or as JSON would have it; for an approval True, False or
            {"approved": True, "note": "..."}; nothing for a run that is only paused.
        by: who answers.
        step: which of its steps, where several ask.

    Returns:
        The run as it is then.

    Raises:
        NotWaiting: it asks nothing, was answered already, or the time for it is over.
        AnswerRefused: the answer does not fit; it tells every mistake, and the run goes on waiting.
        RunNotFound: there is no such run.
    """
    run: Run = _replies.reply(current().journal, run_id, value, by=by, step=step)
    return run
