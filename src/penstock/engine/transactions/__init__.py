"""Results that other runs may use, and what is committed together or undone together."""
