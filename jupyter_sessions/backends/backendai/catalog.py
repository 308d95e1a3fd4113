"""What a manager has to offer: images, sizes, resource groups, projects, folders, and what is free.

Source: managers 23.09 to 26.8; `POST /resource/check-presets`, `GET /folders`, `GET /scaling-groups`, GraphQL.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from jupyter_sessions.amounts import MEMORY_SLOTS, SHARES, format_slots, parse_size
from jupyter_sessions.backends.backendai.reading import amounts_of, slots_of, text_of
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import Amount, Choices, Folder, Group, Image, Size

IMAGES = "query { images { name humanized_name tag registry aliases resource_limits { key min } labels { key value } } }"
PROJECTS = "query { groups { id name } }"
PROJECT = "query($id: UUID!) { group(id: $id) { name } }"
_RUNTIME, _ROLE, _COMPUTE = "ai.backend.runtime-type", "ai.backend.role", "COMPUTE"


def images_of(items: list[dict[str, Any]]) -> list[Image]:
    """Return the images for sessions by name, without those for the manager's own use."""
    found = {image.name: image for item in items if _is_compute(item) for image in [_image(item)]}
    return [found[name] for name in sorted(found)]


def _labels(item: dict[str, Any]) -> dict[str, str]:
    return {str(label["key"]): str(label["value"]) for label in item.get("labels") or []}


def _is_compute(item: dict[str, Any]) -> bool:
    return _labels(item).get(_ROLE, _COMPUTE) in (_COMPUTE, "INFERENCE")


def _image(item: dict[str, Any]) -> Image:
    tag = f":{item['tag']}" if item.get("tag") else ""
    return Image(
        name=f"{item['registry']}/{item['name']}{tag}",
        title=text_of(item.get("humanized_name")),
        language=_labels(item).get(_RUNTIME, ""),
        aliases=[str(alias) for alias in item.get("aliases") or []],
        resources=_least(item.get("resource_limits") or []),
    )


def _least(limits: list[dict[str, Any]]) -> dict[str, str]:
    """Return the minimum of each slot that has one; memory has a suffix or is in bytes."""
    found: dict[str, Decimal] = {}
    for limit in limits:
        name, least = str(limit["key"]), text_of(limit.get("min"))
        try:
            amount = Decimal(parse_size(least)) if name in MEMORY_SLOTS else amounts_of({name: least})[name]
        except (InvalidRequest, KeyError):
            continue
        if amount > 0:
            found[name] = amount
    return format_slots(found)


def choices_of(found: tuple[Any, Any, list[str], Any]) -> Choices:
    """Return the choices of a form from the manager's answers."""
    sizes, groups, projects, folders = found
    return Choices(
        sizes=sizes_of(sizes), groups=groups_of(groups), projects=projects, folders=folders_of(folders)
    )


def sizes_of(answer: dict[str, Any]) -> list[Size]:
    """Return the resource presets, the smallest first."""
    sizes = [_size(item) for item in answer.get("presets") or []]
    return [size for size, _ in sorted(sizes, key=lambda pair: (pair[1], pair[0].name))]


def _size(item: dict[str, Any]) -> tuple[Size, list[Decimal]]:
    amounts = amounts_of(item.get("resource_slots"))
    size = Size(
        name=str(item["name"]),
        resources=slots_of(item.get("resource_slots")),
        shared_memory=slots_of({"shmem": item["shared_memory"]}).get("shmem")
        if item.get("shared_memory")
        else None,
        fits=bool(item.get("allocatable", True)),
    )
    return size, [amounts.get(name, Decimal(0)) for name in ("cpu", "mem")]


def folders_of(items: list[dict[str, Any]]) -> list[Folder]:
    """Return the folders that sessions may mount. Those named ".…" are mounted in each session."""
    ready = [item for item in items if item.get("status") in (None, "ready", "performing")]
    folders = [
        Folder(
            name=str(item["name"]),
            read_only=item.get("permission") == "ro",
            automatic=str(item["name"]).startswith("."),
        )
        for item in ready
    ]
    return sorted(folders, key=lambda folder: folder.name)


def groups_of(answer: dict[str, Any]) -> list[Group]:
    """Return the resource groups one may use, by name."""
    names = sorted(str(item["name"]) for item in answer.get("scaling_groups") or [])
    return [Group(name=name) for name in names]


def capacity_of(answer: dict[str, Any]) -> dict[str, Amount]:
    """Totals and what is free, as `check-presets` tells.

    Where key and project have no limit, the total is what the key uses and what its resource groups have
    left: what others use of them the manager does not tell.
    """
    left = _finite(answer.get("scaling_group_remaining"))
    limits = (_finite(answer.get(name)) for name in ("keypair_limits", "group_limits"))
    caps = (_finite(answer.get(name)) for name in ("keypair_remaining", "group_remaining"))
    total = _least_of(*limits)
    free = _least_of(left, *caps)
    using = _finite(answer.get("keypair_using"))
    found = {name: total.get(name, using.get(name, Decimal(0)) + amount) for name, amount in left.items()}
    totals = format_slots(total | found)
    rest = format_slots(free)
    return {
        name: Amount(total=amount, free=rest.get(name, amount), device=_device(name, answer))
        for name, amount in totals.items()
    }


def _device(name: str, answer: dict[str, Any]) -> str | None:
    """Return the shares of one whole device: 1 on managers 23.09 to 26.8; ours report it."""
    return str(answer.get("gpu_shares") or 1) if name.endswith(SHARES) else None


def _finite(value: object) -> dict[str, Decimal]:
    return {name: amount for name, amount in amounts_of(value).items() if amount.is_finite()}


def _least_of(*parts: dict[str, Decimal]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.items():
            found[name] = min(amount, found.get(name, amount))
    return found
