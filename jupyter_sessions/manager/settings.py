"""The settings of a manager at its start and after changes of the configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from jupyter_sessions.amounts import GPU_SLOT, SHARES_SLOT, parse_slots
from jupyter_sessions.config import OF_MANAGER, JupyterSessions
from jupyter_sessions.manager.core import mounts
from jupyter_sessions.manager.core.mounts import ConfiguredFolder
from jupyter_sessions.manager.runtime import capacity, gpus
from jupyter_sessions.manager.schedule.placement import Capacity

_MIB = 1024**2


class ManagerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a manager, independent of files and of the machine.

    Sessions share `capacity` and may mount `folders`. `owner_grace` and `manager_timeout` are in seconds, `allowed_hosts`
    are host names besides localhost that requests may use, and `warm_pool` is the number of prestarted interpreters.
    `smtp` is the address of the mail server. `options` are the options of the configuration, to show to clients.
    """

    capacity: Capacity
    folders: Mapping[str, ConfiguredFolder] = {}
    owner_grace: float = 20
    manager_timeout: float = 900
    warm_pool: int = 0
    allowed_hosts: tuple[str, ...] = ()
    smtp: str = ""
    options: Mapping[str, Any] = {}


def settings_of(configured: JupyterSessions) -> ManagerSettings:
    """Return the settings for a configuration on this machine. Errors: SessionError."""
    return ManagerSettings(
        capacity=_capacity(configured),
        folders=mounts.configured(configured.folders),
        owner_grace=configured.owner_grace,
        manager_timeout=configured.manager_timeout,
        warm_pool=configured.warm_pool,
        allowed_hosts=tuple(configured.allowed_hosts),
        smtp=configured.smtp,
        options={name: getattr(configured, name) for name in OF_MANAGER},
    )


def _capacity(configured: JupyterSessions) -> Capacity:
    found = capacity.detect(
        {}
    )  # The environment's limits apply to the process that started the manager, not to all clients.
    slots = {"cpu": found.cpu, "mem": Decimal(found.mem // _MIB * _MIB)}
    groups = gpus.configured(configured.gpus) if configured.gpus else gpus.discover()
    devices = gpus.select(groups, None)
    shares = configured.gpu_shares
    slot, each = (SHARES_SLOT, shares) if shares else (GPU_SLOT, 1)
    slots[slot] = Decimal(len(devices) * each)
    for name, most in _most(configured.max_resources).items():
        if name in slots:
            slots[name] = min(slots[name], most)
    uuids = [gpu.uuid for gpu in devices[: math.ceil(slots[slot] / each)]]
    return Capacity(slots, uuids, configured.max_sessions, shares, groups=groups)


def _most(amounts: dict[str, Any]) -> dict[str, Decimal]:
    """Return amounts by slot, where 0 means none, unlike in a request."""
    none = {name: Decimal(0) for name, amount in amounts.items() if str(amount).strip() == "0"}
    return none | parse_slots(amounts)
