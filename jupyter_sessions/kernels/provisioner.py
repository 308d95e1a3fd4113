"""The kernel provisioner that runs kernels in sessions; jupyter_client finds it by its entry point.

A kernelspec names the provisioner and the session in ``metadata.kernel_provisioner``:

    {"provisioner_name": "jupyter-sessions",
     "config": {"image": "python", "resources": {"cpu": "1", "mem": "1g"}}}     a session of its own
    {"provisioner_name": "jupyter-sessions", "config": {"session": "demo"}}     a running session

jupyter_client 8.6 to 8.10 also calls `kill` and `terminate` for restarts, so both only mark the kernel as stopped;
only `cleanup` tells whether the session is still needed. The interrupt before a shutdown is not forwarded. A shutdown
request, which ends a session with its kernel, is sent through the visitors' socket, where it ends nothing, if another
kernel of this process uses the same session.

In a server, `launch_kernel` does not wait until the session runs, because the server would not list the kernel and a
reloaded page would start another one. A placeholder kernel answers instead (`channels.placeholder_kernel`).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import PurePath
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.multikernelmanager import MultiKernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from msgspec import structs
from tornado.web import HTTPError
from traitlets import Dict, Float, Unicode

from jupyter_sessions.kernels.session import KernelSession, Wanted, say
from jupyter_sessions.kernels.session_kernels import current
from jupyter_sessions.model import KernelConnection, SessionSpec
from jupyter_sessions.wire.environment import SESSION_NAME, clean_environ
from jupyter_sessions.wire.identity import own_identity

_POLL_SECONDS = 0.1
LAUNCH_SECONDS = 600.0


class SessionProvisioner(KernelProvisionerBase):
    """Runs a kernel in a session of its own, or in the running session that `session` names."""

    backend = Unicode(help="The backend of the session; empty for the default backend.").tag(config=True)
    image = Unicode("python3", help="The session's environment or image.").tag(config=True)
    resources = Dict(help="Amounts by slot, as {'cpu': '1', 'mem': '1g'}.").tag(config=True)
    environ = Dict(help="Environment variables of the session.").tag(config=True)
    session = Unicode(help="Name or id of a session to attach to instead.").tag(config=True)
    launch_timeout = Float(
        LAUNCH_SECONDS, help="Seconds to wait until a new session starts; 0 for ever."
    ).tag(config=True)

    _held: KernelSession | None = None
    _stopped = _asked = False
    _limit: int | None = None

    @property
    def has_process(self) -> bool:
        """Whether a kernel was started and not yet cleaned up."""
        return self._held is not None

    async def poll(self) -> int | None:
        """Return the exit code of the kernel, or None while it runs. Sends no request."""
        if self._held is None or self._stopped:
            return 0
        if self._held.ended:
            self._give_up()
        return self._held.exit_code()

    async def wait(self) -> int | None:
        """Wait for the end of the kernel, and return its exit code."""
        while (code := await self.poll()) is None:  # noqa: ASYNC110 - no loop objects are kept
            await asyncio.sleep(_POLL_SECONDS)
        return code

    async def send_signal(self, signum: int) -> None:
        """Interrupt the kernel, or mark it as stopped. Signals during a shutdown are ignored."""
        if self._held is None:
            return
        if getattr(self.parent, "shutting_down", False):
            self._part(self._held)
        elif signum == signal.SIGINT:
            await self._held.interrupt()
        elif signum:
            self._stopped = True

    async def kill(self, restart: bool = False) -> None:
        """Count the kernel as stopped."""
        self._stopped = True

    async def terminate(self, restart: bool = False) -> None:
        """Count the kernel as stopped."""
        self._stopped = True

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Count the kernel as stopped."""
        self._stopped = self._asked = True

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare the launch, without a command, as no local process is started."""
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start or restart the kernel, and return its connection. Errors: SessionError."""
        if self._held is None:
            kernels = current()
            held = KernelSession(self._wanted(kwargs), self._say, kernels)
            connection = await held.begin()
            self._held = held
            kernels.add(str(self.kernel_id), held)
        else:
            connection = await self._held.restart(await self._renamed(kwargs))
        self._stopped = self._asked = False
        self._hope_again()
        self.connection_info = _info(connection)
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        """Release the session, unless a restart follows; the kernel's own session ends. May be called again."""
        held = self._held
        if held is not None and not restart:
            self._held = None
            await held.let_go(asked=self._asked)

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Return the time that jupyter_client recommends, as requests are answered at once."""
        return recommended

    def _wanted(self, given: dict[str, Any]) -> Wanted:
        env = given.get("env") or {}
        cwd = given.get("cwd") or os.getcwd()
        in_server = isinstance(getattr(self.parent, "parent", None), MultiKernelManager)
        spec = SessionSpec(
            backend=self.backend or None,
            name=session_name(str(env.get(SESSION_NAME, "")), str(self.kernel_id)),
            image=self.image,
            resources=dict(self.resources),
            environ=_added(env) | {key: str(value) for key, value in self.environ.items()},
            kernel_arguments=list(given.get("extra_arguments") or []),
            cwd=cwd,
            reuse_if_exists=False,
            owner=own_identity(),
            notebook_path=notebook_path(env.get(SESSION_NAME, ""), cwd) if in_server else None,
        )
        return Wanted(spec=spec, attach=self.session, timeout=self.launch_timeout, waits=not in_server)

    async def _renamed(self, given: dict[str, Any]) -> dict[str, str]:
        """Return the variable with the notebook's name, which may have changed since the first start.

        jupyter_client restarts a kernel with the variables of its first start.
        """
        server = getattr(getattr(self.parent, "parent", None), "parent", None)
        manager = getattr(server, "session_manager", None)
        if manager is None or SESSION_NAME not in (given.get("env") or {}):
            return {}
        try:
            found = await manager.get_session(kernel_id=self.kernel_id)
        except HTTPError:  # The kernel has no notebook.
            return {}
        return {SESSION_NAME: manager.get_kernel_env(found["path"], found["name"])[SESSION_NAME]}

    def _say(self, text: str) -> None:
        (self.log.warning if current().in_server else say)(text)

    def _part(self, held: KernelSession) -> None:
        """Keep a shutdown request from ending a session that other kernels use."""
        close = getattr(self.parent, "_close_control_socket", None)
        if held.part() and close is not None:
            close()  # The request then goes to the new target of the control socket.

    # jupyter_client's restarter would otherwise restart an ended session again and again.

    def _give_up(self) -> None:
        restarter = getattr(self.parent, "_restarter", None)
        if restarter is not None and self._limit is None:
            self._limit, restarter.restart_limit = restarter.restart_limit, 0

    def _hope_again(self) -> None:
        restarter = getattr(self.parent, "_restarter", None)
        if restarter is not None and self._limit is not None:
            restarter.restart_limit, self._limit = self._limit, None


def session_name(notebook: str, kernel_id: str) -> str:
    """Return the name of a kernel's own session: the notebook's name and a part of the kernel's id."""
    stem = re.sub(r"[^\w-]+", "-", PurePath(notebook).stem, flags=re.ASCII).strip("-")[:40]
    tail = re.sub(r"[^\w]", "", kernel_id, flags=re.ASCII)[:6]
    return f"{stem or 'kernel'}-{tail or 'one'}"


def notebook_path(name: str, cwd: str) -> str | None:
    """Return the path of the notebook for which a server starts a kernel, or None if it names none.

    Consoles have no file, and servers without a name give the folder.
    """
    path = os.path.abspath(os.path.join(cwd, name))
    return path if name and os.path.isfile(path) else None


def _added(env: dict[str, str]) -> dict[str, str]:
    """Return the variables of a kernel's environment that differ from this process's, which the backend knows.

    The notebook's name is always included, because this process may have inherited the same value.
    """
    named = {SESSION_NAME: env[SESSION_NAME]} if env.get(SESSION_NAME) else {}
    return {key: value for key, value in clean_environ(env).items() if os.environ.get(key) != value} | named


def _info(connection: KernelConnection) -> KernelConnectionInfo:
    info: KernelConnectionInfo = structs.asdict(connection)  # type: ignore[assignment]
    info["key"] = connection.key.encode()  # type: ignore[typeddict-item]
    return info
