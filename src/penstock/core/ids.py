"""Run ids that sort by time, names people can say, and what tells one process from another."""

from __future__ import annotations

import os
import random
import time


def _words(text: str) -> list[str]:
    return text.split()


_ADJECTIVES = _words("""
    amber brave bright calm clever copper crisp curious dapper eager early fabled fair fluent frosty gentle gilded
    glad golden green humble jolly keen kind lively lucid lucky mellow merry mild misty noble nimble patient placid
    proud quick quiet rapid ready rosy sage silent silver sleek smooth snowy solar spry steady still stout sunny
    sure swift tidal tidy tranquil upbeat velvet vivid warm willing wise witty young zesty
""")
_NOUNS = _words("""
    alder badger basin beacon beaver bison brook canal cedar cliff cobalt comet coral cove crane creek delta dipper
    dolphin falcon fern finch fjord geyser glacier grove gull harbor heron inlet jay kestrel lagoon lark loon lynx
    maple marlin marsh marten meadow meander moose newt oriole osprey otter owl petrel pike plover puffin rapids
    raven reef ridge river robin salmon seal sluice spring spruce stream swan tarn tern thrush tide trout turbine
    walrus weir willow wren
""")

_random = random.SystemRandom()


class Ids:
    """UUIDs of version 7 (RFC 9562): milliseconds, microseconds in place of some random bits, and random bits.

    Each sorts behind those that the same thread has made before. There is no lock, which a signal could leave taken:
    threads that make one in the same microsecond get them in any order.
    """

    def __init__(self) -> None:
        self._last = 0

    def new(self, at: int) -> str:
        """The next one.

        Args:
            at: now (microseconds).
        """
        at = self._last = max(self._last + 1, at)
        millis, rest = divmod(at, 1000)
        noise = int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1
        text = f"{(millis & (1 << 48) - 1) << 80 | 0x7 << 76 | rest << 64 | 0b10 << 62 | noise:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_runs = Ids()


def new_run_id() -> str:
    """The id of a run: it sorts by the time at which it was made."""
    return _runs.new(time.time_ns() // 1000)


def child_run_id(parent_id: str, key: str, generation: int) -> str:
    """The id of the subflow run started by one step: the same whenever the step is replayed.

    It keeps its parent's leading milliseconds, so that a listing shows families together.
    """
    import hashlib

    digest = hashlib.blake2b(f"{parent_id}/{key}/{generation}".encode(), digest_size=10).hexdigest()
    return f"{parent_id[:13]}-7{digest[:3]}-8{digest[3:6]}-{digest[6:18]}"


def derived_run_id(millis: int, *parts: str) -> str:
    """The id of a run that must exist once: the same whenever it is made from the same parts.

    Args:
        millis: its place among other runs (milliseconds since the epoch).
        parts: what it is made for, such as a deployment, a schedule and a due instant.
    """
    import hashlib

    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    time_part = f"{max(0, millis) & (1 << 48) - 1:012x}"
    return f"{time_part[:8]}-{time_part[8:]}-7{digest[:3]}-8{digest[3:6]}-{digest[6:18]}"


def new_run_name() -> str:
    """Two words, such as `amber-otter`."""
    return f"{_random.choice(_ADJECTIVES)}-{_random.choice(_NOUNS)}"


def run_name_of(run_id: str) -> str:
    """Two words that follow from a run's id, for runs that are made by the thousand."""
    number = int(run_id[-12:], 16)
    return f"{_ADJECTIVES[number % len(_ADJECTIVES)]}-{_NOUNS[number // len(_ADJECTIVES) % len(_NOUNS)]}"


def made_up(name: str, run_id: str) -> bool:
    """Whether a run has the name that follows from its id."""
    try:
        return name == run_name_of(run_id)
    except ValueError:  # an id of somebody's own
        return False


def process_start(pid: int) -> str | None:
    """What tells this process from a later one with the same number; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except FileNotFoundError:
        return _start_without_proc(pid)
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _start_without_proc(pid: int) -> str | None:
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "-"
    return "-"


def _host() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot:
            return f"{os.uname().nodename}/{boot.read(8)}"
    except OSError:
        return os.uname().nodename


def new_owner() -> str:
    """Names this process as the holder of a lease: host/boot, process, start, and a random part."""
    pid = os.getpid()
    return f"{_host()}|{pid}|{process_start(pid)}|{os.urandom(4).hex()}"


def owner_pid(owner: str) -> int | None:
    """The process number behind an owner, if it ran (or runs) on this machine since it was started."""
    parts = owner.split("|")
    return int(parts[1]) if len(parts) == 4 and parts[0] == _host() else None


def owner_is_dead(owner: str) -> bool | None:
    """True or False when the owner ran on this machine; None when only its lease can tell."""
    parts = owner.split("|")
    if len(parts) != 4:
        return None
    name, _, boot = parts[0].partition("/")
    here, _, this_boot = _host().partition("/")
    if name != here:
        return None
    if boot != this_boot:
        return True
    return process_start(int(parts[1])) != parts[2]
