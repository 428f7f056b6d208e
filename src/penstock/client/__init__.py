"""Modules of Prefect's that flows import by name."""
