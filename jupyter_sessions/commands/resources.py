"""Resources as people ask for them: options to slots."""

from __future__ import annotations

from argparse import Namespace
from decimal import Decimal
from typing import Any

from jupyter_sessions.amounts import format_slots, parse_count, parse_slots
from jupyter_sessions.client import Api
from jupyter_sessions.client.resources import gpu_slot
from jupyter_sessions.errors import InvalidRequest


async def resources_of(api: Api, asked: Namespace, backend: str | None = None) -> dict[str, Any]:
    """Return the resources that the options ask for, by slot.

    GPUs are counted as `backend` does unless the options name another backend. Errors: InvalidRequest.
    """
    given = parse_slots(pairs(asked.resource, "--resource"), unit="m")
    options = [("cpu", "cpu", asked.cpu), ("mem", "mem", asked.mem), ("ram", "mem", asked.ram)]
    if asked.gpu not in (None, "0"):
        options.append(("gpu", *await gpu_slot(api, asked.backend or backend, _check_gpu(asked.gpu))))
    for option, slot, amount in options:
        if amount is not None and slot in given:
            raise given_twice(option, slot)
        given |= parse_slots({slot: amount}, unit="g" if option == "ram" else "m")
    return dict(format_slots(given))


def given_twice(option: str, what: str) -> InvalidRequest:
    """Return the error for a thing that two options set."""
    return InvalidRequest(f"'{what}' is given twice.", hint="Leave one of the two out.", field=option)


def _check_gpu(given: str) -> Decimal:
    try:
        return parse_count(given, field="gpu")
    except InvalidRequest as error:
        hint = "Give a number above 0, for example `--gpu 1`."
        raise InvalidRequest(error.message, hint=hint, field="gpu") from None


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """Return NAME=VALUE texts as a dict. Errors: InvalidRequest for any other text."""
    found = dict[str, str]()
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            hint = "Give a name, '=' and a value."
            raise InvalidRequest(
                f"'{text}' after {option} is no NAME=VALUE.", hint=hint, field=option.strip("-")
            )
        found[key] = value
    return found
