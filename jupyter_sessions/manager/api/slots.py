"""The resources of a new session: the requested amounts, and defaults for the rest."""

from __future__ import annotations

from jupyter_sessions.amounts import parse_size, parse_slots
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.request import CreateRequest
from jupyter_sessions.manager.schedule.placement import DEFAULT_SLOTS, Capacity, Slots
from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.minimum import START, at_least, check


def slots_of(asked: CreateRequest, launch: Launch, capacity: Capacity) -> Slots:
    """Return the amounts for all members together.

    Errors: InvalidRequest for amounts below the environment's minimum or unreadable ones, NotEnough.
    """
    least = at_least(parse_slots(launch.minimum), START)
    each = at_least(DEFAULT_SLOTS, least) | asked.slots()
    capacity.check(each)
    check(each, least)
    _check_shared_memory(asked, each)
    slots = {name: amount * asked.cluster_size for name, amount in each.items()}
    capacity.check(slots)
    return slots


def _check_shared_memory(asked: CreateRequest, each: Slots) -> None:
    """Check that shared memory is less than the memory. Errors: InvalidRequest.

    Source: managers 23.09 to 26.8.
    """
    shmem = asked.resource_opts.get("shmem")
    if shmem is not None and parse_size(shmem, field="shmem") >= each["mem"]:
        raise InvalidRequest(
            f"The shared memory of {shmem} is not less than the memory asked for.",
            hint="Ask for more mem.",
            field="shmem",
        )
