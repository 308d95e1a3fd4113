"""Whose Python: from the name of an environment to what is started, on the side that asks.

The Jupyter server's kernelspecs decide (so conda environments count), or those of the shell; the
request then carries a `Launch`. The manager resolves names itself only for the vendors' clients.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import msgspec

from jupyter_sessions.errors import InvalidRequest, UnknownImage
from jupyter_sessions.model import Image
from jupyter_sessions.wire.encoding import is_text
from jupyter_sessions.wire.minimum import minimum_of

PROVISIONER = "jupyter-sessions"  # In kernelspecs of kernels that run in sessions.
_SECRETS = re.compile(
    r"JPY_.*|JUPYTER_TOKEN|JUPYTER_SESSIONS_.*|JUPYTERHUB_(?!USER$).*|BACKEND_(?!GROUP|DOMAIN).*|SORNA_.*"
    r"|CANFAR_TOKEN|SKAHA_TOKEN|.*_PROXY_TOKEN|BACKENDAI_.*|NOTIFY_SOCKET|LISTEN_(FDS|PID|FDNAMES)"
)
_LAB_OPTIONS = (
    "--no-browser",
    "--ServerApp.sock={socket}",
    "--ServerApp.sock_mode=0600",
    "--ServerApp.base_url={base_url}",
    "--ServerApp.root_dir={cwd}",
    "--ServerApp.port_retries=0",
    "--ServerApp.allow_remote_access=True",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.allow_root=True",
    "--IdentityProvider.token=",
    "--LabApp.news_url=",
)


class Launch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a session's processes are started.

    `argv` holds `{connection_file}`; those of `services` hold `{socket}`, `{base_url}` and `{cwd}`.
    `umask` is the asker's, None if it is not known. `minimum` are the least amounts with which it starts;
    for slots that are left out, those of all environments (`minimum.START`).
    """

    argv: list[str]
    env: dict[str, str]
    cwd: str
    display_name: str = ""
    language: str = "python"
    interrupt_mode: str = "signal"
    services: dict[str, list[str]] = {}
    umask: int | None = None
    minimum: dict[str, str] = {}


class Spec(Protocol):
    """The part of jupyter_client's KernelSpec that is read here."""

    argv: list[str]
    env: dict[str, str]
    display_name: str
    language: str
    interrupt_mode: str
    metadata: dict[str, Any]


