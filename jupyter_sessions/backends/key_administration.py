"""Backends whose administrators say who may use them."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class KeyAdministration(ABC):
    """A mixin for backends that make keys; a key is its access key, role, domain, group and limits."""

    @abstractmethod
    async def keys(self) -> builtins.list[dict[str, Any]]:
        """Return the keys, without their secrets."""

    @abstractmethod
    async def add_key(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Make a key; the only answer that holds its secret."""

    @abstractmethod
    async def remove_key(self, access_key: str) -> None:
        """Forget a key that has no live sessions."""

    @abstractmethod
    async def key_environment(self, made: Mapping[str, Any]) -> dict[str, str]:
        """Return the environment variables with which the vendors' clients use a key that was just made."""
