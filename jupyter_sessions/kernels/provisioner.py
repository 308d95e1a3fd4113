"""Kernels that run in sessions: the provisioner that jupyter_client finds by its entry point.

A kernelspec names it and says which session, in ``metadata.kernel_provisioner``:

    {"provisioner_name": "jupyter-sessions",
     "config": {"image": "python", "resources": {"cpu": "1", "mem": "1g"}}}     a session of its own
    {"provisioner_name": "jupyter-sessions", "config": {"session": "demo"}}     one that runs already

What jupyter_client 8.6 to 8.10 does, and what is made of it: `kill` and `terminate` come on restarts
without saying so and mean nothing here but that the kernel is to count as stopped; `cleanup` alone
tells whether the session is needed any more. The interrupt before a shutdown is not passed on. The
request for a shutdown, by which a session ends with its kernel, is made a visitor's if another kernel of
this process is in the same session.

In a server nobody waits here until the session runs, or the server would not list the kernel and a page
loaded again would start another: somebody answers in the kernel's place (`channels.placeholder_kernel`).
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
    """Runs a kernel in a session: one of its own, or with `session` one that runs already."""

    backend = Unicode(help="Where the session is; empty for the default backend.").tag(config=True)
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
        """Whether a kernel was started and not cleaned up."""
        return self._held is not None

    async def poll(self) -> int | None:
        """None while the kernel runs; asks nobody."""
        if self._held is None or self._stopped:
            return 0
        if self._held.ended:
            self._give_up()
        return self._held.exit_code()

    async def wait(self) -> int | None:
        """Its exit code, once it has ended."""
        while (code := await self.poll()) is None:  # noqa: ASYNC110 - no loop objects are kept
            await asyncio.sleep(_POLL_SECONDS)
        return code

    async def send_signal(self, signum: int) -> None:
        """Interrupt what runs, or count the kernel as stopped. Not during a shutdown, whatever it may send."""
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
        """Nothing is started here, so there is no command."""
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel, or start it anew, and say where it is. Errors: SessionError."""
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
        """Without a restart to come, let go of the session: one of its own ends. May be called again."""
        held = self._held
        if held is not None and not restart:
            self._held = None
            await held.let_go(asked=self._asked)

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """What jupyter_client recommends: requests are answered at once."""
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

        jupyter_client starts a kernel anew with the variables of its first start.
        """
        server = getattr(getattr(self.parent, "parent", None), "parent", None)
        manager = getattr(server, "session_manager", None)
        if manager is None or SESSION_NAME not in (given.get("env") or {}):
            return {}
        try:
            found = await manager.get_session(kernel_id=self.kernel_id)
        except HTTPError:  # It has none.
            return {}
        return {SESSION_NAME: manager.get_kernel_env(found["path"], found["name"])[SESSION_NAME]}

    def _say(self, text: str) -> None:
        (self.log.warning if current().in_server else say)(text)

    def _part(self, held: KernelSession) -> None:
        """Before a shutdown request, which ends the session: not if others stay in it."""
        close = getattr(self.parent, "_close_control_socket", None)
        if held.part() and close is not None:
            close()  # The request goes to where control leads now.

    # jupyter_client's restarter would try a session that has ended again and again.

    def _give_up(self) -> None:
        restarter = getattr(self.parent, "_restarter", None)
        if restarter is not None and self._limit is None:
            self._limit, restarter.restart_limit = restarter.restart_limit, 0

    def _hope_again(self) -> None:
        restarter = getattr(self.parent, "_restarter", None)
        if restarter is not None and self._limit is not None:
            restarter.restart_limit, self._limit = self._limit, None


def session_name(notebook: str, kernel_id: str) -> str:
    """What a kernel's own session is called: by its notebook, with something that is not used twice."""
    stem = re.sub(r"[^\w-]+", "-", PurePath(notebook).stem, flags=re.ASCII).strip("-")[:40]
    tail = re.sub(r"[^\w]", "", kernel_id, flags=re.ASCII)[:6]
    return f"{stem or 'kernel'}-{tail or 'one'}"


def notebook_path(name: str, cwd: str) -> str | None:
    """The file of the notebook that a server starts a kernel for, None if it names none.

    Consoles have no file, and servers that are not told a name give the folder.
    """
    path = os.path.abspath(os.path.join(cwd, name))
    return path if name and os.path.isfile(path) else None


def _added(env: dict[str, str]) -> dict[str, str]:
    """What a kernel's environment has that this process's has not; the backend knows ours.

    The notebook's name is the kernel's own, though this process may have the same from who started it.
    """
    named = {SESSION_NAME: env[SESSION_NAME]} if env.get(SESSION_NAME) else {}
    return {key: value for key, value in clean_environ(env).items() if os.environ.get(key) != value} | named


def _info(connection: KernelConnection) -> KernelConnectionInfo:
    info: KernelConnectionInfo = structs.asdict(connection)  # type: ignore[assignment]
    info["key"] = connection.key.encode()  # type: ignore[typeddict-item]
    return info
