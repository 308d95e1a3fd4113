"""One running session: its supervisor, members, programs, services, terminal, logs and usage."""
