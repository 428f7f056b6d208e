"""Great Expectations: a suite over a pandas frame, which is how its documentation reads a Parquet file."""

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from meter import Watch, source
from order_rules import AMOUNTS, EMAIL, LENGTHS, MEANS, QUANTITIES, STATUSES, TIMES

AS_IT_LIKES = {"quantity": "int64", "ordered": "datetime64[ns]", "shipped": "datetime64[ns]"}
"""Numbers of another width and moments of another unit it compares one by one, which takes several times as long."""


def expectations() -> dict[str, gxe.Expectation]:
    between = gxe.ExpectColumnValuesToBeBetween
    return {
        "id_null": gxe.ExpectColumnValuesToNotBeNull(column="id"),
        "id_repeated_rows": gxe.ExpectColumnValuesToBeUnique(column="id"),
        "customer_null": gxe.ExpectColumnValuesToNotBeNull(column="customer"),
        "amount_range": between(column="amount", min_value=AMOUNTS[0], max_value=AMOUNTS[1]),
        "quantity_range": between(column="quantity", min_value=QUANTITIES[0], max_value=QUANTITIES[1]),
        "status_set": gxe.ExpectColumnValuesToBeInSet(column="status", value_set=STATUSES),
        "email_pattern": gxe.ExpectColumnValuesToMatchRegex(column="email", regex=EMAIL),
        "email_length": gxe.ExpectColumnValueLengthsToBeBetween(
            column="email", min_value=LENGTHS[0], max_value=LENGTHS[1]
        ),
        "shipped_order": gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="shipped", column_B="ordered", or_equal=True
        ),
        "amount_mean": gxe.ExpectColumnMeanToBeBetween(column="amount", min_value=MEANS[0], max_value=MEANS[1]),
        "ordered_range": between(column="ordered", min_value=TIMES[0], max_value=TIMES[1]),
        "row_count": gxe.ExpectTableRowCountToBeBetween(min_value=1),
    }


def main() -> None:
    watch = Watch()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    asked = [one.copy(update={"meta": {"rule": name}}) for name, one in expectations().items()]
    suite = context.suites.add(gx.ExpectationSuite(name="orders", expectations=asked))
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("orders")
    frame = pd.read_parquet(source()).astype(AS_IT_LIKES)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    found = batch.validate(suite, result_format="BASIC").results
    broken = {}
    for one in found:
        counted = one.result.get("unexpected_count")
        broken[one.expectation_config.meta["rule"]] = int(not one.success) if counted is None else counted
    watch.tell(broken=broken)


if __name__ == "__main__":
    main()
