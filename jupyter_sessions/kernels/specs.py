"""Kernels on sessions as kernelspecs, which launchers and kernel pickers show."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_data_dir

from jupyter_sessions.errors import AlreadyExists, InvalidRequest, NotFound
from jupyter_sessions.model import parse_slots, slot_label

PROVISIONER = "jupyter-sessions"
_NAME = re.compile(r"[a-z0-9._-]+", re.ASCII)


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel: with `session` the one of that session, else one in a session of its own.

    `resources` are amounts by slot; what is left out is the backend's to fill in.
    """

    name: str
    display_name: str
    language: str = "python"
    backend: str = ""
    image: str = ""
    resources: dict[str, str] = {}
    session: str = ""


class _Spec(msgspec.Struct):
    display_name: str = ""
    language: str = ""
    metadata: dict[str, Any] = {}


def add(kernel: Kernel) -> Path:
    """Install it for this user; the folder of its kernelspec.

    Errors: InvalidRequest for a name that cannot be, AlreadyExists for that of a kernel not of ours.
    """
    if not _NAME.fullmatch(kernel.name):
        hint = "Use lower-case letters, digits, '.', '_' and '-'."
        raise InvalidRequest(f"name: '{kernel.name}' cannot be a kernel's name.", hint=hint, field="name")
    if kernel.name in _installed() and not any(known.name == kernel.name for known in listed()):
        raise AlreadyExists(
            f"name: there is another kernel '{kernel.name}'.", hint="Choose another name.", field="name"
        )
    folder = Path(jupyter_data_dir()) / "kernels" / kernel.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_bytes(msgspec.json.format(msgspec.json.encode(_spec(kernel)), indent=1))
    return folder


def listed() -> list[Kernel]:
    """Those of this environment and user, by name."""
    found = []
    for name, folder in sorted(_installed().items()):
        try:
            spec = msgspec.json.decode((Path(folder) / "kernel.json").read_bytes(), type=_Spec)
        except (OSError, msgspec.MsgspecError):
            continue
        provisioner = spec.metadata.get("kernel_provisioner") or {}
        if provisioner.get("provisioner_name") == PROVISIONER:
            fields = {"name": name, "display_name": spec.display_name, "language": spec.language}
            found.append(msgspec.convert({**provisioner.get("config", {}), **fields}, Kernel))
    return found


def remove(name: str) -> None:
    """Remove one of ours. Errors: NotFound listing them."""
    known = [kernel.name for kernel in listed()]
    if name not in known:
        hint = f"There are: {', '.join(known) or 'none'}."
        raise NotFound(f"There is no kernel '{name}' on a session.", hint=hint, field="name")
    shutil.rmtree(_installed()[name])


def title(image: str, resources: dict[str, str]) -> str:
    """What a kernel is called that nobody named: "Python · 1 CPU · 1 GiB"."""
    base, _, tag = image.split("/")[-1].partition(":")
    amounts = [slot_label(slot, amount) for slot, amount in parse_slots(resources).items()]
    label = f"{base[:1].upper()}{base[1:]} {tag}".strip()
    return " · ".join([label, *(amounts or ["session"])])


def _installed() -> dict[str, str]:
    """The folders of all kernelspecs by name."""
    from jupyter_client.kernelspec import KernelSpecManager  # It is heavy, and magics want this module, too.

    return dict(KernelSpecManager().find_kernel_specs())


def _spec(kernel: Kernel) -> dict[str, Any]:
    """The kernelspec: a provisioner's configuration, and the same as a command for who knows no provisioners."""
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
        },
    }
