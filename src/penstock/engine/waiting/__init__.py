"""Waiting that outlives the process: for time, for a word, for an answer."""
