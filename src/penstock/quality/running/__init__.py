"""Rules checked against data."""

from penstock.quality.running.files import file_input, renamed
from penstock.quality.running.running import run
from penstock.quality.running.sources import Input, input_of

__all__ = ["Input", "file_input", "input_of", "renamed", "run"]
