"""Resolve the name of an environment to the commands that start a session, on the side of the client.

The kernelspecs of the Jupyter server (so that conda environments count) or of the shell decide; the request then
carries a `Launch`. The manager resolves names only for the vendors' clients.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from string import Template
from types import SimpleNamespace
from typing import Any, Protocol, cast

import msgspec

from jupyter_sessions.errors import InvalidRequest, UnknownImage
from jupyter_sessions.model import Image
from jupyter_sessions.wire.encoding import is_text
from jupyter_sessions.wire.minimum import minimum_of
from jupyter_sessions.wire.python_environments import environment_at

PROVISIONER = "jupyter-sessions"  # In kernelspecs of kernels that run in sessions.
NATIVE = "python3"
"""The environment that always exists: ipykernel's own kernelspec."""
_LEFT_OUT = re.compile(
    # A Jupyter server's own secrets, and what ties a process to that server.
    r"JUPYTER_TOKEN(_FILE)?|JUPYTER_SESSIONS_.*|JPY_.*"
    # A hub's secrets. Programs need its other variables, such as JUPYTERHUB_SERVICE_PREFIX.
    r"|JUPYTERHUB_(API_TOKEN|API_KEY|CRYPT_KEY|COOKIE_SECRET)|CONFIGPROXY_AUTH_TOKEN"
    # Addresses of backends, and a person's credentials for them. Source: backend.ai-client 23.9.10, skaha, canfar.
    r"|(BACKEND|SORNA)_(ENDPOINT(_TYPE)?|ACCESS_KEY|SECRET_KEY|API_VERSION|HASH_TYPE)|CANFAR_(TOKEN|URL)"
    r"|SKAHA_(TOKEN|SERVICE_URL)"
    # Variables of the session or service in which this process runs, which is not the session to be started.
    r"|BACKENDAI_.*|NOTIFY_SOCKET|LISTEN_(FDS|PID|FDNAMES)"
)
"""Variables that sessions do not inherit. They inherit all others, as kernels do from a Jupyter server."""
SESSION_NAME = "JPY_SESSION_NAME"
"""The variable that holds the path of a kernel's notebook."""
CPU_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "JULIA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "PYTHON_CPU_COUNT",
)
"""Variables that tell libraries how many CPUs to use; each session sets them to its own number."""
_IN_A_SESSION = "BACKENDAI_SESSION_ID"
_CONNECTION_FILE = "{connection_file}"
_OPTIONS = "jupyter_sessions"
"""The key of our options in the metadata of kernelspecs: {"jupyter_sessions": {"transport": "tcp"}}."""
FUNCTIONS = "functions"
"""The key of the names of those options of a configured service that are functions, and so stay behind."""
SERVICE_NAME = re.compile(r"\w[\w.-]{0,39}", re.ASCII)
"""The pattern of service names, which are also file names."""
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
    """How to start the processes of a session.

    `argv` holds `{connection_file}`; the commands in `services` hold `{socket}`, `{base_url}` and `{cwd}`.
    `configured_services` are those of jupyter-server-proxy's configuration, `interpreters` the Pythons whose plug-ins
    of jupyter-server-proxy are services, too; the first that has one wins. `logos` is the folder of the kernelspec's
    logos, and `debugger` says that the kernel can debug.
    `transport` is "tcp" for a kernel that cannot use ipc, "" if unknown. `umask` is the umask of the client, None
    if unknown. `minimum` holds the least resources with which the session starts; slots that are left out have the
    minimum of all environments (`minimum.START`). `prepare` is a command that makes the environment ready.
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
    transport: str = ""
    configured_services: dict[str, dict[str, Any]] = {}
    interpreters: list[str] = []
    logos: str = ""
    debugger: bool = False
    prepare: list[str] = []


class Spec(Protocol):
    """The part of jupyter_client's KernelSpec that is used here."""

    argv: list[str]
    env: dict[str, str]
    display_name: str
    language: str
    interrupt_mode: str
    metadata: dict[str, Any]
    resource_dir: str


