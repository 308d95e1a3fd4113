"""How much of its GPUs a session uses, from NVML. What a device does not tell is left out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

_log = logging.getLogger(__name__)


class GpuUsage(msgspec.Struct, frozen=True):
    """One device: share of the time in which it worked (None for slices of a GPU), bytes used and in all."""

    busy: float | None
    mem: int
    mem_total: int


def usage(uuids: Iterable[str]) -> list[GpuUsage]:
    """Of these devices; those that NVML does not know, as slots made up by hand, are left out."""
    nvml = _nvml()
    if nvml is None:
        return []
    return [found for uuid in uuids if (found := _usage(nvml, uuid))]


@cache
def _nvml() -> Any:
    """NVML, started once for all: that can take a second. None without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:
        _log.debug("The use of GPUs is not known: %s", error)
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
