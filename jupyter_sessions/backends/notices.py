"""Notices to people about backends that answer."""

from __future__ import annotations

import msgspec


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to know about a backend that answers, and what to do; `take_over` if `Backend.take_over` solves it."""

    message: str
    hint: str = ""
    take_over: bool = False

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
