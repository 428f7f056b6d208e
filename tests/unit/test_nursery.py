"""The process that begins runs for a worker, when the worker is gone."""

from __future__ import annotations

import socket

import pytest

from penstock.orchestrator.nursery import Nursery


@pytest.mark.parametrize("unread", [b"", b"something that it was told"], ids=["ended", "killed"])
def test_it_ends_when_its_worker_is_gone(unread: bytes) -> None:
    """A connection whose other end is closed with something unread is reset."""
    worker, channel = socket.socketpair()
    with channel:
        channel.sendall(unread)
        worker.close()
        assert not Nursery(channel, "flow.py:flow")._orders()