def provisioned(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return our provisioner's configuration in a kernelspec's metadata, or None for any other kernel."""
    entry = metadata.get("kernel_provisioner")
    if not isinstance(entry, dict) or entry.get("provisioner_name") != PROVISIONER:
        return None
    config = entry.get("config")
    return config if isinstance(config, dict) else {}


class Specs:
    """The environments that this process can see: kernelspecs by name, some with aliases."""

    def __init__(
        self,
        found: Mapping[str, Spec],
        broken: Mapping[str, str] | None = None,
        configured_services: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self._found = dict(found)
        self._broken = dict(broken or {})
        self._configured_services = dict(configured_services or {})

    @classmethod
    def here(cls, manager: Any = None) -> Specs:
        """Return the environments of a KernelSpecManager, or of a new one.

        Kernelspecs of kernels that run in sessions are left out.
        """
        from jupyter_client.kernelspec import KernelSpecManager

        manager = manager or KernelSpecManager()
        found: dict[str, Spec] = {}
        broken: dict[str, str] = {}
        for name in manager.find_kernel_specs():
            try:
                spec: Spec = manager.get_kernel_spec(name)
            except (
                Exception
            ) as error:  # A kernel.json may hold anything; jupyter_client skips broken ones, too.
                broken[name] = f"{type(error).__name__}: {error}"
                continue
            if not spec.argv:
                broken[name] = "argv is empty"
            elif provisioned(spec.metadata) is None:
                found[name] = spec
        return cls(found, broken, _configured_services(manager.config))

    @classmethod
    def lately(cls) -> Specs:
        """Return the environments as of at most a second ago, for when many requests come at once."""
        return _lately(int(time.monotonic()))

    @cached_property
    def _services(self) -> dict[str, list[str]]:
        return _services()

    def images(self) -> list[Image]:
        """Return the environments to choose from: Python first, which forms offer as the default, then by name."""
        return [
            Image(
                name=name,
                title=spec.display_name,
                language=spec.language,
                aliases=self._aliases(name, spec),
                resources=minimum_of(spec.metadata),
            )
            for name, spec in sorted(self._found.items(), key=lambda item: (item[0] != NATIVE, item[0]))
        ]

    def resolve(
        self,
        image: str,
        *,
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
        given: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> tuple[str, Launch]:
        """Return the canonical name of an environment and how to start it, as jupyter_client would.

        `environ` is the client's environment, `given` holds the variables of the session itself, and `arguments`
        follow those of the kernelspec. Errors: UnknownImage naming the nearest; InvalidRequest for a folder that
        does not exist.
        """
        folder = os.path.abspath(os.path.expanduser(cwd or os.getcwd()))
        if not os.path.isdir(folder):
            raise InvalidRequest(f"There is no folder {folder}.", hint="Name an existing one.", field="cwd")
        name, spec = self._find(image)
        asker = os.environ if environ is None else environ
        return name, Launch(
            argv=_argv(spec, arguments, folder),
            env=_env(spec, asker, given or {}),
            cwd=folder,
            display_name=spec.display_name,
            language=spec.language,
            interrupt_mode=spec.interrupt_mode or "signal",
            services=self._services,
            umask=_umask(),
            minimum=minimum_of(spec.metadata),
            transport=_transport(spec.metadata),
            configured_services=self._configured_services,
            interpreters=_interpreters(spec),
            logos=spec.resource_dir or "",
            debugger=spec.metadata.get("debugger") is True,
        )

    def minimum(self, image: str) -> dict[str, str]:
        """Return the least resources with which an environment starts. Errors: UnknownImage."""
        return minimum_of(self._find(image)[1].metadata)

    def _find(self, image: str) -> tuple[str, Spec]:
        path = os.path.abspath(os.path.expanduser(image))
        if "/" in image and (env := environment_at(path)):
            path = path if os.path.isfile(path) else str(env.python)
            if not env.runs_kernels:
                raise UnknownImage(
                    f"The environment {env.prefix} has no ipykernel.",
                    hint=f"`{env.remedy}` adds it.",
                    field="image",
                )
        if "/" in image and os.path.isfile(path) and os.access(path, os.X_OK):
            return path, _Interpreter(path)
        for name, spec in self._found.items():
            if image == name or image in self._aliases(name, spec):
                return name, spec
        if image in self._broken:
            raise UnknownImage(
                f"The kernelspec '{image}' cannot be used ({self._broken[image]}).",
                hint="Mend its kernel.json; `jupyter kernelspec list` shows where it is.",
                field="image",
            )
        known = sorted(
            {alias for name, spec in self._found.items() for alias in (name, *self._aliases(name, spec))}
        )
        nearest = difflib.get_close_matches(image, known, n=1, cutoff=0.3)
        hint = f"Did you mean '{nearest[0]}'? " if nearest else ""
        hint += (
            f"Choose from: {', '.join(sorted(self._found))}."
            if self._found
            else "No environments are installed."
        )
        raise UnknownImage(f"There is no environment '{image}' here.", hint=hint, field="image")

    def _aliases(self, name: str, spec: Spec) -> list[str]:
        if name != NATIVE:
            return []
        aliases = ["python"]
        if _is_this_python(spec.argv[0]):
            aliases.append(f"python:{sys.version_info[0]}.{sys.version_info[1]}")
        return aliases


@lru_cache(maxsize=1)
def _lately(second: int) -> Specs:
    return Specs.here()


class _Interpreter:
    """A Python interpreter given by its path, in the form of a kernelspec."""

    resource_dir = ""

    def __init__(self, path: str) -> None:
        self.argv = [path, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.env: dict[str, str] = {}
        self.display_name = f"Python ({Path(path).parent.parent.name})"
        self.language = "python"
        self.interrupt_mode = "signal"
        self.metadata: dict[str, Any] = {}


def _is_this_python(program: str) -> bool:
    """Return whether a kernelspec's program is this interpreter; jupyter_client takes a bare "python" for it."""
    own = ("python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return program in own or program == sys.executable


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without secrets of servers and variables of other kernels or sessions.

    In a session the variables that count CPUs are the session's own, so they are left out as well, and so are
    variables that are not UTF-8, which JSON cannot carry.
    """
    other = CPU_COUNTS if _IN_A_SESSION in environ else ()
    return {
        key: value
        for key, value in environ.items()
        if not _LEFT_OUT.fullmatch(key) and key not in other and is_text(key + value)
    }


def _argv(spec: Spec, arguments: Sequence[str], folder: str) -> list[str]:
    """Return a kernelspec's command with everything filled in but the connection file."""
    from jupyter_client.manager import KernelManager

    # jupyter_client wants an absolute path, but the path is unknown before the session starts.
    manager = SimpleNamespace(
        kernel_spec=spec, connection_file=f"/{_CONNECTION_FILE}", _launch_args={"cwd": folder}
    )
    command = KernelManager.format_kernel_cmd(cast("KernelManager", manager), list(arguments))
    return [part.replace(f"/{_CONNECTION_FILE}", _CONNECTION_FILE) for part in command]


def _env(spec: Spec, asker: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return a kernel's environment; variables of its kernelspec may refer to the client's, as in jupyter_client."""
    known = {**asker, **given}
    env = clean_environ(asker)
    env |= {key: Template(value).safe_substitute(known) for key, value in spec.env.items()}
    if spec.language.lower().startswith("python"):
        env.pop("PYTHONEXECUTABLE", None)
    return env


def _transport(metadata: Mapping[str, Any]) -> str:
    """Return the transport that a kernelspec asks for, "" if it asks for none."""
    options = metadata.get(_OPTIONS)
    asked = options.get("transport") if isinstance(options, dict) else None
    return asked if asked in ("ipc", "tcp") else ""


def _umask() -> int | None:
    """Return the umask of this process.

    Read from /proc, because the system call sets the umask as well, which other threads would notice.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"^Umask:\s*([0-7]+)", status, re.MULTILINE)
    return int(found[1], 8) if found else None


def _services() -> dict[str, list[str]]:
    """Return the commands of the services that this environment can run."""
    if importlib.util.find_spec("jupyterlab") is None:
        return {}
    return {"jupyter": [sys.executable, "-m", "jupyterlab", *_LAB_OPTIONS]}


def _interpreters(spec: Spec) -> list[str]:
    """Return the Python of a kernelspec, if it has one, and this Python."""
    own = [spec.argv[0]] if spec.language.lower().startswith("python") else []
    return list(
        dict.fromkeys(sys.executable if _is_this_python(path) else path for path in [*own, sys.executable])
    )


def _configured_services(config: Any) -> dict[str, dict[str, Any]]:
    """Return the services in a server's configuration, `ServerProxy.servers` of jupyter-server-proxy, as JSON."""
    section = config.get("ServerProxy", {})
    servers = section.get("servers", {}) if isinstance(section, Mapping) else {}
    if not isinstance(servers, Mapping):
        return {}
    return {
        name: _as_json(options)
        for name, options in servers.items()
        if isinstance(options, Mapping) and isinstance(name, str) and SERVICE_NAME.fullmatch(name)
    }


def _as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without those that JSON cannot carry, such as functions, and the names of these."""
    found, left = dict[str, Any](), list[str]()
    for name, value in options.items():
        try:
            found[name] = msgspec.json.decode(msgspec.json.encode(value))
        except (TypeError, msgspec.MsgspecError):
            left.append(name)
    return found | ({FUNCTIONS: left} if left else {})
