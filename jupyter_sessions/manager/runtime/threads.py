"""What tells libraries how much of the machine a session has."""

from __future__ import annotations

from decimal import Decimal

from jupyter_sessions.wire.environment import CPU_COUNTS


def thread_env(cpu: Decimal) -> dict[str, str]:
    """Environment variables for a share of `cpu` cores: whole threads only, at least one.

    Libraries left alone count the machine's cores; more threads than quota are slower than fewer.
    """
    return dict.fromkeys(CPU_COUNTS, str(max(1, int(cpu))))


def limit_env(cpu: Decimal, mem: Decimal) -> dict[str, str]:
    """Return the variables in which JupyterHub tells a server its limits, with those of a session.

    What a session may use is set aside for it, so guarantees and limits are the same.
    """
    cores, size = f"{cpu.normalize():f}", str(int(mem))
    return {"CPU_LIMIT": cores, "CPU_GUARANTEE": cores, "MEM_LIMIT": size, "MEM_GUARANTEE": size}
