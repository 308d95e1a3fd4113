"""A notice about output that talks back to its kernel, which cells of `%%session` cannot pass on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from jupyter_sessions.backends.base import Output
from jupyter_sessions.commands.notebook import attach_offer
from jupyter_sessions.model import SessionInfo

_WIDGET = "application/vnd.jupyter.widget-view+json"


def talks_back(output: Output) -> bool:
    """Return whether an output needs a way back to its kernel: a widget, or another user of comms."""
    return output.kind == "comm_open" or _WIDGET in _data(output)


def without_widget(output: Output) -> Output:
    """Return an output without its widget, which the notebook would look for in its own kernel."""
    data = {kind: value for kind, value in _data(output).items() if kind != _WIDGET}
    return structs.replace(output, content=dict(output.content, data=data)) if _data(output) else output


def _data(output: Output) -> Mapping[str, Any]:
    return output.content.get("data") or {} if output.kind != "comm_open" else {}


def widget_notice(row: SessionInfo) -> Output:
    """Return what tells people how such output works: in a notebook that runs in the session."""
    why = "Widgets and other output that talks back to its kernel need a notebook on the session: attach this one."
    shown = attach_offer(row, why)._repr_mimebundle_()
    return Output(kind="display_data", content={"data": shown, "metadata": {}})
