"""What happens, sent to whoever listens while it happens."""

from penstock.control.streams.hub import Hub
from penstock.control.streams.room import make_room, room
from penstock.control.streams.sending import EventStream
from penstock.control.streams.subjects import EventsSubject, RunSubject, Subject

__all__ = ["EventStream", "EventsSubject", "Hub", "RunSubject", "Subject", "make_room", "room"]
