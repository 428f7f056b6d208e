"""The machinery behind `python benchmarks/run.py`; it needs nothing but the standard library."""
