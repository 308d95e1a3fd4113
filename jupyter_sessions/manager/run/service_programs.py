"""Launch the programs of a session's services, with their commands, sockets and base URLs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.services import ServiceDefinition, kind_of
from jupyter_sessions.manager.run.environment import with_programs
from jupyter_sessions.manager.run.member import SERVICE, Member
from jupyter_sessions.manager.run.plugins import PROGRAM
from jupyter_sessions.manager.runtime.helpers import HELPERS
from jupyter_sessions.manager.runtime.launch import ProcessLimits
from jupyter_sessions.manager.runtime.process import Process
from jupyter_sessions.wire.files import remove, write_private
from jupyter_sessions.wire.proxy.rebase import SERVICE_PATH

_PLACEHOLDER = re.compile(r"\{(\w+)\}|\{\{|\}\}")
_ARGUMENT = re.compile(r"-{0,2}\w[\w.-]*", re.ASCII)


class ServicePrograms:
    """Launches the programs of a session's services."""

    def __init__(self, record: Record, member: Member) -> None:
        self._record = record
        self._member = member
        self._files = member.folder

    def socket(self, name: str) -> Path:
        """Return the path of the socket on which a service listens."""
        return self._member.connection.folder / f"{SERVICE}{name}"

    def log_file(self, name: str) -> Path:
        """Return the path of a service's log file."""
        return self._files / f"service-{name}.log"

    def base_url(self, name: str, definition: ServiceDefinition) -> str:
        """Return the path under which a service sees itself. Plug-ins expect their name below {base_url}."""
        own = not definition.plugin and kind_of(name) in self._record.launch.services
        return self._root(name) + ("" if own else f"{kind_of(name)}/")

    def headers(self, name: str, definition: ServiceDefinition, port: int) -> dict[str, str]:
        """Return the header fields for each request to a service."""
        values = self._values(name, port)
        return {key: _fill(text, values) for key, text in definition.request_headers.items()}

    async def launch(
        self,
        name: str,
        definition: ServiceDefinition,
        port: int,
        arguments: Mapping[str, str],
        limits_group: ProcessLimits | None,
    ) -> Process:
        """Start a service's program, which listens on its socket, or on a port. Errors: LaunchError."""
        values = self._values(name, port)
        if definition.plugin:
            program = [definition.plugin, HELPERS.program(PROGRAM), "start", kind_of(name)]
            command = [*program, str(port), values["unix_socket"], values["base_url"]]
        else:
            command = [_fill(part, values) for part in definition.command]
        for path in (self.socket(name), self.log_file(name)):
            remove(path)
        own = {key: _fill(text, values) for key, text in definition.environment.items()}
        return await self._member.runtime.launch(
            [*command, *_options(arguments)],
            env=self._environment(definition) | own,
            cwd=self._record.launch.cwd,
            log=str(self.log_file(name)),
            folder=str(self._files / f"{SERVICE}{name}"),
            limits_group=limits_group,
        )

    def _environment(self, definition: ServiceDefinition) -> dict[str, str]:
        """Return the environment of a service, in which the programs of the plug-in's Python are found first."""
        env = with_programs(self._record, self._member.environment() | self._own_kernel())
        folder = os.path.dirname(definition.plugin)
        return env | ({"PATH": f"{folder}{os.pathsep}{env.get('PATH', os.defpath)}"} if folder else {})

    def _root(self, name: str) -> str:
        """Return the base URL of the Jupyter server for a service: a path that occurs nowhere else, to be found in pages."""
        digest = hashlib.sha256(f"{self._record.id}/{name}".encode()).hexdigest()
        return f"{SERVICE_PATH}{digest[:16]}/"

    def _values(self, name: str, port: int) -> dict[str, str]:
        """Return the values of placeholders."""
        socket = str(self.socket(name))
        own = {"socket": socket, "cwd": self._record.launch.cwd}
        return own | {"port": str(port), "unix_socket": socket, "base_url": self._root(name)}

    def _own_kernel(self) -> dict[str, str]:
        """Return variables that make the session's own environment the default kernel of a Jupyter server in it."""
        launch_ = self._record.launch
        name = "python3" if launch_.language == "python" else Path(self._record.image).name
        folder = self._files / "jupyter" / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        spec = {
            "argv": launch_.argv,
            "display_name": launch_.display_name,
            "language": launch_.language,
            "interrupt_mode": launch_.interrupt_mode,
            "metadata": {"debugger": launch_.debugger},
        }
        for logo in Path(launch_.logos).glob("logo-*") if launch_.logos else ():
            with suppress(OSError):
                shutil.copyfile(logo, folder / logo.name)
        write_private(folder / "kernel.json", msgspec.json.encode(spec))
        path = launch_.env.get("JUPYTER_PATH")
        return {"JUPYTER_PATH": ":".join(filter(None, (str(folder.parent.parent), path)))}


def check_arguments(arguments: Mapping[str, str]) -> None:
    """Check that arguments can be options of a command. Errors: InvalidRequest."""
    for name, value in arguments.items():
        if not _ARGUMENT.fullmatch(name) or "\0" in value:
            raise InvalidRequest(
                f"'{name[:60]}' is not a valid argument of a service.",
                hint="Give the name of an option of its command and a value: logdir=runs.",
                field="arguments",
            )


def _options(arguments: Mapping[str, str]) -> list[str]:
    """Return arguments as options of a command: logdir=runs is --logdir=runs, quiet= is --quiet."""
    names = {name: name if name.startswith("-") else f"--{name}" for name in arguments}
    return [f"{names[name]}={value}" if value else names[name] for name, value in arguments.items()]


def _fill(part: str, values: Mapping[str, str]) -> str:
    """Fill in placeholders as `str.format` does, but leave unknown ones as they are."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]) if found[1] else found[0][0], part)
