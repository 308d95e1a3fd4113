"""A real Backend.AI manager with its agent, PostgreSQL, Redis and etcd, all on free ports of loopback.

The agent's container backend is the vendor's "dummy": sessions reach RUNNING without containers, and
cannot run code. Versions: as `releases` says, the stores as Debian 12 has them.
"""

from tests.interop.backendai_server.server import (
    ADMIN,
    IMAGE,
    NEWEST,
    OLDEST,
    OTHER_IMAGE,
    USER,
    Release,
    Server,
    running,
)

__all__ = ["ADMIN", "IMAGE", "NEWEST", "OLDEST", "OTHER_IMAGE", "USER", "Release", "Server", "running"]
