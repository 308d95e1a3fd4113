"""What a backend does with the kernels of its sessions: all that follows from where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from jupyter_sessions.backends.kernel_cells import KernelCells
from jupyter_sessions.backends.relay_client import BackendDescription, RelayClient
from jupyter_sessions.backends.values import Output
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.channels.kernel_endpoints import KernelEndpoint
from jupyter_sessions.errors import NotSupported
from jupyter_sessions.model import KernelConnection, ProcessId, SessionInfo

WITH_KERNELS = ("execute", "interrupt", "input", "complete", "connection", "outputs")
"""The capabilities that come with `kernel_endpoint`."""

PYTHON_INFO = {
    "status": "ok",
    "protocol_version": "5.4",
    "implementation": "jupyter_sessions",
    "implementation_version": "",
    "language_info": {
        "name": "python",
        "version": "",
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    },
    "banner": "",
    "help_links": [],
}


class KernelMethods(ABC):
    """The methods of a backend that are about kernels; those that are not overridden build on `kernel_endpoint`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kernel_cells = KernelCells(self.kernel_endpoint)
        self.relays = RelayClient(self.describe)

    @abstractmethod
    async def get(self, id: str) -> SessionInfo:
        """Return one session by its full id."""

    async def kernel_endpoint(self, id: str) -> KernelEndpoint:
        """Return where the kernel of a running session is: `ZmqEndpoint`, or `JupyterEndpoint` with its Jupyter server.

        It may start that server. It is asked for again after a while, and when a kernel cannot be reached any more.
        Errors: NotRunning, SessionNotFound; NotSupported for a session that has no kernel.
        """
        raise self._cannot("say where kernels are")

    def execute(self, id: str, code: str, *, stdin: bool = False) -> AsyncIterator[Output]:
        """Run code in the session and yield its outputs; the last one is of kind `reply`.

        When the kernel crashes or ends meanwhile, so does the run: with a reply of status "error", or with an error
        such as NotRunning. The service adds the end where a backend keeps silent.
        """
        self._check_kernels("run code")
        return self.kernel_cells.execute(id, code, stdin=stdin)

    async def interrupt(self, id: str) -> None:
        """Interrupt what runs in the session."""
        self._check_kernels("interrupt sessions")
        await self.kernel_cells.interrupt(id)

    async def input(self, id: str, run: str, text: str) -> None:
        """Answer the `input_request` of a run."""
        self._check_kernels("answer input requests")
        await self.kernel_cells.input(id, run, text)

    async def complete(self, id: str, code: str, cursor: int) -> dict[str, Any]:
        """Return how code could go on at a place in it: the content of a kernel's `complete_reply`."""
        self._check_kernels("complete code")
        return await self.kernel_cells.complete(id, code, cursor)

    async def restart(self, id: str) -> SessionInfo:
        """Start the session's processes anew; name, resources and files stay.

        Unless overridden, the kernel of a session's Jupyter server is started again, and nothing else.
        """
        self._check_kernels("restart sessions")
        await self.kernel_cells.restart(id)
        return await self.get(id)

    async def connection(
        self, id: str, owner: ProcessId | None = None, patience: float = 0
    ) -> KernelConnection:
        """How to reach the kernel of a session, at addresses that stay over its restarts.

        A given `owner` has the session from now on: it ends with a shutdown request on the owner's control port, with
        that process, and if it has not begun to start after `patience` seconds (0: it may take for ever). Notebooks
        are connected from a session's being queued on: somebody answers in the kernel's place. Unless overridden, a
        helper process of this user and host relays messages to `kernel_endpoint`. Errors: NotRunning, of others.
        """
        self._check_kernels("connect notebooks")
        return await self.relays.connection(id, owner, patience)

    async def outputs(self, id: str, which: Selection) -> Outputs:
        """Return what the session printed, by execution, whoever ran it.

        Unless overridden, from when the first notebook was connected until the session ends.
        """
        self._check_kernels("show what was printed by execution")
        return await self.relays.outputs(id, which)

    async def lease(self, id: str, seconds: float) -> None:  # noqa: B027
        """Have a session end unless this is called again within so many seconds; for backends that can see to that.

        It is called for sessions that end with their notebook, while the notebook lives.
        """

    def kernel_info(self, image: str) -> dict[str, Any]:
        """Return what a kernel of an image will probably say of itself, for notebooks that wait for it."""
        return PYTHON_INFO

    @abstractmethod
    def describe(self) -> BackendDescription:
        """Return what another process makes this backend of."""

    def knows_kernels(self) -> bool:
        """Return whether it says where kernels are."""
        return type(self).kernel_endpoint is not KernelMethods.kernel_endpoint

    def _check_kernels(self, what: str) -> None:
        """Errors: NotSupported unless it says where kernels are."""
        if not self.knows_kernels():
            raise self._cannot(what)

    def _cannot(self, what: str) -> NotSupported:
        return NotSupported(f"The backend '{self.name}' cannot {what}.", hint="Use a backend that can.")
