"""The embedded backend: a process of its own, started by `backends.local` and never imported by it."""
