"""The NVIDIA GPUs of this machine, and the variables that show a session its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

VISIBLE = "CUDA_VISIBLE_DEVICES"
_log = logging.getLogger(__name__)
_FAILED = "GPUs cannot be detected, so none are offered: %s"


class Gpu(msgspec.Struct, frozen=True):
    """A device to assign: a GPU, or a slice of one (MIG). `mem` is in bytes, 0 if unknown.

    `parent` is the GPU that a slice belongs to.
    """

    uuid: str
    name: str
    mem: int = 0
    parent: str = ""


def discover() -> list[list[Gpu]]:
    """Return all GPUs of this machine, each as itself or as its slices (MIG), in the order of the PCI bus.

    The environment is ignored here: `select` picks the GPUs that a client may use. Without a driver there are none.
    """
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        quiet = (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded)
        _log.log(logging.DEBUG if isinstance(error, quiet) else logging.WARNING, _FAILED, error)
        return []
    try:
        return _read(pynvml)
    except (pynvml.NVMLError, OSError, ValueError) as error:
        _log.warning(_FAILED, error)
        return []
    finally:
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError as error:
            _log.debug("NVML cannot be shut down: %s", error)


def select(groups: Sequence[Sequence[Gpu]], chosen: str | None) -> list[Gpu]:
    """Return the devices that a CUDA_VISIBLE_DEVICES names; None names all.

    `groups` has each GPU as itself or as its slices. As in CUDA, an entry that names no device, two devices, or a
    repeated device ends the list. Numbers count in the order of the PCI bus, which is CUDA's own only with
    CUDA_DEVICE_ORDER=PCI_BUS_ID or equal GPUs.
    """
    if chosen is None:
        return [gpu for group in groups for gpu in group]
    found: list[Gpu] = []
    for entry in chosen.split(","):
        gpu = _entry(groups, entry.strip())
        if gpu is None or gpu in found:
            break
        found.append(gpu)
    return found


def _entry(groups: Sequence[Sequence[Gpu]], entry: str) -> Gpu | None:
    """Return the device that an entry names, or None.

    A GPU in MIG mode that is named as a whole stands for its first slice. Configured slots may have numbers as names.
    """
    names = {gpu.uuid: gpu for group in groups for gpu in group}
    if entry in names:
        return names[entry]
    if entry.isdecimal():
        if any(name.isdecimal() for name in names):
            return None
        return groups[int(entry)][0] if int(entry) < len(groups) else None
    if len(entry) <= len("GPU-"):
        return None
    gpus = [group[0] for group in groups if (group[0].parent or group[0].uuid).startswith(entry)]
    slices = [gpu for group in groups for gpu in group if gpu.uuid.startswith(entry)]
    named = list(dict.fromkeys([*gpus, *slices]))
    return named[0] if len(named) == 1 else None


def visible(uuids: Iterable[str]) -> dict[str, str]:
    """Return the environment variables that show a session only these GPUs."""
    return {VISIBLE: ",".join(uuids), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def configured(names: Iterable[str]) -> list[list[Gpu]]:
    """Return the slots that an administrator configured, for machines whose accelerators are not found."""
    return [[Gpu(uuid=name, name=name)] for name in names]


def _read(nvml: Any) -> list[list[Gpu]]:
    groups = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        gpu = _gpu(nvml, handle)
        groups.append(_slices(nvml, handle, gpu) if _in_mig_mode(nvml, handle) else [gpu])
    return [group for group in groups if group]


def _gpu(nvml: Any, handle: Any, parent: str = "") -> Gpu:
    texts = (nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle))
    uuid, name = (text.decode() if isinstance(text, bytes) else text for text in texts)
    return Gpu(uuid, name, int(nvml.nvmlDeviceGetMemoryInfo(handle).total), parent)


def _in_mig_mode(nvml: Any, handle: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:
        return False


def _slices(nvml: Any, handle: Any, gpu: Gpu) -> list[Gpu]:
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError:
            continue
        found.append(_gpu(nvml, part, gpu.uuid))
    return found
