"""Calls a pickled function. This file's text is sent to sessions, which may not have this package."""

from __future__ import annotations

import base64
import io
import json
import pickle
import sys
import types
import zlib
from typing import Any

# Pickles of functions refer to the module that makes them. The session may have another version of cloudpickle than the
# caller, or none, so the caller's own is used, by a name of its own.
NAME = "_jupyter_sessions_cloudpickle"


def perform(call: str, python: list[int], version: str, cloudpickle: str, result: str, pickled: bool) -> None:
    """Call the function in a pickled `call`, and publish what it returns with the media type `result`.

    Nothing is unpickled if this Python has another minor version than the one that pickled, or if this kernel does not
    have this `version` of cloudpickle from an earlier call and it does not come with this one. Without `pickled`, only
    what JSON can say is returned.
    """
    __tracebackhide__ = True
    from IPython.display import publish_display_data

    def answer(**content: Any) -> None:
        publish_display_data({result: content})  # type: ignore[no-untyped-call]

    if [*sys.version_info[:2]] != python:
        answer(python=f"{sys.version_info[0]}.{sys.version_info[1]}")
        return
    module = _cloudpickle(version, cloudpickle)
    if module is None:
        answer(missing="cloudpickle")
        return
    function, args, kwargs = Unpickler(base64.b64decode(call), module).load()
    value = function(*args, **kwargs)
    if pickled:
        answer(pickle=base64.b64encode(module.dumps(value)).decode())
    elif is_plain(value):
        answer(value=value)
    else:
        answer(type=type(value).__name__)


def _cloudpickle(version: str, packed: str) -> Any:
    """Return the module, made of its `packed` text unless it is there already, or None."""
    known: Any = sys.modules.get(NAME)
    if known is not None and known.version_of_caller == version:
        return known
    if not packed:
        return None
    made: Any = types.ModuleType(NAME)
    made.version_of_caller = version
    sys.modules[NAME] = made  # Its pickles are read by that name.
    exec(compile(zlib.decompress(base64.b64decode(packed)), "<cloudpickle>", "exec"), made.__dict__)  # noqa: S102
    return made


class Unpickler(pickle.Unpickler):
    """Reads pickles of either side, with the cloudpickle module of this one."""

    def __init__(self, data: bytes, cloudpickle: Any) -> None:
        super().__init__(io.BytesIO(data))
        self._cloudpickle = cloudpickle

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle names."""
        if module.partition(".")[0] in ("cloudpickle", NAME):
            return getattr(self._cloudpickle, name)
        return super().find_class(module, name)


def is_plain(value: Any) -> bool:
    """Return whether a value is the same after it went through JSON."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
