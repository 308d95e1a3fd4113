"""The value of a variable in a session, as JSON or as a pickle. The code for it needs no package in the session."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterable
from typing import Any

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client.cells import RESULT
from jupyter_sessions.errors import BadAnswer, InvalidRequest

_CODE = """
def _send_value(name, pickled):
    import base64, json
    from IPython import get_ipython
    from IPython.display import publish_display_data
    known = get_ipython().user_ns
    if name not in known:
        return publish_display_data({%(result)r: {"missing": name}})
    value = known[name]
    if pickled:
        try:
            from cloudpickle import dumps
        except ImportError:
            from pickle import dumps
        return publish_display_data({%(result)r: {"pickle": base64.b64encode(dumps(value)).decode()}})
    try:
        plain = bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):
        plain = False
    publish_display_data({%(result)r: {"value": value} if plain else {"type": type(value).__name__}})

try:
    _send_value(%(name)r, %(pickled)r)
finally:
    del _send_value
"""


def code_of_value(name: str, *, pickled: bool) -> str:
    """Return the code that sends the value of a variable from a Python kernel."""
    return _CODE % {"name": name, "pickled": pickled, "result": RESULT}


def value_of(outputs: Iterable[Output], name: str, *, pickled: bool) -> Any:
    """Return the value that came with the outputs of `code_of_value`. It is unpickled only if that was asked for.

    Errors: InvalidRequest if there is no such variable, or its value cannot be read here; BadAnswer for anything else.
    """
    answers = [
        output.content["data"][RESULT] for output in outputs if RESULT in output.content.get("data", {})
    ]
    match answers:
        case [{"value": value}]:
            return value
        case [{"pickle": str(data)}] if pickled:
            try:
                return pickle.loads(base64.b64decode(data))  # noqa: S301
            except Exception as error:  # Whatever the value's own class raises.
                hint = "Install the same packages here as in the session."
                raise InvalidRequest(f"'{name}' cannot be unpickled here: {error}.", hint=hint) from error
        case [{"missing": _}]:
            hint = "The cell has run; name a variable that it sets."
            raise InvalidRequest(f"The session has no variable '{name}'.", hint=hint, field="output")
        case [{"type": str(kind)}]:
            hint = "Add `--pickle` if you trust the session's machine: unpickling can run code."
            raise InvalidRequest(f"'{name}' is a {kind}, which JSON cannot say.", hint=hint, field="output")
    hint = "`-o` needs a session with a Python kernel."
    raise BadAnswer(f"The session's kernel did not send '{name}'.", hint=hint)
