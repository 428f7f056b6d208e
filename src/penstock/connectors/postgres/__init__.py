"""What reading tables of PostgreSQL and reading their changes have in common: connections, types, and values."""
