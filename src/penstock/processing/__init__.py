"""Large data read once: log files."""
