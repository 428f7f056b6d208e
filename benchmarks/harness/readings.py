"""What is read from the results to judge a budget by."""

from collections.abc import Callable

from harness.results import Result, base_row, median, middle_half, row_of
from harness.words import duration, in_unit, ratio, share, three_digits

Results = dict[str, Result]
Reading = tuple[float, str] | None
TASK = "task_seconds"
WORKERS = ("penstock-worker", "penstock-worker-postgres")


def seconds(topic: str, metric: str, contender: str, size: int | None = None) -> Callable[[Results], Reading]:
    def read(results: Results) -> Reading:
        value = median(row_of(results.get(topic), contender, size), metric)
        return None if value is None else (value, duration(value))

    return read


def quotient(topic: str, above: tuple[str, int, str], below: tuple[str, int, str]) -> Callable[[Results], Reading]:
    def read(results: Results) -> Reading:
        values = [median(row_of(results.get(topic), name, size), metric) for name, size, metric in (above, below)]
        if values[0] is None or not values[1]:
            return None
        return values[0] / values[1], ratio(values[0], values[1])

    return read


def of_medians(
    topic: str, above: tuple[str, int], below: tuple[str, int] | None = None
) -> Callable[[Results], Reading]:
    """Read the median over the tasks, or its ratio to another's; the mean, which stalls raise, is shown beside it."""

    def read(results: Results) -> Reading:
        found = [
            [median(row_of(results.get(topic), *key), metric) for metric in ("task_seconds_p50", "task_seconds")]
            for key in (above, below)
            if key is not None
        ]
        if any(value is None for values in found for value in values):
            return None
        own = [value or 0.0 for value in found[0]]
        if below is None:
            return own[0], f"{duration(own[0])} (mean: {duration(own[1])})"
        base = [value or 0.0 for value in found[1]]
        return own[0] / base[0], f"{ratio(own[0], base[0])} (of the means: {ratio(own[1], base[1])})"

    return read


def growth(results: Results) -> Reading:
    """Read how a task at 100,000 compares with one at 1,000; no growth where the middle halves overlap."""
    rows = [row_of(results.get("sequential"), "penstock", size) for size in (100_000, 1_000)]
    many, few = (median(row, TASK) for row in rows)
    late, early = (middle_half(row, TASK) for row in rows)
    if many is None or not few or late is None or early is None:
        return None
    overlap = late[0] <= early[1]
    told = f"half of the rounds: {_range(early)} at 1,000, {_range(late)} at 100,000"
    return min(1.0, many / few) if overlap else many / few, f"{ratio(many, few)} ({told})"


def _range(of: tuple[float, float]) -> str:
    return f"{duration(of[0])} … {duration(of[1])}"


def megabytes(results: Results) -> Reading:
    value = median(row_of(results.get("sequential"), "penstock", 10_000), "peak_mb")
    return None if value is None else (value, f"{value:.0f} MB")


def on_record(results: Results) -> Reading:
    """Read the smallest share on record at exit among all of Penstock's rows."""
    shares = []
    for result in results.values():
        for row in result["rows"]:
            executed, recorded = median(row, "executed"), median(row, "recorded_at_exit")
            if row["contender"].startswith("penstock") and executed and recorded is not None:
                shares.append((recorded / executed, share(recorded, executed)))
    return min(shares) if shares else None


def repeated(results: Results) -> Reading:
    value = median(row_of(results.get("kill"), "penstock"), "repeated")
    return None if value is None else (value, f"{value:g}")


def once(contender: str) -> Callable[[Results], Reading]:
    """Read how many of the drained runs were not executed once and recorded once."""

    def read(results: Results) -> Reading:
        row = row_of(results.get("drain"), contender)
        if row is None:
            return None
        doubled, missing, recorded = (row["metrics"][key] for key in ("doubled", "missing", "recorded"))
        wrong = doubled["max"] + missing["max"] + row["size"] - recorded["min"]
        told = f"{doubled['max']:,.0f} executed twice, {missing['max']:,.0f} not at all"
        return wrong, f"{recorded['min']:,.0f} of {row['size']:,} on record, {told}"

    return read


def ahead(topic: str, metric: str) -> Callable[[Results], Reading]:
    """Read how a metric compares with the best of the other tools."""

    def read(results: Results) -> Reading:
        result = results.get(topic)
        own = median(base_row(result, 0), metric) if result else None
        if result is None or own is None:
            return None
        others = [row for row in result["rows"] if not row["contender"].startswith("penstock") and not row["floor"]]
        best = min(others, key=lambda row: row["metrics"][metric]["median"], default=None)
        if best is None:
            return None
        base = best["metrics"][metric]["median"]
        told = f"{three_digits(1 / own)} a second, {best['label']} {three_digits(1 / base)}"
        return own / base, told

    return read


def worst(topic: str, metric: str, size: int, unit: str = "s") -> Callable[[Results], Reading]:
    """Read the worst median of those that Penstock has on each of its databases."""

    def read(results: Results) -> Reading:
        found = [median(row_of(results.get(topic), name, size), metric) for name in WORKERS]
        values = [value for value in found if value is not None]
        if not values:
            return None
        value = max(values)
        return value, f"{100 * value:.1f} %" if unit == "%" else in_unit(value, unit)

    return read


def slope(contender: str) -> Callable[[Results], Reading]:
    """Read the lower end of the confidence interval of how memory grows."""

    def read(results: Results) -> Reading:
        row = row_of(results.get("soak"), contender)
        low, middle, high = (median(row, key) for key in ("kb_low", "kb_per_1000", "kb_high"))
        if low is None or middle is None or high is None:
            return None
        return low, f"{middle:,.0f} KB ({low:,.0f} … {high:,.0f})"

    return read
