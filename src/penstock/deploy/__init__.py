"""The same flow on engines elsewhere."""
