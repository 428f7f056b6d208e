"""Where the keys of saved connections are: in PENSTOCK_KEY, or in a file that only its owner can read."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.core.errors import ConfigurationError
from penstock.core.files import atomic_write
from penstock.core.secrets import Secret
from penstock.engine.connections.sealing import Key, new_key

VARIABLE = "PENSTOCK_KEY"
FILE_VARIABLE = "PENSTOCK_KEY_FILE"
_FILE = "connections.key"
_HEAD = """\
# Keys of saved connections, the newest first, each with the journal it was made for.
# Whoever has this file can read what is sealed with them; without it, nobody can.
"""


class Keys:
    """The keys of this place for one journal.

    Args:
        home: the folder of the key file.
        variable: gives variables of the environment: PENSTOCK_KEY holds a key, or several with commas between them,
            and PENSTOCK_KEY_FILE is another file.
        journal: gives the identity of the journal. Several journals may share a file, each with keys of its own.
    """

    def __init__(self, home: Path, variable: Callable[[str], str | None], journal: Callable[[], str]) -> None:
        file = variable(FILE_VARIABLE)
        self.file = Path(file).expanduser() if file else home / _FILE
        self._home = home
        self._given = Secret((variable(VARIABLE) or "").strip())
        self._journal = journal

    @property
    def from_environment(self) -> bool:
        """PENSTOCK_KEY is set; the file is then only read, to open what was sealed before."""
        return bool(self._given)

    @property
    def place(self) -> str:
        """Where the key is that seals."""
        return VARIABLE if self.from_environment else str(self.file)

    def sealing(self) -> Key | None:
        """The key that seals; None where there is none yet.

        Raises:
            ConfigurationError: something is no key, or others can read the file.
        """
        given = self._from_environment()
        return given[0] if given else next((key for key in self.in_file() if self._is_ours(key)), None)

    def opening(self) -> list[Key]:
        """Every key there is.

        Raises:
            ConfigurationError: see `sealing`.
        """
        return [*self._from_environment(), *self.in_file()]

    def _from_environment(self) -> list[Key]:
        return _keys([Secret(part) for part in self._given.reveal().split(",")], VARIABLE)

    def _is_ours(self, key: Key) -> bool:
        return key.journal in ("", self._journal())

    def in_file(self) -> list[Key]:
        """The keys of the file, the newest first."""
        try:
            with open(self.file, encoding="ascii", errors="replace") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                lines = [Secret(line) for line in file.read().splitlines() if not line.startswith("#")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(
                f"The key file {self.file} cannot be read: {error.strerror}.", hint=f"mend it, or set {VARIABLE}"
            ) from None
        if mode & 0o077:
            raise ConfigurationError(
                f"Others can read the key file {self.file}.", hint=f"take that away: chmod 600 {self.file}"
            )
        return _keys(lines, str(self.file))

    def make(self) -> Key:
        """A new key, put before those in the file, which only its owner can read."""
        key = new_key(self._journal())
        self._write([key, *self.in_file()])
        return key

    def drop(self, needed: set[str]) -> int:
        """Remove keys from the file that were made for this journal, but for these (by id); how many they were."""
        keys = self.in_file()
        stay = [key for key in keys if key.id in needed or key.journal != self._journal()]
        if len(stay) < len(keys):
            self._write(stay)
        return len(keys) - len(stay)

    def _write(self, keys: list[Key]) -> None:
        """Put these keys into the file, in one step that survives a power loss."""
        self._make_folder()
        try:
            with atomic_write(self.file, encoding="ascii", private=True) as file:
                file.write(_HEAD + "".join(f"{key.text.reveal()} {key.journal}".rstrip() + "\n" for key in keys))
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"The key file {self.file} cannot be written: {error.strerror}.",
            hint=f"make its folder writable, or set {VARIABLE} (penstock connection new-key makes a key)",
        )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold what one process at a time can hold, while it seals with a key of the file, makes one, or removes some.

        So nothing is sealed with a key that is about to go, or that another process has overwritten.
        """
        if self.from_environment and not self.file.exists():
            yield
            return
        self._make_folder()
        try:
            handle = open(self.file.with_name(f"{self.file.name}.lock"), "a")  # noqa: SIM115
        except OSError as error:
            raise self._unwritable(error) from None
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _make_folder(self) -> None:
        """As the journal does it: what is in the home folder is not meant for a repository."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            if self._home.name == ".penstock" and self._home.is_dir() and not (self._home / ".gitignore").exists():
                (self._home / ".gitignore").write_text("*\n")
        except OSError as error:
            raise self._unwritable(error) from None


def _keys(lines: list[Secret], place: str) -> list[Key]:
    """Keys, each with the journal it was made for behind it."""
    found: list[Key] = []
    for number, line in enumerate((line for line in lines if line.reveal().strip()), start=1):
        text, journal = (*map(Secret, line.reveal().split(maxsplit=1)), Secret(""))[:2]
        try:
            found.append(Key(text, journal.reveal().strip()))
        except ConfigurationError as error:
            raise ConfigurationError(f"Key {number} of {place} is no key. {error.message}", hint=error.hint) from None
    return found
