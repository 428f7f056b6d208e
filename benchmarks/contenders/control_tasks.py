"""What the workflows of the topics of the API call."""

from common import mark


def first(key: str) -> str:
    mark(key)
    return key


def second(key: str) -> str:
    return key
