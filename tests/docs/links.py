"""Links of Markdown pages, and where they may lead."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
_HEADING = re.compile(r"^(#{1,6}) +(.*?)(?: *\{ *#([\w.-]+) *\})? *#*$")
_FENCE = re.compile(r"^ *```")
_OBJECT = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    kept: list[str] = []
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def links_of(page: Path) -> list[str]:
    """Targets of the links and images of a page, outside code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", prose_of(page)))


def objects_of(page: Path) -> list[str]:
    """What an API page describes from docstrings: dotted names."""
    return _OBJECT.findall(prose_of(page))


def headings_of(page: Path) -> list[str]:
    """The text of every heading."""
    return [found[2] for line in prose_of(page).splitlines() if (found := _HEADING.match(line))]


def anchors_of(page: Path) -> set[str]:
    """What `#...` may name in a page: its headings, numbered where they repeat, and the objects it describes."""
    anchors: set[str] = set(objects_of(page))
    for line in prose_of(page).splitlines():
        if not (found := _HEADING.match(line)):
            continue
        slug = found[3] or _slug(found[2])
        name, number = slug, 0
        while name in anchors:
            number += 1
            name = f"{slug}_{number}"
        anchors.add(name)
    return anchors


def _slug(heading: str) -> str:
    """As the `toc` extension of Python-Markdown names a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda found: found[1] or "", heading)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def broken_links(page: Path, made_later: set[Path]) -> list[str]:
    """Links of a page that lead nowhere. Addresses outside are not looked at."""
    broken = []
    for target in links_of(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        known = file in made_later or file.exists()
        if not known or (anchor and file.suffix == ".md" and file.exists() and anchor not in anchors_of(file)):
            broken.append(target)
    return broken
