"""Interpreters started ahead of time, so that a new session does not wait for imports."""
