"""How many threads the usual libraries start in a session."""

from __future__ import annotations

from decimal import Decimal

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "JULIA_NUM_THREADS",
)


def thread_env(cpu: Decimal) -> dict[str, str]:
    """Environment variables for a share of `cpu` cores: whole threads only, at least one.

    Libraries left alone count the machine's cores; more threads than quota are slower than fewer.
    """
    return dict.fromkeys(_VARIABLES, str(max(1, int(cpu))))
