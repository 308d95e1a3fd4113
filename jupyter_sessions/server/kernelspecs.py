"""The routes that add and remove kernels on sessions; the server lists them among its kernelspecs."""

from __future__ import annotations

import asyncio

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_sessions.kernels import specs
from jupyter_sessions.kernels.definition import KernelRequest, make
from jupyter_sessions.kernels.specs import Kernel
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.server.operation import operation


class KernelspecsHandler(BaseHandler):
    """All kernels on sessions."""

    @web.authenticated
    @authorized
    @operation({201: Kernel}, body=KernelRequest)
    async def post(self) -> None:
        """Add a kernel. A kernel for a session without a name of its own may exist already."""
        kernel = await make(self.service, self.read(KernelRequest))
        await asyncio.to_thread(specs.add, kernel, replace=kernel.ends_with_session)
        self.answer(kernel, 201)


class KernelspecHandler(BaseHandler):
    """A kernel on sessions."""

    @web.authenticated
    @authorized
    @operation({204: None})
    async def delete(self, name: str) -> None:
        """Remove a kernel; its sessions keep running."""
        await asyncio.to_thread(specs.remove, name)
        self.set_status(204)
        self.finish()