def provisioned(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Our provisioner's configuration in a kernelspec's metadata; None if the kernel is not of ours."""
    entry = metadata.get("kernel_provisioner")
    if not isinstance(entry, dict) or entry.get("provisioner_name") != PROVISIONER:
        return None
    config = entry.get("config")
    return config if isinstance(config, dict) else {}


class Specs:
    """The environments this process can see: kernelspecs by name, each known by aliases too."""

    def __init__(self, found: Mapping[str, Spec]) -> None:
        self._found = dict(found)

    @classmethod
    def here(cls, manager: Any = None) -> Specs:
        """Those of a KernelSpecManager, or of a new one; kernels that run in sessions are none."""
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
        from traitlets import TraitError

        manager = manager or KernelSpecManager()
        found: dict[str, Spec] = {}
        for name in manager.find_kernel_specs():
            try:
                spec: Spec = manager.get_kernel_spec(name)
            except (NoSuchKernel, OSError, ValueError, TraitError):
                continue
            if provisioned(spec.metadata) is None:
                found[name] = spec
        return cls(found)

    @classmethod
    def lately(cls) -> Specs:
        """Those of a new manager as of not more than a second ago, for when many are asked for at once."""
        return _lately(int(time.monotonic()))

    @cached_property
    def _services(self) -> dict[str, list[str]]:
        return _services()

    def images(self) -> list[Image]:
        """What can be asked for, by name."""
        return [
            Image(
                name=name,
                title=spec.display_name,
                language=spec.language,
                aliases=self._aliases(name, spec),
                resources=minimum_of(spec.metadata),
            )
            for name, spec in sorted(self._found.items())
        ]

    def resolve(
        self, image: str, *, cwd: str | None = None, environ: Mapping[str, str] | None = None
    ) -> tuple[str, Launch]:
        """The canonical name of an environment and how to start it.

        Errors: UnknownImage naming the nearest; InvalidRequest for a folder that does not exist.
        """
        folder = os.path.abspath(os.path.expanduser(cwd or os.getcwd()))
        if not os.path.isdir(folder):
            raise InvalidRequest(
                f"cwd: there is no folder {folder}.", hint="Name an existing one.", field="cwd"
            )
        name, spec = self._find(image)
        argv = [sys.executable if _is_this_python(spec.argv[0]) else spec.argv[0], *spec.argv[1:]]
        return name, Launch(
            argv=[part.replace("{resource_dir}", str(getattr(spec, "resource_dir", ""))) for part in argv],
            env=clean_environ(os.environ if environ is None else environ) | dict(spec.env),
            cwd=folder,
            display_name=spec.display_name,
            language=spec.language,
            interrupt_mode=spec.interrupt_mode or "signal",
            services=self._services,
            umask=_umask(),
            minimum=minimum_of(spec.metadata),
        )

    def minimum(self, image: str) -> dict[str, str]:
        """The least amounts with which an environment starts. Errors: UnknownImage."""
        return minimum_of(self._find(image)[1].metadata)

    def _find(self, image: str) -> tuple[str, Spec]:
        path = os.path.abspath(os.path.expanduser(image))
        if "/" in image and os.path.isfile(path) and os.access(path, os.X_OK):
            return path, _Interpreter(path)
        for name, spec in self._found.items():
            if image == name or image in self._aliases(name, spec):
                return name, spec
        known = sorted(
            {alias for name, spec in self._found.items() for alias in (name, *self._aliases(name, spec))}
        )
        nearest = difflib.get_close_matches(image, known, n=1, cutoff=0.3)
        hint = f"The nearest is '{nearest[0]}'. " if nearest else ""
        hint += f"There are: {', '.join(sorted(self._found)) or 'none'}."
        raise UnknownImage(f"image: there is no environment '{image}' here.", hint=hint, field="image")

    def _aliases(self, name: str, spec: Spec) -> list[str]:
        if name != "python3":
            return []
        aliases = ["python"]
        if _is_this_python(spec.argv[0]):
            aliases.append(f"python:{sys.version_info[0]}.{sys.version_info[1]}")
        return aliases


@lru_cache(maxsize=1)
def _lately(second: int) -> Specs:
    return Specs.here()


class _Interpreter:
    """A Python named by its path, as a kernelspec."""

    def __init__(self, path: str) -> None:
        self.argv = [path, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.env: dict[str, str] = {}
        self.display_name = f"Python ({Path(path).parent.parent.name})"
        self.language = "python"
        self.interrupt_mode = "signal"
        self.metadata: dict[str, Any] = {}


def _is_this_python(program: str) -> bool:
    """As jupyter_client has it: a bare "python" in a kernelspec is the interpreter that reads it."""
    own = ("python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return program in own or program == sys.executable


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without what ties it to one Jupyter server, and without credentials of backends.

    What is no UTF-8, which JSON cannot carry, is left out as well.
    """
    return {
        key: value for key, value in environ.items() if not _SECRETS.fullmatch(key) and is_text(key + value)
    }


def _umask() -> int | None:
    """This process's; from /proc, for asking the system means setting it, which other threads would feel."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"^Umask:\s*([0-7]+)", status, re.MULTILINE)
    return int(found[1], 8) if found else None


def _services() -> dict[str, list[str]]:
    if importlib.util.find_spec("jupyterlab") is None:
        return {}
    return {"jupyter": [sys.executable, "-m", "jupyterlab", *_LAB_OPTIONS]}
