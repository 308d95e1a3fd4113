"""The use of GPUs by a session, from NVML. Values that a device does not report are left out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

_log = logging.getLogger(__name__)


class GpuUsage(msgspec.Struct, frozen=True):
    """The use of a device: the share of time it was busy (None for slices of a GPU), bytes used, and total bytes."""

    busy: float | None
    mem: int
    mem_total: int


def usage(uuids: Iterable[str]) -> list[GpuUsage]:
    """Return the use of these devices; devices unknown to NVML, such as configured slots, are left out."""
    nvml = _nvml()
    if nvml is None:
        return []
    return [found for uuid in uuids if (found := _usage(nvml, uuid))]


@cache
def _nvml() -> Any:
    """Return NVML, started once because that can take a second, or None without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:
        _log.debug("The use of GPUs is unknown: %s", error)
        return None
    return pynvml


def _usage(nvml: Any, uuid: str) -> GpuUsage | None:
    try:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid.encode())
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None
    try:
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:
        busy = None
    return GpuUsage(busy, int(memory.used), int(memory.total))
