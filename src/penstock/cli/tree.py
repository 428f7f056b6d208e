"""The tree of a run as lines of text that fit the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from penstock.cli.console import clean, colour, fitting, glyph, text
from penstock.cli.progress import Call, Group, Node, Progress
from penstock.cli.units import duration

if TYPE_CHECKING:
    from rich.text import Text

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_WIDEST = 96
_LONGEST_NAME = 26


class Line(NamedTuple):
    """One line of the tree: branches and sign, name, what is to say about it, how long it took.

    Attributes:
        busy: it is being executed, or something below it is; such lines are kept when the terminal is too low.
    """

    guide: str
    sign: tuple[str, str]
    name: Text
    detail: Text
    took: str
    busy: bool


class Tree:
    """Draws a run.

    Args:
        progress: what is known of it.
        now: the time, in microseconds.
        moving: it is being executed here: signs of running steps turn.
        collapse: show many calls of one task as one line.
    """

    def __init__(self, progress: Progress, now: int, moving: bool, collapse: bool = True) -> None:
        self._progress = progress
        self._now = now
        self._moving = moving
        self._collapse = collapse
        self._bar = 20

    def draw(self, width: int, height: int | None = None, *, title: bool = True) -> Text:
        """The tree, as wide and high as there is room.

        Args:
            width: columns of the terminal.
            height: rows there are, or None for any number.
            title: begin with a line for the run itself.
        """
        root = self._progress.root
        if root is None:
            return text()
        self._bar = 20 if width >= 64 else 8
        lines = [self._title(root), *self._steps(root, "")]
        left_out = 0
        if height is not None and len(lines) > height:
            lines, left_out = _shortened(lines, max(height - 1, 2))
        room = min(width, _WIDEST)
        column = min(_LONGEST_NAME, max([line.name.cell_len + len(line.guide) for line in lines[1:]], default=0))
        drawn = [_laid_out(line, column if place else 0, room) for place, line in enumerate(lines)]
        if left_out:
            drawn.insert(1, text((fitting(f"│ … {left_out} more lines"), "bright_black")))
        return text("\n").join(drawn if title else drawn[1:])

    def _title(self, node: Node) -> Line:
        name = text((clean(node.flow or node.id), "bold"))
        if node.name:
            name.append(fitting(" · "), style="bright_black").append(clean(node.name))
        return Line("", self._sign(node.state), name, self._run_detail(node), self._took(node), True)

    def _run_detail(self, node: Node) -> Text:
        if node.state == "Retrying" and node.again_at is not None:
            left = max(node.again_at - self._now, 0) / 1_000_000
            return text((f"attempt {node.attempt} failed, again in {left:.0f} s", "yellow"))
        if node.attempt > 1:
            return text((f"attempt {node.attempt}", "yellow"))
        return text()

    def _steps(self, node: Node, guide: str) -> list[Line]:
        return self._groups(node.groups, guide)

    def _groups(self, groups: dict[str, Group], guide: str) -> list[Line]:
        items: list[Group | Call] = []
        several: set[str] = set()
        for group in list(groups.values()):
            items += [group] if group.collapsed and self._collapse else group.calls
            several |= {call.key for call in group.calls} if len(group.calls) > 1 else set()
        lines: list[Line] = []
        for place, item in enumerate(items):
            last = place == len(items) - 1
            branch = guide + fitting("└ " if last else "├ ")
            below = guide + ("  " if last else fitting("│ "))
            if isinstance(item, Group):
                lines += self._group(item, branch, below)
            else:
                lines += self._call(item, branch, below, item.key in several)
        return lines

    def _call(self, call: Call, guide: str, below: str, numbered: bool) -> list[Line]:
        child = self._progress.runs.get(call.child) if call.child else None
        name = text(clean(call.name))
        task, _, number = call.key.rpartition("/")[2].rpartition("#")
        if numbered and call.name == task:
            name.append(f"#{number}", style="bright_black")
        detail = self._call_detail(call)
        if child is not None:
            if child.name:
                name.append(fitting(" · "), style="bright_black").append(clean(child.name), style="bright_black")
            if child.state == "Retrying" or child.attempt > 1:
                detail = self._run_detail(child)
        busy = call.ended is None
        lines = [Line(guide, self._sign(call.state, call.kept), name, detail, self._took(call), busy)]
        if child is not None:
            lines += self._steps(child, below)
        return lines + self._groups(call.groups, below)

    def _call_detail(self, call: Call) -> Text:
        if call.kept:
            return text(("on record", "bright_black"))
        root = self._progress.root
        if call.ended is None and not self._moving and root is not None and root.ended is not None:
            return text(("did not end", "yellow"))
        of = f"/{call.allowed}" if call.allowed is not None else ""
        if call.again_at is not None:
            left = max(call.again_at - self._now, 0) / 1_000_000
            made = text((f"attempt {call.attempt + 1}{of} in {left:.0f} s", "yellow"))
        else:
            made = text((f"attempt {call.attempt}{of}", "yellow")) if call.attempt > 1 else text()
        if call.message:
            style = "bright_black" if call.state == "Completed" else colour(call.state)
            made.append("  " if made else "").append(clean(call.message), style=style)
        return made

    def _group(self, group: Group, guide: str, below: str) -> list[Line]:
        state = "Running" if group.open else self._worst(group)
        if self._moving and group.total > group.begun and not group.open:
            state = "Pending"
        name = text(clean(group.task))
        took = (
            duration((self._now if group.open else group.ended or self._now) - group.started) if group.started else ""
        )
        kept = group.kept and group.kept == group.begun and not group.open
        lines = [Line(guide, self._sign(state, bool(kept)), name, self._counts(group), took, bool(group.open))]
        for place, call in enumerate(group.failed):
            branch = below + fitting("└ " if place == len(group.failed) - 1 else "├ ")
            told = text((clean(call.message or ""), colour(call.state)))
            lines.append(Line(branch, self._sign(call.state), text(clean(call.key)), told, "", False))
        return lines

    def _worst(self, group: Group) -> str:
        for state in ("Crashed", "Failed", "Cancelled"):
            if group.counts.get(state):
                return state
        return "Completed"

    def _counts(self, group: Group) -> Text:
        total = max(group.total, group.begun)
        made = text()
        if group.open and group.spread:
            made.append_text(_bar(self._bar, group.done, group.counts.get("Completed", 0), total))
            made.append(f" {group.done:,}/{total:,}")
        else:
            of = f" of {total:,}" if total > group.begun else ""
            made.append(f"{group.done:,}{of} {'done' if group.open else 'calls'}")
        for state in ("Failed", "Crashed", "Cancelled"):
            if group.counts.get(state):
                made.append(f"  {group.counts[state]:,} {state.lower()}", style=colour(state))
        waiting = sum(call.again_at is not None for call in list(group.open.values()))
        if len(group.open) - waiting:
            made.append(f"  {len(group.open) - waiting:,} running", style="cyan")
        if waiting:
            made.append(f"  {waiting:,} retrying", style="yellow")
        elif group.retries and not group.open:
            made.append(f"  {group.retries:,} retried", style="yellow")
        if group.kept:
            made.append(f"  {group.kept:,} on record", style="bright_black")
        return made

    def _sign(self, state: str, kept: bool = False) -> tuple[str, str]:
        if state == "Running" and self._moving:
            frame = _SPINNER[self._now // 100_000 % len(_SPINNER)]
            return (frame if fitting(frame) == frame else "*"), "cyan"
        return glyph(state), "bright_black" if kept else colour(state)

    def _took(self, item: Call | Node) -> str:
        if item.started is None or (isinstance(item, Call) and item.kept):
            return ""
        if item.ended is None and item.state not in ("Running", "Retrying"):
            return ""
        return duration((item.ended or self._now) - item.started)


def _bar(columns: int, done: int, well: int, total: int) -> Text:
    filled = columns * done // total
    green = columns * well // total
    return text(
        (fitting("━") * green, "green"),
        (fitting("━") * (filled - green), "red"),
        (fitting("─") * (columns - filled), "bright_black"),
    )


def _shortened(lines: list[Line], height: int) -> tuple[list[Line], int]:
    """What runs stays; of the rest, what comes last."""
    keep = set(_chosen(lines, height))
    return [line for place, line in enumerate(lines) if place in keep], len(lines) - len(keep)


def _chosen(lines: list[Line], height: int) -> Iterator[int]:
    busy = [place for place, line in enumerate(lines) if line.busy][:height]
    rest = [place for place, line in enumerate(lines) if not line.busy]
    yield from busy
    spare = height - len(busy)
    yield from rest[len(rest) - spare :] if spare else ()


def _laid_out(line: Line, column: int, width: int) -> Text:
    """Name, detail and duration in columns; what does not fit is cut, the duration never."""
    left = text((line.guide, "bright_black"), line.sign, " ")
    name = line.name.copy()
    room = width - left.cell_len - (len(line.took) + 2 if line.took else 0)
    name.truncate(max(min(room, column - len(line.guide)) if column else room, 4), overflow="ellipsis")
    left.append_text(name)
    if line.detail:
        gap = max(column - len(line.guide) - name.cell_len, 0)
        detail = line.detail.copy()
        space = room - name.cell_len - gap - 2
        if space >= 6:
            detail.truncate(space, overflow="ellipsis")
            left.append(" " * (gap + 2)).append_text(detail)
    if line.took:
        left.append(" " * max(width - left.cell_len - len(line.took), 1))
        left.append(line.took, style="bright_black")
    return left
