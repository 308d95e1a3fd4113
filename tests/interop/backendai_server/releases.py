"""Which managers are run."""

from __future__ import annotations

import msgspec

from tests.interop.venvs import Venv

# 25.5.2 leaves these open, and does not run with what has appeared since.
_PINS = ("typing-extensions==4.12.2", "typeguard==4.4.2", "jupyter-client==8.6.3", "aiohttp-sse==2.2.0")
_PINS += ("aiohttp-cors==0.7.0", "asyncpg==0.30.0", "attrs==25.1.0", "aiodns==3.2.0", "pycares==4.5.0")
_PINS += ("multidict==6.1.0", "cryptography==44.0.1", "etcd-client-py==0.4.0", "hiredis==3.1.0")


class Release(msgspec.Struct, frozen=True):
    """A version of the manager, the Python it is for, and what else has to be pinned.

    `sessions`: whether the agent on PyPI has the container backend "dummy". Without it nothing starts.
    """

    version: str
    python: str
    pins: tuple[str, ...] = ()
    sessions: bool = True

    @property
    def number(self) -> tuple[int, int]:
        """Year and month."""
        year, month, _ = self.version.split(".")
        return int(year), int(month)

    @property
    def environment(self) -> Venv:
        """Itself and what it needs."""
        parts = ["manager", "agent"] if self.sessions else ["manager"]
        wanted = (f"backend.ai-{part}=={self.version}" for part in parts)
        return Venv(self.python, (*wanted, *self.pins))

    def program(self) -> str:
        """The path of its command."""
        return self.environment.program("backend.ai")


OLDEST = Release("23.9.10", "3.11", ("yarl==1.9.4",), sessions=False)
"""Its agent on PyPI has no "dummy"."""
USUAL = Release("25.5.2", "3.12", _PINS)
NEWEST = Release("26.9.6", "3.13")
