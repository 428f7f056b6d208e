"""What stands in a cell of a table of the page."""

from collections.abc import Callable

from harness.results import Result, median, row_of
from harness.words import duration, ratio, share, three_digits

Cell = Callable[[Result, Result], str]


def spread(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        found = row["metrics"].get(metric)
        if found is None:
            return "-"
        low, middle, high = (duration(found[key]) for key in ("min", "median", "max"))
        return f"{middle} ({low} … {high})"

    return cell


def times_penstock(_: Result, row: Result) -> str:
    times = row["ratio_to_penstock"]
    return "-" if times is None else ratio(times, 1)


def times_bare(result: Result, row: Result) -> str:
    return against(result, row, row["bare"])


def times_python(result: Result, row: Result) -> str:
    return against(result, row, "floor")


def against(result: Result, row: Result, floor: str) -> str:
    base = median(row_of(result, floor, row["size"]), result["primary"])
    value = median(row, result["primary"])
    return "-" if not base or value is None else ratio(value, base)


def recorded(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        executed, recorded = median(row, "executed"), median(row, metric)
        if row["floor"] or not executed or recorded is None:
            return "-"
        late = median(row, "settle_seconds") or 0
        waited = f" after {duration(late)}" if metric == "recorded" and late else ""
        return f"{recorded:,.0f} of {executed:,.0f} ({share(recorded, executed)}){waited}"

    return cell


def memory(_: Result, row: Result) -> str:
    value = median(row, "peak_mb")
    return "-" if value is None else f"{value:.0f} MB"


def preparing(result: Result, row: Result) -> str:
    value = result["preparing_seconds"].get(row["contender"])
    return "-" if value is None else duration(value)


def repeats(_: Result, row: Result) -> str:
    found = row["metrics"]["repeated"]
    return f"{found['median']:g}" if found["min"] == found["max"] else f"{found['min']:g} to {found['max']:g}"


def how(_: Result, row: Result) -> str:
    return row["remark"] or "-"


def size(_: Result, row: Result) -> str:
    return f"{row['size']:,}"


def rate(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        value = median(row, metric)
        return three_digits(1 / value) if value else "-"

    return cell


def once(_: Result, row: Result) -> str:
    wrong = {"twice": row["metrics"]["doubled"]["max"], "never": row["metrics"]["missing"]["max"]}
    return ", ".join(f"{count:,.0f} {how}" for how, count in wrong.items() if count) or "yes"


def percent(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        value = median(row, metric)
        return "-" if value is None else f"{100 * value:.1f} %"

    return cell


def lag(prefix: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        values = [median(row, f"{prefix}_{of}") for of in ("p50", "p99", "max")]
        return " / ".join("-" if value is None else duration(value) for value in values)

    return cell


def pages(kind: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        values = [median(row, f"{kind}_p{rank}") for rank in (50, 95)]
        return " / ".join("-" if value is None else duration(value) for value in values)

    return cell


def slope(_: Result, row: Result) -> str:
    middle, low, high = (median(row, key) or 0.0 for key in ("kb_per_1000", "kb_low", "kb_high"))
    return f"{middle:,.0f} KB ({low:,.0f} … {high:,.0f})"


def megabytes(metric: str) -> Cell:
    def cell(_: Result, row: Result) -> str:
        value = median(row, metric)
        return "-" if value is None else f"{value:.1f} MB"

    return cell


def rate_of(metric: str, base: str) -> Cell:
    """How many times as fast as the contender `base` in the same topic."""

    def cell(result: Result, row: Result) -> str:
        own, other = median(row, metric), median(row_of(result, base, row["size"]), metric)
        return f"{100 * other / own:.0f} %" if own and other else "-"

    return cell


def moments(*metrics: str) -> Cell:
    """Several times in one cell."""

    def cell(_: Result, row: Result) -> str:
        values = [median(row, metric) for metric in metrics]
        return " / ".join("-" if value is None else duration(value) for value in values)

    return cell


def number(metric: str) -> Cell:
    """A plain number."""

    def cell(_: Result, row: Result) -> str:
        value = median(row, metric)
        return "-" if value is None else f"{value:,.0f}"

    return cell
