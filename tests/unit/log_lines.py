"""Lines of access logs, ordinary and hostile, and what is read from them the slow way."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from penstock.processing.logs import access

PLAIN = b'83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1 HTTP/1.1" 200 203 "-" "Mozilla/5.0 (X11)"'
HOSTILE = [
    PLAIN,
    PLAIN + b"\r",
    b'2001:db8::1 - - [17/May/2015:10:05:03 +0200] "POST /cart HTTP/2.0" 302 - "https://shop.example/" "curl/8"',
    b'10.0.0.1 - ada [17/May/2015:10:05:04 -0330] "HEAD / HTTP/1.0" 404 0 "-" "-"',
    b'10.0.0.1 - John Doe [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
    b'10.0.0.1 id ada [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
    b'a b - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
    b' - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
    b'x  - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
    b'x - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
    b'x - -  [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "say \\"hi\\" now"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "ends with a backslash\\"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 5 "-" "two backslashes\\\\"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET /\\" HTTP/1.1" 200 5 "-" "-',
    b'x - - [17/May/2015:10:05:04 +0000] "GET /cut HTTP/1.1" 200 5 "-" "Mozilla',
    b'x - - [17/May/2015:10:05:04 +0000] "GET /raw"quote HTTP/1.1" 200 5 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 123456789012 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12345678 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 1234567890123456789 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 1a "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 2:0 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 20 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 999 12 "-" "-"',
    b'x - - [31/Feb/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/Foo/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:24:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:60 +0000] "GET / HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +9900] "GET / HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 0000] "GET / HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000]  "GET / HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "" 400 0 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "-" 408 - "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "\\x16\\x03\\x01" 400 226 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET /no/protocol" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET  HTTP/1.1" 400 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET HTTP/1.1" 400 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "BREW /pot HTTP/1.1" 418 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "PROPFIND /dav?a?b HTTP/1.1" 207 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "OPTIONS * HTTP/3" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET /a b c HTTP/1.1" 200 12 "http://q?r" "who?"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET ? HTTP/1.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET /?  HTTP/x.1" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/0.0" 200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 0.123',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 1234.567\r',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 0.1234',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 12',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" .123',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" ',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-"0.123',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" "10.9.8.7"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "-" "10.9.8.7" 0.250',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-"  "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12  "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1"  200 12 "-" "-"',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12',
    b'x - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 -',
    b'x - - [17/May/2015:10:05:04 +0000] "GET /\\" 200 7',
    b"\xff\xfe\x00\x01 binary \x80",
    b"\x00" * 50,
    b'""""""',
    b'"',
    b"",
    b"   ",
    b"\r",
    b"word",
    '10.0.0.1 - - [17/May/2015:10:05:04 +0000] "GET /größe HTTP/1.1" 200 12 "-" "ü"'.encode(),
    b'x - - [17/May/2015:10:05:04 +0000] "GET /\xff\xfe HTTP/1.1" 200 12 "-" "\x80"',
    b'x - - [17/May/2015:10:05:04 +0000] - [17/May/2015:10:05:05 +0000] "GET / HTTP/1.1" 200 12 "-" "-"',
]

_BITS = [b'"', b" ", b"\\", b"-", b"[", b"]", b"?", b"0", b"9", b":", b"/", b".", b"\r", b"\x00", b"\xff", b"HTTP/1.1"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A line with a few bytes replaced, put in or taken out."""
    line = draw(st.sampled_from(HOSTILE))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        width = draw(st.sampled_from([0, 0, 1, 1, 2, 9]))
        line = line[:at] + draw(st.sampled_from([b"", *_BITS])) + line[at + width :]
    return line


def told(line: bytes) -> dict[str, Any] | None:
    """What the strict reader says of a line, as the frames say it."""
    entry = access.read(line)
    if entry is None:
        return None

    def text(value: bytes | None) -> str | None:
        if value is None:
            return None
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.decode("utf-8", "backslashreplace")

    def named(value: bytes | None) -> str | None:
        return None if value == b"-" else text(value)

    return {
        "time": datetime.datetime.fromtimestamp(entry.at, datetime.UTC),
        "client": text(entry.client),
        "ident": named(entry.ident),
        "user": named(entry.user),
        "method": access.METHODS[entry.method].decode() or None,
        "path": text(entry.path),
        "query": text(entry.query),
        "protocol": f"HTTP/{entry.protocol // 10}.{entry.protocol % 10}" if entry.method else None,
        "status": entry.status,
        "bytes": entry.size if entry.size >= 0 else None,
        "referrer": named(entry.referrer),
        "agent": named(entry.agent),
        "seconds": entry.taken,
    }


def write(path: Path, lines: list[bytes], end: bytes = b"\n") -> Path:
    """A log of these lines."""
    path.write_bytes(b"\n".join(lines) + (end if lines else b""))
    return path
