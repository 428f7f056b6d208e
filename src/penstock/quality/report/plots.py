"""Small drawings as SVG. Their colours are those of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

_RADIUS = 15.9155  # of a circle 100 long, so that parts of it are per cents
_SMALLEST = 0.4


def ring(parts: Sequence[tuple[int, str]], told: str) -> str:
    """A ring of parts in colours, with a text in its middle."""
    whole = sum(number for number, _ in parts) or 1
    arcs, turned = [], 25.0
    for number, colour in parts:
        share = 100 * number / whole
        if share:
            arcs.append(
                f'<circle cx="21" cy="21" r="{_RADIUS}" fill="none" stroke="var({colour})" stroke-width="4.5" '
                f'stroke-dasharray="{share:.3f} {100 - share:.3f}" stroke-dashoffset="{turned:.3f}"/>'
            )
        turned -= share
    return (
        f'<svg viewBox="0 0 42 42" width="120" height="120" role="img" aria-label="{told}">'
        f'<circle cx="21" cy="21" r="{_RADIUS}" fill="none" stroke="var(--bar)" stroke-width="4.5"/>{"".join(arcs)}'
        '<text x="21" y="23.4" text-anchor="middle" font-size="7" font-weight="600" fill="var(--ink)">'
        f"{told}</text></svg>"
    )


def bar(fraction: float, colour: str, width: int = 160) -> str:
    """A bar of which a fraction is filled; what is there at all can be seen."""
    filled = 0.0 if fraction <= 0 or math.isnan(fraction) else max(min(fraction, 1.0) * 100, _SMALLEST)
    return (
        f'<svg viewBox="0 0 100 5" width="{width}" height="8" preserveAspectRatio="none" role="img" '
        f'aria-label="{fraction:.2%}"><rect width="100" height="5" rx="2" fill="var(--bar)"/>'
        f'<rect width="{filled:.3f}" height="5" rx="{min(2.0, filled / 2):.3f}" fill="var({colour})"/></svg>'
    )


def columns(parts: Sequence[tuple[int, str]], width: int, height: int, colour: str = "--accent") -> str:
    """Numbers as columns side by side, each with a text that is shown under the pointer; what is there can be seen."""
    most = max((number for number, _ in parts), default=0) or 1
    step = 100 / max(len(parts), 1)
    drawn = []
    for place, (number, told) in enumerate(parts):
        tall = max(40 * number / most, 0.8) if number else 0.0
        drawn.append(
            f'<rect x="{place * step:.2f}" y="{40 - tall:.2f}" width="{step * 0.86:.2f}" height="{tall:.2f}" '
            f'fill="var({colour})"><title>{escape(told)}</title></rect>'
        )
    return (
        f'<svg viewBox="0 0 100 40" width="{width}" height="{height}" preserveAspectRatio="none" role="img" '
        f'aria-label="a histogram"><rect y="39.6" width="100" height="0.4" fill="var(--bar)"/>{"".join(drawn)}</svg>'
    )
