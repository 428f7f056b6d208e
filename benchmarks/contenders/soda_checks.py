"""Soda: a contract over a view of DuckDB."""

import duckdb
from meter import Watch, source
from order_rules import AMOUNTS, LENGTHS, MEANS, QUANTITIES, STATUSES
from soda_core.common.yaml import ContractYamlSource
from soda_core.contracts.contract_verification import ContractVerificationSession
from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl

CONTRACT = f"""
dataset: orders/main/orders
checks:
  - row_count:
      threshold: {{must_be_greater_than_or_equal: 1}}
  - failed_rows:
      name: shipped_order
      expression: shipped < ordered
columns:
  - name: id
    checks:
      - missing:
      - duplicate:
  - name: customer
    checks:
      - missing:
  - name: amount
    checks:
      - invalid:
          valid_min: {AMOUNTS[0]}
          valid_max: {AMOUNTS[1]}
      - aggregate:
          function: avg
          threshold:
            must_be_between: {{greater_than_or_equal: {MEANS[0]}, less_than_or_equal: {MEANS[1]}}}
  - name: quantity
    checks:
      - invalid:
          valid_min: {QUANTITIES[0]}
          valid_max: {QUANTITIES[1]}
  - name: status
    checks:
      - invalid:
          valid_values: [{", ".join(STATUSES)}]
  - name: email
    checks:
      - invalid:
          qualifier: pattern
          valid_format: {{name: an address, regex: '^[^@\\s]+@[^@\\s]+\\.[a-z]+$'}}
      - invalid:
          qualifier: length
          valid_min_length: {LENGTHS[0]}
          valid_max_length: {LENGTHS[1]}
  - name: ordered
    checks:
      - failed_rows:
          name: ordered_range
          expression: NOT ordered BETWEEN timestamp '2020-01-01' AND timestamp '2030-01-01'
"""
RULES = {
    (None, "row_count", None): "row_count",
    (None, "failed_rows", None): "shipped_order",
    ("id", "missing", None): "id_null",
    ("id", "duplicate", None): "id_repeated_surplus",
    ("customer", "missing", None): "customer_null",
    ("amount", "invalid", None): "amount_range",
    ("amount", "aggregate", None): "amount_mean",
    ("quantity", "invalid", None): "quantity_range",
    ("status", "invalid", None): "status_set",
    ("email", "invalid", "pattern"): "email_pattern",
    ("email", "invalid", "length"): "email_length",
    ("ordered", "failed_rows", None): "ordered_range",
}


def main() -> None:
    watch = Watch()
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW orders AS SELECT * FROM read_parquet('{source()}')")
        data = DuckDBDataSourceImpl.from_existing_cursor(connection, name="orders")
        found = ContractVerificationSession.execute(
            contract_yaml_sources=[ContractYamlSource.from_str(CONTRACT)], data_source_impls=[data]
        )
    broken = {}
    for one in found.contract_verification_results[0].check_results:
        rule = RULES[one.check.column_name, one.check.type, one.check.qualifier]
        is_count = rule not in ("amount_mean", "row_count")
        broken[rule] = int(one.threshold_value or 0) if is_count else int(not one.is_passed)
    watch.tell(broken=broken)


if __name__ == "__main__":
    main()
