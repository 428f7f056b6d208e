"""Connections: saved encrypted, read from the environment, and the types that come with Penstock."""
