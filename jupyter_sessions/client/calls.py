"""Calls of functions in sessions: the code that is sent, and the result that comes back.

cloudpickle, which pickles functions by their code, travels with the call, so that a session need not have it.
"""

from __future__ import annotations

import base64
import hashlib
import site
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client import remote_call
from jupyter_sessions.client.cells import RESULT
from jupyter_sessions.errors import BadAnswer, InvalidRequest

_PYTHON = [*sys.version_info[:2]]
_TEMPLATE = (
    "(lambda scope: exec(compile(__import__('zlib').decompress(__import__('base64').b64decode({program!r})), "
    "'<jupyter_sessions>', 'exec'), scope) or scope['perform']({call!r}, {python}, {version!r}, {cloudpickle!r}, "
    "{result!r}, {pickled}))({{'__name__': '_jupyter_sessions_call'}})"
)
_MOST_BYTES = 30 * 1024**2
"""Of a pickled call: the code of a cell has at most 32 MiB."""


class PickledCall(NamedTuple):
    """A function with its arguments, and whether its result is to be pickled or else JSON."""

    call: str
    pickled: bool

    def code(self, *, with_cloudpickle: bool) -> str:
        """Return the code that does the call in a session's kernel.

        Only the first call of a kernel needs cloudpickle, which is long.
        """
        program, cloudpickle, version = _sources()
        return _TEMPLATE.format(
            program=program,
            call=self.call,
            python=_PYTHON,
            version=version,
            cloudpickle=cloudpickle if with_cloudpickle else "",
            result=RESULT,
            pickled=self.pickled,
        )


def pickle_call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, pickled: bool
) -> PickledCall:
    """Return a call that can be sent. Errors: InvalidRequest for what cannot be pickled, or is too large."""
    import cloudpickle

    try:
        with _by_value(function):
            call = base64.b64encode(cloudpickle.dumps((function, args, dict(kwargs)))).decode()
    except Exception as error:  # Whatever the objects' own methods raise.
        hint = "Create in the function what cannot be pickled."
        raise InvalidRequest(f"The call cannot be sent: {error}.", hint=hint) from error
    if len(call) > _MOST_BYTES:
        size = f"{len(call) >> 20} MiB of at most {_MOST_BYTES >> 20}"
        hint = "Upload large data as a file, and read it in the function."
        raise InvalidRequest(f"The call is too large: {size}.", hint=hint)
    return PickledCall(call, pickled)


def lacks_cloudpickle(outputs: Iterable[Output]) -> bool:
    """Return whether a call was not done because it came without cloudpickle."""
    return any("missing" in answer for answer in _answers(outputs))


def _answers(outputs: Iterable[Output]) -> list[dict[str, Any]]:
    return [output.content["data"][RESULT] for output in outputs if RESULT in output.content.get("data", {})]


def result_of(outputs: Iterable[Output], *, pickled: bool) -> Any:
    """Return what the function returned. It is unpickled only if the call asked for a `pickled` result.

    Errors: InvalidRequest if nothing ran, or the result may not come back; BadAnswer for anything else.
    """
    import cloudpickle

    match _answers(outputs):
        case [{"pickle": str(data)}] if pickled:
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
def _sources() -> tuple[str, str, str]:
    """Return the program and cloudpickle, packed, and what identifies this version of cloudpickle."""
    from cloudpickle import cloudpickle

    files = (remote_call.__file__, str(cloudpickle.__file__))
    texts = [Path(file).read_bytes() for file in files]
    program, source = (base64.b64encode(zlib.compress(text, 9)).decode() for text in texts)
    return program, source, hashlib.sha256(texts[1]).hexdigest()


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
