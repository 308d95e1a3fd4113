"""Decode JSON bodies into typed objects, and explain in words what is wrong with them."""

from __future__ import annotations

import difflib
import re
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.wire import untrusted

T = TypeVar("T", bound=msgspec.Struct)

MOST_BYTES = 1024**2

_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_NAMED = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>[^`]*)`")


def read(body: bytes, kind: type[T], *, most: int = MOST_BYTES) -> T:
    """Decode the JSON of a body of at most `most` bytes; an empty body is an object without fields.

    Errors: InvalidRequest naming the field and what it must be.
    """
    if len(body) > most:
        raise InvalidRequest(
            f"The request's body has {human_size(len(body))}; at most {human_size(most)} are accepted here.",
            hint="Send a smaller body.",
        )
    try:
        return untrusted.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), kind) from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"The request's body is not JSON: {error}.", hint="Send a JSON object."
        ) from None


def _invalid(text: str, kind: type[msgspec.Struct]) -> InvalidRequest:
    if named := _NAMED.match(text):
        return _named(named["name"], named["what"].startswith("missing"), kind)
    if expected := _EXPECTED.match(text):
        return _expected(expected)
    return InvalidRequest(f"The request cannot be read: {text}.", hint="Correct the request.")


def _named(name: str, missing: bool, kind: type[msgspec.Struct]) -> InvalidRequest:
    if missing:
        return InvalidRequest(f"The field '{name}' is missing.", hint=f"Give '{name}'.", field=name)
    known = [field.encode_name for field in structs.fields(kind)]
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{nearest[0]}'?" if nearest else f"Choose from: {', '.join(known)}."
    return InvalidRequest(f"There is no field '{name}'.", hint=hint, field=name)


def _expected(found: re.Match[str]) -> InvalidRequest:
    wanted = _words(found["wanted"])
    if not found["path"]:
        return InvalidRequest(
            f"The request's body must be {wanted}, not {_words(found['got'])}.", hint=f"Send {wanted}."
        )
    inside = "A value in" if "[...]" in found["path"] else "The value of"
    path = found["path"].replace("[...]", "")
    field = re.split(r"[.\[]", found["path"])[0]
    return InvalidRequest(
        f"{inside} '{path}' cannot be {_words(found['got'])}.", hint=f"Give {wanted}.", field=field
    )


def _words(types: str) -> str:
    return " or ".join(_WORDS.get(part.strip(), part.strip()) for part in types.split("|"))


def whole_number(field: str, text: str) -> int:
    """Parse a query parameter that is a whole number, 0 or more. Errors: InvalidRequest."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise InvalidRequest(
            f"'{text[:40]}' is no number from 0 on.", hint="Give a whole number.", field=field
        )
    return int(text)


def flag(field: str, text: str) -> bool:
    """Parse a query parameter that is true or false. Errors: InvalidRequest."""
    values: dict[str, bool] = {"true": True, "1": True, "false": False, "0": False, "": False}
    if text.lower() not in values:
        raise InvalidRequest(
            f"'{text[:40]}' is neither true nor false.", hint="Give true or false.", field=field
        )
    return values[text.lower()]


def chosen(row: msgspec.Struct, fields: list[str]) -> dict[str, Any]:
    """Return a row with these fields only."""
    whole: dict[str, Any] = msgspec.to_builtins(row)
    return {name: whole[name] for name in fields if name in whole}
