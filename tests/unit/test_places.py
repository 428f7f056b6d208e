"""Exceptions that are sent to threads: they arrive, or are taken back, and nobody else notices."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import sys, threading, time
from penstock.engine.places import Place, call_user_code
from penstock.core.context import worker

class Late(BaseException):
    pass

def watched():
    seen = []
    sys.setprofile(lambda frame, event, _: seen.append(event))
    (lambda: None)()
    sys.setprofile(None)
    return "call" in seen
"""
SWALLOWED = """
place = worker.place = Place()
def ignores():
    try:
        place.interrupt(Late)
        while True:
            pass
    except Late:
        return "done"
try:
    call_user_code(ignores, (), {})
except Late:
    print("told")
worker.place = None
print(watched())
"""
WAITS = """
places, found, gate = [], [], threading.Lock()
def waits():
    place = worker.place = Place()
    def long():
        places.append(place)
        gate.acquire()
        return sum(range(10))
    try:
        call_user_code(long, (), {})
    except Late:
        found.append("arrived")
gate.acquire()
thread = threading.Thread(target=waits)
thread.start()
while not places:
    time.sleep(0.01)
time.sleep(1)
places[0].interrupt(Late)
print(watched(), thread.is_alive())
gate.release()
thread.join()
print(found)
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [(SWALLOWED, "told\nTrue\n"), (WAITS, "True True\n['arrived']\n")],
    ids=["swallowed", "waits"],
)
def test_what_is_sent_to_one_thread_keeps_no_profiler_waiting(code: str, said: str) -> None:
    """On Python 3.11 a thread that is watched would look for it, and do nothing else, for ever."""
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (said, "")
