"""Links and images: addresses that do nothing but lead somewhere, written so that nothing else gets into them."""

from __future__ import annotations

import html
import re
from typing import Any

from penstock.core.errors import BadArtifact

_IGNORED = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")
"""What browsers leave out of an address, or what cannot be seen in it."""
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=:)")
_ACTIVE = {"javascript", "vbscript", "livescript", "mocha", "jscript"}
_LONGEST_SHOWN = 60
_BREAKING = re.compile(r"[\x00-\x20\x7f<>()\\]")
_TEXT_BREAKING = re.compile(r"([\\\[\]`<>])")
_ESCAPED = r"\\\1"


def link_content(link: Any, link_text: Any = None) -> str:
    """A link in Markdown; characters that would end it early are escaped.

    Raises:
        BadArtifact: it is no address, or one that runs code where it is opened.
    """
    address = _checked("link", link, {"data"})
    told = _text("link_text", link_text) if link_text else address
    return f"[{_TEXT_BREAKING.sub(_ESCAPED, ' '.join(told.split()))}]({_written(address)})"


def image_content(image_url: Any) -> str:
    """The address of an image.

    Raises:
        BadArtifact: it is no address, or one that runs code where it is opened.
    """
    address = _checked("image_url", image_url, set())
    if _scheme(address) == "data" and not _IGNORED.sub("", address).lower().startswith("data:image/"):
        raise BadArtifact("A data: address of an image begins with data:image/.", hint="give the address of an image")
    return address


def _checked(name: str, value: Any, refused: set[str]) -> str:
    address = _text(name, value)
    if not address.strip():
        raise BadArtifact(f"{name} is empty.", hint="give an address, such as https://example.com/report")
    scheme = _scheme(address)
    if scheme in _ACTIVE | refused:
        shown = address if len(address) <= _LONGEST_SHOWN else f"{address[:_LONGEST_SHOWN]}..."
        raise BadArtifact(
            f"{name} is {shown!r}, and {scheme}: runs code (or shows a page of somebody else's) where it is opened.",
            hint="give an address that leads somewhere, such as https://example.com/report",
        )
    return address


def _scheme(address: str) -> str:
    """As a browser reads it, also from Markdown, where `&#58;` is a colon."""
    found = _SCHEME.match(_IGNORED.sub("", html.unescape(address)).lower())
    return found[0] if found else ""


def _written(address: str) -> str:
    """An address as it is between the parentheses of Markdown."""
    written = _BREAKING.sub(lambda found: f"%{ord(found[0]):02X}", address.strip())
    return written if html.unescape(written) == written else written.replace("&", "&amp;")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadArtifact(f"{name} must be a text, and is {type(value).__name__}.")
    return value
