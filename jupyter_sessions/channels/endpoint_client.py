"""A client of the kernel at an endpoint, for cells: what becomes of them is always said.

After a cut the kernel is asked for its `kernel_info` on shell, which it answers once it has done all that came
before: code that has no reply by then will not get one.
"""

from __future__ import annotations

import asyncio

from jupyter_client.session import Session

from jupyter_sessions.channels.kernel_channels import ChannelsListener, KernelChannels, Parts
from jupyter_sessions.channels.kernel_client import KernelClient, Run
from jupyter_sessions.channels.kernel_endpoints import KernelEndpoint, ZmqEndpoint
from jupyter_sessions.channels.messages import from_parts
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.channels.websocket_channels import WebSocketChannels
from jupyter_sessions.channels.zmq_channels import ZmqChannels
from jupyter_sessions.errors import SessionError

_SUBSCRIBE_SECONDS = 0.2
_PROBE_SECONDS, _PROBE_MOST_SECONDS = 1.0, 60.0
LOST = (
    "The connection to the kernel was cut while this ran. Look whether it has done its work, or run it again."
)
REPLACED = "The kernel was started again while this ran."
_PART_NAMES = ("header", "parent_header", "metadata", "content")


class EndpointClient(KernelClient):
    """A client of one kernel, from `open` on; `closed` is set once the kernel cannot be reached any more."""

    def __init__(self, endpoint: KernelEndpoint, identity: str = "") -> None:
        """`identity` is who this is to the kernel: whoever comes back under the same one gets the replies that are left."""
        super().__init__(Session(username="jupyter_sessions"))  # The channels sign what it sends.
        self.endpoint = endpoint
        self._identity = identity
        self._channels = channels_to(endpoint, self, identity)
        self._asking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect. Errors: BackendUnavailable, of others. A kernel that is busy answers when it is not any more."""
        self._channels = channels_to(self.endpoint, self, self._identity)
        await self._channels.open()
        self._ask_for_output([])

    async def interrupt(self) -> None:
        """Interrupt what the kernel computes. Errors: BackendUnavailable."""
        await self._channels.interrupt()

    async def restart(self) -> None:
        """Start the kernel again. Errors: NotSupported, BackendUnavailable."""
        await self._channels.restart()

    async def disconnect(self, why: str = "The connection was closed.") -> None:
        """Close; the kernel stays, and so does what it computes."""
        self.close(why)
        await self._channels.close()

    def close(self, why: str) -> None:
        """See `KernelClient.close`."""
        if self._asking is not None:
            self._asking.cancel()
        super().close(why)

    # What the channels say.

    def take(self, channel: str, parts: Parts) -> None:
        """See `ChannelsListener.take`."""
        message = from_parts(parts)
        if message is None:
            return
        if channel == "iopub" and announces_restart(message):
            self.reconnected(replaced=True)
        self._route(message)

    def reconnected(self, *, replaced: bool) -> None:
        """See `ChannelsListener.reconnected`."""
        runs = [*self._runs.values()]
        if replaced:
            self._abandon(runs, REPLACED)
        self._ask_for_output(runs)

    def gone(self, why: str) -> None:
        """See `ChannelsListener.gone`."""
        self.close(why)

    def _abandon(self, runs: list[Run], why: str) -> None:
        for run in runs:
            run.abandon(why, "KernelRestarted")

    def _ask_for_output(self, runs: list[Run]) -> None:
        """Ask nothing else of the kernel before its output arrives, and end runs that it has forgotten by then."""
        self._iopub_connected.clear()
        if self._asking is not None:
            self._asking.cancel()
        self._asking = asyncio.create_task(self._await_output(runs))

    async def _await_output(self, runs: list[Run]) -> None:
        patience = _PROBE_SECONDS
        while not await self._probe(patience):
            patience = min(2 * patience, _PROBE_MOST_SECONDS)
        for run in runs:
            run.abandon(LOST, "ReplyLost")
        self._output_arrives()

    async def _probe(self, patience: float) -> bool:
        """Return whether the kernel answers a request and its output arrives.

        A request can be lost while the kernel starts, and a subscription takes effect some time after it is made. A
        kernel that is busy answers later requests, too.
        """
        message, probe = self._begin("kernel_info_request", {})
        try:
            self._send("shell", message)
            async with asyncio.timeout(patience):
                await probe.replied.wait()
            async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                await probe.messages.get()
        except TimeoutError:
            return False
        finally:
            self.forget(probe)
        return True

    def _send(self, channel: str, message: Message) -> None:
        parts = [self._session.pack(message[name]) for name in _PART_NAMES]
        try:
            self._channels.send(channel, [*parts, *message.get("buffers", ())])
        except SessionError as error:
            run = self._runs.get(message["header"]["msg_id"])
            if run is None:
                raise
            run.abandon(error.message, error.reason)


def channels_to(endpoint: KernelEndpoint, listener: ChannelsListener, identity: str = "") -> KernelChannels:
    """Return channels to a kernel, which are not open yet."""
    if isinstance(endpoint, ZmqEndpoint):
        return ZmqChannels(endpoint, listener, identity)
    return WebSocketChannels(endpoint, listener, identity)


def announces_restart(message: Message) -> bool:
    """Whether the kernel ends or has ended: what a kernel says of itself, or its Jupyter server of it."""
    kind, content = message["header"]["msg_type"], message["content"]
    states = ("restarting", "autorestarting", "dead")
    return kind == "shutdown_reply" or (kind == "status" and content.get("execution_state") in states)
