"""The header `Link` (RFC 8288)."""

from __future__ import annotations

import re

_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[\w*!#$&+.^`|~-]+(?:\s*=\s*(?:"[^"]*"|[^\s",;]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]*))', re.IGNORECASE)


def links(header: str) -> dict[str, str]:
    """The targets of a Link header by what they are called; the first of a name counts."""
    found: dict[str, str] = {}
    for target, attributes in _LINK.findall(header):
        if rel := _REL.search(attributes):
            for name in (rel[1] or rel[2]).lower().split():
                found.setdefault(name, target)
    return found
