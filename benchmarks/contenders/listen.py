"""Very many listeners of one server, in a process of its own.

    python listen.py PLAN

The plan is a JSON file: `port`, `count`, `path`, `headers`, `kind` (`sse` or `websocket`), `first` (what a listener
of a websocket says first) and `publish`: requests as `load.py` knows them, each with `mark-N.` in its body. When all
listen, they are sent one after the other; noted is when each mark has come to each listener.
"""

import asyncio
import gc
import json
import os
import re
import sys
from time import perf_counter
from typing import Any, cast

from load import Connection, message_of, percentile

MARK = re.compile(rb"mark-(\d+)\.")
BETWEEN_SECONDS = 0.5
PATIENCE_SECONDS = 30.0
LONGEST_MARK = 20
TEXT, PING, PONG, LAST = 0x1, 0x9, 0xA, 0x80


class Listener(asyncio.Protocol):
    """One of them. It does as little as can be: what it takes to hear is a part of what is measured.

    Args:
        crowd: all of them.
        number: of this one.
    """

    def __init__(self, crowd: "Listeners", number: int) -> None:
        self.crowd = crowd
        self.number = number
        self.entered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._hear = self._frames if crowd.socket else self._marks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.crowd.request)

    def connection_lost(self, exc: Exception | None) -> None:
        """What comes later is not heard."""
        if not self.entered.done():
            self.entered.set_exception(exc or ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        """Note what is heard; first of all comes the head of the answer."""
        moment = perf_counter()
        data = self._rest + data
        if not self.entered.done():
            head, ended, rest = data.partition(b"\r\n\r\n")
            if not ended:
                self._rest = data
                return
            self.entered.set_result(int(head.split(b" ", 2)[1]))
            data = rest
        self._rest = self._hear(data, moment)

    def _marks(self, data: bytes, moment: float) -> bytes:
        end = self.crowd.note(self.number, data, moment)
        return data[max(end, len(data) - LONGEST_MARK) :]

    def _frames(self, data: bytes, moment: float) -> bytes:
        while (frame := frame_of(data)) is not None:
            kind, text, data = frame
            if kind == PING:  # whoever does not answer is hung up on
                self.transport.write(framed(text, PONG))
            else:
                self.crowd.note(self.number, text, moment)
        return data


class Listeners:
    """All of them, and what they have heard."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.port = int(plan["port"])
        self.socket = plan["kind"] == "websocket"
        self.request = message_of(self.port, "GET", plan["path"], {**plan["headers"], **self._wanted()}, "")
        self.heard: dict[tuple[int, int], float] = {}
        self.twice = 0

    def _wanted(self) -> dict[str, str]:
        if not self.socket:
            return {"Accept": "text/event-stream"}
        return {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol": "prefect",
        }

    async def run(self) -> dict[str, Any]:
        """Listen, publish, and tell how long it took until each of them had heard each mark."""
        began = perf_counter()
        listeners = [await self._entered(number) for number in range(self.plan["count"])]
        connected = perf_counter() - began
        await asyncio.sleep(1.0)
        door, sent = Connection(self.port), []
        for request in self.plan["publish"]:
            sent.append(perf_counter())
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    status, _, _ = await door.insist(message_of(self.port, *request))
            except TimeoutError:
                raise SystemExit(f"error: {request[1]} was not answered within {PATIENCE_SECONDS:g} s") from None
            if status >= 300:
                raise SystemExit(f"error: what is to be heard was answered {status}")
            await asyncio.sleep(BETWEEN_SECONDS)
        wanted = len(sent) * len(listeners)
        deadline = perf_counter() + PATIENCE_SECONDS
        while len(self.heard) < wanted and perf_counter() < deadline:
            await asyncio.sleep(0.1)
        for each in listeners:
            each.transport.close()
        door.close()
        lags = [moment - sent[mark] for (_, mark), moment in self.heard.items()]
        if not lags:
            raise SystemExit("error: nothing was heard")
        told = {f"p{rank}": percentile(lags, rank) for rank in (50, 99)}
        counts = {"executed": wanted, "recorded": len(lags), "doubled": self.twice}
        return {**counts, **told, "worst": max(lags), "connected_seconds": connected}

    async def _entered(self, number: int) -> Listener:
        loop = asyncio.get_running_loop()
        _, listener = await loop.create_connection(lambda: Listener(self, number), "127.0.0.1", self.port)
        status = await listener.entered
        if status != (101 if self.socket else 200):
            raise SystemExit(f"error: a listener was answered {status}")
        for text in self.plan["first"]:
            listener.transport.write(framed(text.encode()))
        return listener

    def note(self, number: int, data: bytes, moment: float) -> int:
        """Note what has been heard; where the last of it ends."""
        end = 0
        for found in MARK.finditer(data):
            end = found.end()
            key = (number, int(found.group(1)))
            self.twice += key in self.heard
            self.heard.setdefault(key, moment)
        return end


def frame_of(data: bytes) -> tuple[int, bytes, bytes] | None:
    """What came over a websocket: the kind and the content of the first frame, and what is behind it; None as yet."""
    if len(data) < 2:
        return None
    size, begin = data[1], 2
    if size >= 126:
        begin = 4 if size == 126 else 10
        size = int.from_bytes(data[2:begin], "big")
    if len(data) < begin or len(data) < begin + size:
        return None
    return data[0] & 0x0F, data[begin : begin + size], data[begin + size :]


def framed(text: bytes, kind: int = TEXT) -> bytes:
    """A text as a client sends it over a websocket: masked."""
    mask = os.urandom(4)
    size = bytes([LAST | len(text)]) if len(text) < 126 else bytes([LAST | 126]) + len(text).to_bytes(2, "big")
    return bytes([LAST | kind]) + size + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    gc.disable()  # its pauses would count as the server's
    print(json.dumps(asyncio.run(Listeners(plan).run())), flush=True)


if __name__ == "__main__":
    main()
