"""Text that is not shown: passwords, tokens, keys. And messages of others, with such text taken out."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
_SHORTEST = 4
_SOUNDS_SECRET = re.compile(
    r"pass(word|wd|phrase)|secret|token|(api|access|private)[-_]?key|authorization|credential|cookie|dsn", re.IGNORECASE
)
_SILENCE = "(what was said is not shown: there is a secret in it)"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_USER = re.compile(r"[\w.%+~-]*")
_PLACE = re.compile(r"((\[[0-9A-Fa-f:.]+\]|[\w.-]*)(:\d+)?(,|(?=/)|$))*(/[\w./:%~+-]*)?")


class Secret:
    """A password, a token or a key.

    Nothing but `reveal()` gives the text: it is not in what is printed, logged, compared or put into a message, and a
    secret is not pickled, so that it cannot become part of a recorded result or argument.

    Args:
        text: the text; another secret gives its own.

    Raises:
        TypeError, ValueError: it is no text, or none that can be encoded. The message does not hold it.
    """

    __slots__ = ("_reveal",)
    _reveal: Callable[[], str]

    def __init__(self, text: str | Secret) -> None:
        wrong = _wrong(text)
        if wrong is not None:
            del text  # whoever shows the variables of a traceback
            raise wrong
        hidden = text.reveal() if isinstance(text, Secret) else text
        object.__setattr__(self, "_reveal", lambda: hidden)

    def reveal(self) -> str:
        """The text."""
        return self._reveal()

    def tells(self) -> list[str]:
        """The texts that give it away."""
        return [self.reveal()]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a secret is not pickled: pass the name of a saved connection, or the connection itself, and load it there"
        )

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class SecretUrl(Secret):
    """A URL with a password or a token in it; it is shown without."""

    __slots__ = ()

    def __str__(self) -> str:
        return masked_url(self.reveal())

    def tells(self) -> list[str]:
        """The texts that give it away: drivers name the password of a URL on its own, and what follows the `?`."""
        text = self.reveal()
        password = text.partition("://")[2].rpartition("@")[0].partition(":")[2]
        query = [part.partition("=")[2] for part in re.split(r"[?&#]", text)[1:]]
        parts = [password, *(part for part in query if len(part) >= _SHORTEST)]  # `ssl=1` hides nothing
        return [text, *parts, *map(unquote, parts)]

    @property
    def harmless(self) -> bool:
        """There is nothing in it to hide."""
        return masked_url(self.reveal()) == self.reveal()


def _wrong(text: object) -> Exception | None:
    if isinstance(text, Secret):
        return None
    if not isinstance(text, str):
        return TypeError(f"a secret is a text, and not of type {type(text).__name__}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return ValueError("a secret cannot hold half a surrogate pair: it has no UTF-8")
    return None


def masked_url(url: str) -> str:
    """A URL without what may be secret in it: the password, and everything from `?` or `#` on.

    Where it is not clear which part is which (an `@` or a `?` in a password that is not percent-encoded), only the
    scheme is left.
    """
    found = _SCHEME.fullmatch(url)
    if found is None:
        return MASK
    scheme, rest = found.groups()
    at = re.search(r"[?#]", rest)
    before, query = (rest[: at.start()], f"{rest[at.start()]}{MASK}") if at is not None else (rest, "")
    if rest.count("@") > 1 or (at is not None and "@" in rest[at.start() :]):
        return f"{scheme}://{MASK}"
    user = ""
    if "@" in before:
        userinfo, before = before.split("@")
        name, colon, _ = userinfo.partition(":")
        user = f"{name if _USER.fullmatch(name) else MASK}{colon and f':{MASK}'}@"
    if not _PLACE.fullmatch(before):
        return f"{scheme}://{MASK}"
    return f"{scheme}://{user}{before}{query}"


def sounds_secret(name: str) -> bool:
    """Whether what has this name is a secret, by the name."""
    return _SOUNDS_SECRET.search(name) is not None


def masked(value: Any, text: Callable[[str], str] = str) -> Any:
    """Plain data with a mask in the place of everything whose name says that it is secret.

    Args:
        value: the data.
        text: what becomes of the texts in it, and of the names.
    """
    if isinstance(value, Mapping):
        return {
            (text(name) if isinstance(name, str) else name): (
                MASK if each and sounds_secret(str(name)) else masked(each, text)
            )
            for name, each in value.items()
        }
    if isinstance(value, str):
        return text(value)
    return [masked(each, text) for each in value] if isinstance(value, (list, tuple)) else value


def redacted(text: str, secrets: Iterable[str]) -> str:
    """A message of somebody else's, without these texts in any form in which they are usually written.

    A secret of a few characters cannot be taken out without telling where it was; then nothing is shown.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in _forms(secret):
            if form not in text:
                continue
            if len(form) < _SHORTEST:
                return _SILENCE
            text = text.replace(form, MASK)
    return text


def _forms(secret: str) -> list[str]:
    escaped = (repr(secret)[1:-1], json.dumps(secret)[1:-1], ascii(secret)[1:-1])
    forms = {secret, *secret.splitlines(), quote(secret), quote(secret, safe=""), quote_plus(secret), *escaped}
    return sorted(filter(None, forms), key=len, reverse=True)
