"""ydata-profiling: its report in minimal mode, over a pandas frame."""

from typing import Any

import pandas as pd
from meter import Watch, source
from order_rules import micros


def main() -> None:
    from ydata_profiling import ProfileReport

    watch = Watch()
    found = ProfileReport(pd.read_parquet(source()), minimal=True, progress_bar=False).get_description()
    columns = {}
    for name, told in found.variables.items():
        known = {"rows": told["n"], "nulls": told["n_missing"], "distinct": told["n_distinct"]}
        if "min" in told:
            known |= {"min": plain(told["min"]), "max": plain(told["max"])}
        columns[name] = {key: plain(value) for key, value in known.items()}
    watch.tell(columns=columns)


def plain(value: Any) -> Any:
    """A number as JSON has it; a moment in microseconds."""
    if hasattr(value, "isoformat"):
        return micros(value)
    return value.item() if hasattr(value, "item") else value


if __name__ == "__main__":
    main()
