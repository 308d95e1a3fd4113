"""Links to the services of a session, such as its JupyterLab, and what a session uses."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from jupyter_sessions.client import servers
from jupyter_sessions.errors import NotFound, NotSupported
from jupyter_sessions.model import SessionInfo


class ServiceLink(msgspec.Struct, frozen=True):
    """A service of a session: its `name`, the `protocol` that it speaks, and where it is."""

    name: str
    protocol: str
    path: str
    base_url: str = ""

    @property
    def url(self) -> str:
        """The address for a browser. Errors: NotSupported if no Jupyter server of yours runs, which leads there."""
        address = address_below(self.base_url, self.path)
        if not address:
            address = address_below(next((server.url for server in servers.running()), ""), self.path)
        if not address:
            hint = "Start one with `jupyter lab`, and log in to it."
            raise NotSupported(
                f"The service '{self.name}' is reached through a Jupyter server, and none runs.", hint=hint
            )
        return address

    def open(self) -> None:
        """Open the service in a browser. Errors: NotSupported, see `url`."""
        webbrowser.open(self.url)


class ServiceLinks(dict[str, ServiceLink]):
    """The services of a session by name."""

    def __missing__(self, name: str) -> ServiceLink:
        hint = f"There are: {', '.join(self)}." if self else "It has none now."
        raise NotFound(f"The session has no service '{name}'.", hint=hint, field="service")


def address_below(base_url: str, url: str) -> str:
    """Return the address of a service: its `url` if that is absolute, else below a Jupyter server, "" without one."""
    try:
        is_absolute = urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return ""
    return url if is_absolute else f"{base_url}{url}" if base_url and url else ""


def links_of(row: SessionInfo, base_url: str) -> ServiceLinks:
    """Return the services of a session."""
    return ServiceLinks(
        {one.name: ServiceLink(one.name, one.protocol, one.url, base_url) for one in row.services}
    )


class SessionUsage(msgspec.Struct, frozen=True):
    """What a session uses now: `cpu` in cores, `mem` and `gpu_mem` in bytes, `gpu` in busy GPUs; None if unknown."""

    cpu: float | None = None
    mem: int | None = None
    gpu: float | None = None
    gpu_mem: int | None = None


def usage_of(stat: Mapping[str, Any] | None) -> SessionUsage:
    """Return what `SessionInfo.live_stat` says; its percents are of one core or GPU."""
    cpu, mem, gpu, gpu_mem = (_current(stat, name) for name in ("cpu_util", "mem", "cuda_util", "cuda_mem"))
    return SessionUsage(
        cpu=None if cpu is None else cpu / 100,
        mem=None if mem is None else int(mem),
        gpu=None if gpu is None else gpu / 100,
        gpu_mem=None if gpu_mem is None else int(gpu_mem),
    )


def _current(stat: Mapping[str, Any] | None, name: str) -> float | None:
    try:
        return float((stat or {})[name]["current"])
    except (KeyError, TypeError, ValueError):
        return None
