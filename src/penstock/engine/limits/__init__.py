"""Limits on how much happens at once, or in a second."""
