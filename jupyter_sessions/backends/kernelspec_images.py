"""Backends whose images are the kernelspecs of whoever asks for a session."""

from __future__ import annotations

import asyncio
import builtins
from typing import Any

from jupyter_sessions.backends.recent import Recent
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import UnknownImage
from jupyter_sessions.model import Image, SessionSpec
from jupyter_sessions.wire.environment import NATIVE, Launch, Specs
from jupyter_sessions.wire.required_environments import with_requirements


class KernelspecImages:
    """A mixin for backends on this machine, or on machines that see the same files.

    Its images are the kernelspecs of the Jupyter server or shell that asks, and `create` gets a `launch` that says how
    to start the kernel. Name it before `Backend` in the list of bases.
    """

    image_word = "Environment"
    options: dict[str, Any]

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)  # type: ignore[call-arg]
        self._recent_specs = Recent(self._specs)

    @classmethod
    def configured(cls, config: JupyterSessions, kernel_spec_manager: Any) -> dict[str, Any]:
        """Return the option `kernel_spec_manager`."""
        return {"kernel_spec_manager": kernel_spec_manager}

    async def images(self) -> builtins.list[Image]:
        """Return the kernelspecs."""
        return (await self._specs()).images()

    async def launch(self, spec: SessionSpec) -> tuple[str, Launch]:
        """Return the canonical name of the spec's image and how to start its kernel. Errors: UnknownImage."""
        image = spec.image or NATIVE
        specs = await self._recent_specs.get()
        try:
            specs.minimum(image)
        except UnknownImage:  # It may have been installed a moment ago.
            specs = await self._specs()
        name, launch = specs.resolve(image, cwd=spec.cwd, given=spec.environ, arguments=spec.kernel_arguments)
        if spec.requirements:
            return await asyncio.to_thread(with_requirements, launch, spec.requirements)
        return name, launch

    async def _specs(self) -> Specs:
        return await asyncio.to_thread(Specs.here, self.options.get("kernel_spec_manager"))
