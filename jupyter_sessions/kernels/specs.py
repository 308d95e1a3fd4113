"""Read and write the kernelspecs of kernels on sessions, which launchers and kernel pickers show."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_data_dir

from jupyter_sessions.amounts import parse_slots, slot_label
from jupyter_sessions.errors import AlreadyExists, InvalidRequest, NotFound
from jupyter_sessions.wire.environment import PROVISIONER, provisioned
from jupyter_sessions.wire.files import write_private

_ICONS = Path(__file__).parent / "icons"
_OURS, _ENDS, _HOST = (
    "jupyter_sessions",
    "ends_with_session",
    "host",
)  # What else a kernelspec's metadata notes.
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,99}", re.ASCII)


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel in an existing `session`, or in a session of its own.

    `resources` are amounts by slot; the backend completes missing ones. A kernel that `ends_with_session` was made to open
    a notebook, not by a person, and is removed after the session's end. Only `host`, if given, removes it, as other hosts
    may share the folder.
    """

    name: str
    display_name: str
    language: str = "python"
    backend: str = ""
    image: str = ""
    resources: dict[str, str] = {}
    session: str = ""
    ends_with_session: bool = False
    host: str = ""


class _SpecFile(msgspec.Struct):
    display_name: str = ""
    language: str = ""
    metadata: dict[str, Any] = {}


def add(kernel: Kernel, *, replace: bool = True) -> Path:
    """Install a kernel for this user, and return the folder of its kernelspec.

    Errors: InvalidRequest for an invalid name; AlreadyExists for the name of a foreign kernel, or without `replace` of any
    kernel; SessionError if it cannot be written.
    """
    if not _NAME.fullmatch(kernel.name):
        hint = (
            "Use at most 100 lower-case letters, digits, '.', '_' and '-', and do not begin with '.' or '-'."
        )
        raise InvalidRequest(f"'{kernel.name}' is not a valid kernel name.", hint=hint, field="name")
    ours = any(known.name == kernel.name for known in listed())
    if kernel.name in _installed() and not (ours and replace):
        raise AlreadyExists(
            f"There is another kernel '{kernel.name}'.", hint="Choose another name.", field="name"
        )
    folder = folder_of(kernel.name)
    write(kernel, folder)
    return folder


def write(kernel: Kernel, folder: Path) -> None:
    """Write a kernelspec into a folder. The icons come first, because kernel.json makes the folder a kernel."""
    folder.mkdir(parents=True, exist_ok=True)
    for icon in _ICONS.iterdir():
        shutil.copy(icon, folder)
    text = msgspec.json.format(msgspec.json.encode(_spec(kernel)), indent=1)
    write_private(folder / "kernel.json", text)


def folder_of(name: str) -> Path:
    """Return the folder of this user's kernelspec with a name, whether or not it exists."""
    return Path(jupyter_data_dir()) / "kernels" / name


def listed() -> list[Kernel]:
    """Return the kernels on sessions of this environment and user, by name."""
    found = []
    for name, folder in sorted(_installed().items()):
        kernel = _read(name, Path(folder))
        if kernel is not None:
            found.append(kernel)
    return found


def get(name: str) -> Kernel | None:
    """Return this user's kernel on a session with a name, or None."""
    return _read(name, folder_of(name))


def remove(name: str) -> None:
    """Remove a kernel on a session. Errors: NotFound with the existing names."""
    known = [kernel.name for kernel in listed()]
    if name not in known:
        hint = f"Choose from: {', '.join(known)}." if known else "There are no kernels on sessions."
        raise NotFound(f"There is no kernel '{name}' on a session.", hint=hint, field="name")
    shutil.rmtree(_installed()[name])


def title(image: str, resources: dict[str, str]) -> str:
    """Return the default title of a kernel: "Python · 1 CPU · 1 GiB"."""
    base, _, tag = image.split("/")[-1].partition(":")
    amounts = [slot_label(slot, amount) for slot, amount in parse_slots(resources).items()]
    base = re.sub(r"(?<=[a-z])(?=\d)", " ", base, count=1)
    label = f"{base[:1].upper()}{base[1:]} {tag}".strip()
    return " · ".join([label, *(amounts or ["session"])])


def _read(name: str, folder: Path) -> Kernel | None:
    try:
        spec = msgspec.json.decode((folder / "kernel.json").read_bytes(), type=_SpecFile)
        config = provisioned(spec.metadata)
        fields = {"name": name, "display_name": spec.display_name, "language": spec.language}
        return None if config is None else msgspec.convert({**config, **fields, **_noted(spec)}, Kernel)
    except (OSError, msgspec.MsgspecError):
        return None


def _noted(spec: _SpecFile) -> dict[str, Any]:
    ours = spec.metadata.get(_OURS)
    ours = ours if isinstance(ours, dict) else {}
    return {_ENDS: ours.get(_ENDS) is True, _HOST: ours.get(_HOST, "")}


def _installed() -> dict[str, str]:
    """Return the folders of all kernelspecs by name."""
    from jupyter_client.kernelspec import KernelSpecManager  # A slow import, which magics avoid.

    return dict(KernelSpecManager().find_kernel_specs())


def _spec(kernel: Kernel) -> dict[str, Any]:
    """Return the kernelspec, with a provisioner's configuration and the same as a command for other front ends."""
    chosen = (
        {"session": kernel.session}
        if kernel.session
        else {"image": kernel.image, "resources": kernel.resources}
    )
    config = {key: value for key, value in {"backend": kernel.backend, **chosen}.items() if value}
    argv = [sys.executable, "-m", "jupyter_sessions.kernels.bridge", "-f", "{connection_file}"]
    for key in ("backend", "image", "session"):
        argv += [f"--{key}", str(config[key])] if key in config else []
    for slot, amount in kernel.resources.items():
        argv += ["--resource", f"{slot}={amount}"]
    return {
        "argv": argv,
        "display_name": kernel.display_name,
        "language": kernel.language,
        "interrupt_mode": "signal",
        "metadata": {
            "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config},
            "debugger": kernel.language == "python",
            **({_OURS: {_ENDS: True, _HOST: kernel.host}} if kernel.ends_with_session else {}),
        },
    }
