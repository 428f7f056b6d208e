"""How numbers are written."""


def duration(seconds: float) -> str:
    """Write a time with the unit that suits it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 0.9995:
            return f"{three_digits(seconds * factor)} {unit}"
    return f"{three_digits(seconds * 1e6)} µs"


def in_unit(value: float, unit: str) -> str:
    """Write a number in its unit: s for a time, nothing for a plain number."""
    return duration(value) if unit == "s" else f"{value:,.0f} {unit}" if unit else f"{value:g}"


def ratio(value: float, base: float) -> str:
    """Write how many times the base a value is."""
    return f"{three_digits(value / base)}x" if base else "-"


def share(part: float, whole: float) -> str:
    """Write a share of a whole, never rounding a missing record away."""
    if whole == 0:
        return "-"
    if part == whole:
        return "100 %"
    percent = 100 * part / whole
    return f"{min(percent, 99.99):.2f} %" if percent > 99.5 or percent < 1 else f"{percent:.1f} %"


def three_digits(value: float) -> str:
    """Write a number with three significant digits, and without an exponent."""
    return f"{value:,.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
