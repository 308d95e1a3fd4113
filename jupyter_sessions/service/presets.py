"""Saved specs that a person begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionSpec


def filled(spec: SessionSpec, presets: Mapping[str, Mapping[str, Any]]) -> SessionSpec:
    """A spec with what it leaves out taken from the preset that it names. Errors: InvalidRequest."""
    if spec.preset is None:
        return spec
    if spec.preset not in presets:
        known = ", ".join(presets) or "none"
        raise InvalidRequest(
            f"preset: there is no preset '{spec.preset}'.", hint=f"There are: {known}.", field="preset"
        )
    preset, given = presets[spec.preset], msgspec.to_builtins(spec)
    merged = {**preset, **given}
    for key in ("resources", "environ"):
        merged[key] = {**preset.get(key, {}), **given.get(key, {})}
    merged["replicas"] = spec.replicas  # Who makes several reads the preset's number, and asks for each.
    return msgspec.convert({key: value for key, value in merged.items() if key != "preset"}, SessionSpec)
