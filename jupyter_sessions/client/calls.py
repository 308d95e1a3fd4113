"""Calls of functions in sessions: the code that is sent, and the result that comes back.

cloudpickle, which pickles functions by their code, travels with the call, so that a session need not have it.
"""

from __future__ import annotations

import base64
import site
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client import remote_call
from jupyter_sessions.client.cells import RESULT
from jupyter_sessions.errors import BadAnswer, InvalidRequest

_PYTHON = [*sys.version_info[:2]]
_TEMPLATE = (
    "(lambda scope: exec(compile(__import__('zlib').decompress(__import__('base64').b64decode({program!r})), "
    "'<jupyter_sessions>', 'exec'), scope) or scope['perform']({call!r}, {python}, {cloudpickle!r}, {result!r}, "
    "{pickled}))({{'__name__': '_jupyter_sessions_call'}})"
)
_MOST_BYTES = 30 * 1024**2
"""Of a pickled call: the code of a cell has at most 32 MiB."""


def code_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, pickled: bool
) -> str:
    """Return the code that calls a function in a session's kernel, whose result is `pickled` or else JSON.

    Errors: InvalidRequest for what cannot be pickled, or is too large.
    """
    import cloudpickle

    try:
        with _by_value(function):
            call = base64.b64encode(cloudpickle.dumps((function, args, dict(kwargs)))).decode()
    except Exception as error:  # Whatever the objects' own methods raise.
        hint = "Create in the function what cannot be pickled."
        raise InvalidRequest(f"The call cannot be sent: {error}.", hint=hint) from error
    if len(call) > _MOST_BYTES:
        hint = "Upload large data as a file, and read it in the function."
        raise InvalidRequest(
            f"The call is too large: {len(call) >> 20} MiB of at most {_MOST_BYTES >> 20}.", hint=hint
        )
    program, source = _sources()
    return _TEMPLATE.format(
        program=program, call=call, python=_PYTHON, cloudpickle=source, result=RESULT, pickled=pickled
    )


def result_of(outputs: Iterable[Output]) -> Any:
    """Return what the function returned. Errors: InvalidRequest if nothing ran, or the result may not come back."""
    import cloudpickle

    answers = [
        output.content["data"][RESULT] for output in outputs if RESULT in output.content.get("data", {})
    ]
    match answers:
        case [{"pickle": str(data)}]:
            return remote_call.Unpickler(base64.b64decode(data), cloudpickle.cloudpickle).load()
        case [{"value": value}]:
            return value
        case [{"python": str(version)}]:
            here = ".".join(map(str, _PYTHON))
            raise InvalidRequest(
                f"The session runs Python {version}, and this is Python {here}: functions cannot be sent between them.",
                hint=f"Create a session with Python {here}, or send code as text with `run`.",
            )
        case [{"type": str(kind)}]:
            raise InvalidRequest(
                f"The function returned a {kind}, which has to be unpickled here, and code could run with that.",
                hint="Add `unpickle=True` if you trust the session's machine, or return plain numbers, texts and lists.",
            )
    hint = "Functions need a session with a Python kernel."
    raise BadAnswer("The session's kernel returned no result.", hint=hint)


@lru_cache(maxsize=1)
def _sources() -> tuple[str, str]:
    """Return the program and cloudpickle, packed."""
    from cloudpickle import cloudpickle

    files = (remote_call.__file__, str(cloudpickle.__file__))
    program, source = (base64.b64encode(zlib.compress(Path(file).read_bytes(), 9)).decode() for file in files)
    return program, source


@contextmanager
def _by_value(function: Callable[..., Any]) -> Iterator[None]:
    """Let functions of the module that defines a function travel with it, unless that module is installed.

    A session has what is installed, but not the folder of a person's script.
    """
    import cloudpickle

    module = sys.modules.get(getattr(function, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is None or file is None or module.__name__ == "__main__" or _is_installed(Path(file)):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_installed(file: Path) -> bool:
    folders = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_paths()["stdlib"]]
    return any(file.is_relative_to(folder) for folder in folders)
