"""The scripted notebook: what people do in notebooks, one thing a cell, with what must come of it."""

from __future__ import annotations

import asyncio
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from jupyter_sessions.service import SessionService

Message = dict[str, Any]

STATE = ("x = 20", "print(x + 1)")
DISPLAY = """
from IPython.display import display
handle = display("first", display_id=True)
handle.update("second")
"""
PLOT = """
%matplotlib inline
import matplotlib.pyplot as plt
_ = plt.plot([1, 2, 3])
"""
WIDGET = """
import ipywidgets
slider = ipywidgets.IntSlider(value=7)
slider
"""
BYTES = "image = ipywidgets.Image(value=bytes(range(256)))"
ERROR = "1 / 0"
SLEEP = "import time; time.sleep(60)"


class Client(NotebookClient):
    """nbclient with answers for cells that ask, as a front end with a person has them."""

    answer = "eva"

    async def execute_cell_with_input(self, code: str) -> list[str]:
        """What a cell prints that asks for input."""
        uid = self.kc.execute(code, allow_stdin=True)
        request = await self.kc.get_stdin_msg(timeout=20)
        self.kc.input(self.answer)
        printed: list[str] = [request["content"]["prompt"]]
        while (message := await self.kc.get_iopub_msg(timeout=20))["content"].get(
            "execution_state"
        ) != "idle" or (message["parent_header"].get("msg_id") != uid):
            printed.append(message["content"].get("text", ""))
        await self.kc.get_shell_msg(timeout=20)
        return printed


def client(kernel: str) -> Client:
    """A notebook client with an empty notebook."""
    return Client(nbformat.v4.new_notebook(), kernel_name=kernel, timeout=60)


async def play(notebook: Client) -> None:
    """The whole script, on a notebook whose kernel runs."""
    assert not await outputs(notebook, STATE[0])
    assert await text(notebook, STATE[1]) == "21\n"
    assert "".join(await notebook.execute_cell_with_input("print(input('name? ')[::-1])")) == "name? ave\n"
    shown = await outputs(notebook, DISPLAY)
    assert [output["data"]["text/plain"] for output in shown] == ["'second'"]
    assert "image/png" in (await outputs(notebook, PLOT))[0]["data"]
    view = (await outputs(notebook, WIDGET))[0]["data"]["application/vnd.jupyter.widget-view+json"]
    assert notebook.widget_state[view["model_id"]]["value"] == 7
    await outputs(notebook, BYTES)
    assert any(buffers for buffers in notebook.widget_buffers.values())
    await move_slider(notebook, view["model_id"])
    assert await text(notebook, "print(slider.value)") == "9\n"
    assert "x" in await completions(notebook, "x")
    assert "int" in await inspection(notebook, "x")
    error = await failure(notebook, ERROR)
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    await interrupted(notebook)
    assert await text(notebook, "print(x)") == "20\n"
    await notebook.km.restart_kernel()
    await notebook.kc.wait_for_ready(timeout=30)
    assert (await failure(notebook, "x"))["ename"] == "NameError"
    assert await text(notebook, "print('still here')") == "still here\n"


async def outputs(notebook: Client, code: str) -> list[Message]:
    """What a cell shows."""
    cell = nbformat.v4.new_code_cell(code)
    notebook.nb.cells.append(cell)
    await notebook.async_execute_cell(cell, len(notebook.nb.cells) - 1)
    return list(cell.outputs)


async def text(notebook: Client, code: str) -> str:
    """What a cell prints."""
    return "".join(
        output["text"] for output in await outputs(notebook, code) if output["output_type"] == "stream"
    )


async def failure(notebook: Client, code: str) -> Message:
    """The error of a cell that fails."""
    try:
        await outputs(notebook, code)
    except CellExecutionError:
        return dict(notebook.nb.cells[-1].outputs[-1])
    raise AssertionError("the cell did not fail")


async def interrupted(notebook: Client) -> None:
    """Interrupt a cell that sleeps."""
    cell = asyncio.create_task(failure(notebook, SLEEP))
    await asyncio.sleep(1)
    await notebook.km.interrupt_kernel()
    async with asyncio.timeout(20):
        assert (await cell)["ename"] == "KeyboardInterrupt"


async def move_slider(notebook: Client, model: str) -> None:
    """Say what a page says when a person moves the slider."""
    content = {"comm_id": model, "data": {"method": "update", "state": {"value": 9}, "buffer_paths": []}}
    notebook.kc.shell_channel.send(notebook.kc.session.msg("comm_msg", content))


async def completions(notebook: Client, code: str) -> list[str]:
    """What is offered."""
    return list((await notebook.kc.complete(code, reply=True, timeout=20))["content"]["matches"])


async def inspection(notebook: Client, code: str) -> str:
    """What is told of a name."""
    reply = await notebook.kc.inspect(code, reply=True, timeout=20)
    return str(reply["content"]["data"]["text/plain"])


async def left(service: SessionService) -> list[str]:
    """Names of live sessions."""
    return [row.name for row in (await service.list()).sessions]


async def nothing(service: SessionService) -> bool:
    return not await left(service)
