"""Functions that are called in sessions, and what they return."""

from __future__ import annotations

import base64
import importlib
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions import ComputeSession, connect
from jupyter_sessions.backends.base import Output
from jupyter_sessions.channels.journal_messages import Execution, Selection
from jupyter_sessions.client import calls
from jupyter_sessions.client.blocking import background
from jupyter_sessions.client.cells import RESULT
from jupyter_sessions.client.connection import Connection
from jupyter_sessions.client.variables import value_of
from jupyter_sessions.errors import BadAnswer, CellFailed, InvalidRequest
from tests.waiting import wait_until


@pytest.fixture
def demo(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ComputeSession]:
    """A session in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with connect() as sessions, sessions.create("python", cpu=0.5, mem="256m", name="demo") as session:
        yield session


def test_call(demo: ComputeSession, capsys: pytest.CaptureFixture[str]) -> None:
    outer = 5

    def function(number: int, *, word: str = "") -> Any:
        sys.stdout.write(word)

        class Local:
            value = outer + number

        return Local(), lambda: number * 2

    made, twice = demo.call(function, 3, word="hello")
    assert (made.value, twice()) == (8, 6) and capsys.readouterr().out == "hello"
    assert demo.run("[name for name in dir() if 'call' in name or 'scope' in name]", show=False).result == {
        "text/plain": "[]"
    }
    with pytest.raises(CellFailed, match="ValueError: no") as caught:
        demo.call(_fails)
    text = "".join(caught.value.traceback)
    assert "_fails" in text and "remote_call" not in text and "lambda scope" not in text


def _fails() -> None:
    raise ValueError("no")


def _waits() -> None:
    Path("begun").touch()
    time.sleep(600)


def test_a_session_needs_no_cloudpickle(demo: ComputeSession) -> None:
    demo.run("import sys\nsys.modules['cloudpickle'] = None")
    assert demo.call(lambda: lambda: 7)() == 7
    assert demo.call(lambda: lambda: 8)() == 8
    demo.restart()
    demo.wait()
    assert demo.call(lambda: lambda: 9)() == 9


def test_cloudpickle_is_sent_once(demo: ComputeSession) -> None:
    for number in range(3):
        assert demo.call(int, number) == number
    cells = demo._client._connection
    codes = [one.code for one in background().run(_executions(cells, demo.id))]
    assert [len(code) > 20_000 for code in codes] == [False, True, False, False]


async def _executions(connection: Connection, uid: str) -> list[Execution]:
    return (await (await connection.api()).outputs("local", uid, Selection(heads=True))).executions


def test_functions_of_a_script_beside_travel_with_it(
    demo: ComputeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "own_helpers.py").write_text(
        "def helper(x):\n    return x + 1\n\ndef task(x):\n    return helper(x) * 10\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    task = importlib.import_module("own_helpers").task
    assert demo.call(task, 1) == 20


def test_submit(demo: ComputeSession) -> None:
    futures = [demo.submit(pow, 2, n) for n in range(3)]
    assert [future.result(30) for future in futures] == [1, 2, 4]
    long, other = demo.submit(time.sleep, 600), demo.submit(int, "7")
    assert not other.done()
    third = demo.submit(int, "8")
    assert third.cancel()  # It waits for its turn, so nothing is interrupted.
    assert not long.done()
    long.cancel()
    assert other.result(30) == 7
    with pytest.raises(CellFailed, match="ValueError"):
        demo.submit(int, "x").result(30)


def test_a_callback_that_waits_is_refused(demo: ComputeSession) -> None:
    found: list[BaseException] = []
    done = threading.Event()

    def then(future: object) -> None:
        assert background().is_here
        try:
            demo.run("1")
        except RuntimeError as error:
            found.append(error)
        done.set()

    demo.submit(int).add_done_callback(then)
    assert done.wait(30) and "ComputeSession.run cannot wait here" in str(found[0])


def test_another_python_is_refused_before_anything_runs(
    demo: ComputeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_PYTHON", [3, 8])
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(
        InvalidRequest, match=rf"runs Python {here}, and this is Python 3\.8.*Create a session with"
    ):
        demo.call(Path("touched").touch)
    assert not Path("touched").exists()


def test_a_result_from_another_machine_is_plain_or_trusted(demo: ComputeSession) -> None:
    demo._client._on_this_machine = False
    assert demo.call(lambda: {"a": [1, 2.5, None, "x"]}) == {"a": [1, 2.5, None, "x"]}
    for hostile in (lambda: {1, 2}, lambda: (1, 2), lambda: {1: 2}):
        with pytest.raises(InvalidRequest, match="unpickle=True"):
            demo.call(hostile)
    assert demo.call(lambda: {1, 2}, unpickle=True) == {1, 2}


def test_what_cannot_be_sent_is_said(demo: ComputeSession) -> None:
    with pytest.raises(InvalidRequest, match="The call cannot be sent"):
        demo.call(int, threading.Lock())
    with pytest.raises(InvalidRequest, match=r"too large: 53 MiB of at most 30\. Upload"):
        demo.call(len, bytes(40 * 1024**2))


def test_an_answer_that_is_none() -> None:
    with pytest.raises(BadAnswer, match="returned no result"):
        calls.result_of([Output(kind="stream", content={"name": "stdout", "text": "x"})], pickled=True)
    with pytest.raises(BadAnswer):
        calls.result_of([_answer(pickle=3)], pickled=True)


def test_a_pickle_that_was_not_asked_for_is_not_read(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    answer = [_answer(pickle=base64.b64encode(pickle.dumps(_Touches(touched))).decode())]
    with pytest.raises(BadAnswer):
        calls.result_of(answer, pickled=False)
    with pytest.raises(BadAnswer):
        value_of(answer, "x", pickled=False)
    assert not touched.exists()
    value_of(answer, "x", pickled=True)
    assert touched.exists()


class _Touches:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def _answer(**content: object) -> Output:
    return Output(kind="display_data", content={"data": {RESULT: content}})


def test_a_session_that_ends_fails_the_call(demo: ComputeSession) -> None:
    future = demo.submit(_waits)
    wait_until(Path("begun").exists)
    demo.terminate()
    with pytest.raises(Exception, match=r"ende|broke off"):
        future.result(30)
