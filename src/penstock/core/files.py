"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal


@contextmanager
def atomic_write(
    path: str | os.PathLike[str],
    mode: Literal["w", "wb"] = "w",
    *,
    encoding: str = "utf-8",
    sync: bool = True,
    private: bool = False,
) -> Iterator[IO[Any]]:
    """Write a file that appears, or takes the place of another one, when all of it is there.

    It is written beside its place and renamed at the end of the block. Where the block raises, or the process is killed
    or has no space left, what was at the path is there as before. A killed process may leave a file
    `.NAME.*.part` behind, which nothing reads.

    Args:
        path: where. Its folder must be there; a link is followed.
        mode: `w` for text, `wb` for bytes.
        encoding: of text.
        sync: have the file survive a power loss, too (fsync).
        private: only its owner can read it, whatever could be done with the one that was there.

    Raises:
        OSError: it cannot be written.

    Example:
        with atomic_write("report.json") as file:
            json.dump(report, file)
    """
    target = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, mode, encoding=None if mode == "wb" else encoding) as file:
            os.chmod(name, 0o600 if private else _permissions(target))
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    if sync:
        _sync_folder(target.parent)


def _permissions(target: Path) -> int:
    """Those of the file that was there, or of any new file."""
    with suppress(OSError):
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
