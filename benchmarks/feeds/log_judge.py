"""Says what is in an access log, and what was answered about it: in plain Python, which looks at every line.

    python log_judge.py expect FILE         what there is; FILE.planted.json, which its maker left, has to agree
    python log_judge.py look ANSWER         what a contender's answer says
    python log_judge.py write FROM TO LINES PER_SECOND READY MARKS
                                            so many lines, evenly, once READY is there; when each piece was, to MARKS

Each prints one line of JSON.
"""

import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

FIRST = 10
METHODS = {b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"}
PIECES_PER_SECOND = 100
PATIENCE = 60.0


def parsed(line: bytes) -> tuple[bytes, bytes, bytes, int] | None:
    """Time, path, status and bytes of a line; None where it is no line of a log. Its date is not looked at."""
    parts = line.rstrip(b"\r\n").split(b'"')
    if len(parts) != 7 or parts[6]:
        return None
    who, request, numbers = parts[0].split(b" "), parts[1].split(b" "), parts[2].split(b" ")
    if len(who) != 6 or who[3][:1] != b"[" or who[4][-1:] != b"]" or len(numbers) != 4:
        return None
    if len(request) != 3 or request[0] not in METHODS or not numbers[1].isdigit():
        return None
    if numbers[2] != b"-" and not numbers[2].isdigit():
        return None
    return who[3][1:18], request[1].partition(b"?")[0], numbers[1], 0 if numbers[2] == b"-" else int(numbers[2])


def minute_of(told: bytes) -> int | None:
    """A minute as a number, from 1970 on; None where there is no such minute."""
    try:
        return int(datetime.strptime(told.decode(), "%d/%b/%Y:%H:%M").replace(tzinfo=UTC).timestamp()) // 60
    except ValueError:
        return None


def expect(path: str) -> dict[str, int]:
    groups: Counter[tuple[bytes, bytes]] = Counter()
    sizes: Counter[tuple[bytes, bytes]] = Counter()
    paths: Counter[bytes] = Counter()
    known: dict[bytes, int | None] = {}
    lenient: Counter[bytes] = Counter()
    lines = not_found = 0
    with open(path, "rb") as file:
        for line in file:
            lines += 1
            not_found += b'" 404 ' in line
            found = parsed(line)
            if found is None:
                nearly = parsed(line.rstrip(b"\r\n") + b'"')
                lenient[nearly[2] if nearly else b""] += 1
                continue
            told, asked, status, size = found
            lenient[status] += 1
            if told not in known:
                known[told] = minute_of(told)
            if known[told] is None:
                continue
            groups[told, status] += 1
            sizes[told, status] += size
            paths[asked] += 1
    table = [[known[told] or 0, int(status), n, sizes[told, status]] for (told, status), n in groups.items()]
    first = sorted(paths.items(), key=lambda pair: (-pair[1], pair[0]))[:FIRST]
    facts = facts_of(table, [[path.decode(), n] for path, n in first])
    planted = json.loads(Path(f"{path}.planted.json").read_text(encoding="utf-8"))
    if (planted["lines"], len(planted["malformed"])) != (lines, lines - facts["requests"]):
        sys.exit("error: the log is not what its maker says")
    return {**facts, "lines": lines, "not_found": not_found, **counted_leniently(lenient)}


def counted_leniently(statuses: Counter[bytes]) -> dict[str, int]:
    """For those to whom a day that the month does not have is one, and a line that is cut in its agent a line."""
    told = {f"lenient_{status.decode()}": n for status, n in statuses.items() if status}
    return {"lenient": sum(told.values()), **told}


def facts_of(groups: list[list[int]], paths: list[Any]) -> dict[str, int]:
    """An answer as few numbers: sums, by which an error is understood, and checksums, which no error passes."""
    table = sorted(map(tuple, groups))
    return {
        "requests": sum(row[2] for row in table),
        "bytes": sum(row[3] for row in table),
        "groups": len(table),
        "all_groups": crc32(repr(table).encode()),
        "first_path": int(paths[0][1]) if paths else 0,
        "all_paths": crc32(repr([tuple(pair) for pair in paths]).encode()),
    }


def look(path: str) -> dict[str, int]:
    answer = json.loads(Path(path).read_text(encoding="utf-8"))
    return facts_of(answer["groups"], answer["paths"])


def write(source: str, into: str, lines: str, per_second: str, ready: str, marks: str) -> dict[str, int]:
    """Each piece is written at its own moment, however late the one before it was."""
    wanted, piece = int(lines), int(per_second) // PIECES_PER_SECOND
    with open(source, "rb") as file:
        pieces = [b"".join(next(file) for _ in range(piece)) for _ in range(wanted // piece)]
    deadline = time.monotonic() + PATIENCE
    while not Path(ready).exists():
        if time.monotonic() > deadline:
            sys.exit("error: nobody reads")
        time.sleep(0.05)
    told = []
    with open(into, "ab", buffering=0) as file:
        began = time.monotonic()
        for number, some in enumerate(pieces):
            time.sleep(max(began + number / PIECES_PER_SECOND - time.monotonic(), 0))
            told.append(f"{(number + 1) * piece} {time.monotonic()}\n")
            file.write(some)
    Path(marks).write_text("".join(told), encoding="ascii")
    return {"lines": len(pieces) * piece}


def main() -> None:
    command, *arguments = sys.argv[1:]
    print(json.dumps({"expect": expect, "look": look, "write": write}[command](*arguments)))


if __name__ == "__main__":
    main()
