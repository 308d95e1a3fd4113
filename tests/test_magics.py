"""The magics in a real kernel: of a Jupyter server, whose extension they ask, and without any."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import STATE_VARIABLE
from tests import processes
from tests.manager.test_secret_values import VALUE, written
from tests.manager.world import contact
from tests.processes import Ran, Shell
from tests.waiting import wait_until

MAKE = "%session create python --cpu 1 --mem 512m --name demo"
SMALL = "%session create python --cpu 0.5 --mem 256m --name demo"


@pytest.fixture(scope="module", params=["of a server", "alone"])
def kernel(
    request: pytest.FixtureRequest, manager_folders: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """A kernel, the same for all tests."""
    folder = tmp_path_factory.mktemp("kernel")
    if request.param == "alone":
        with processes.kernel(manager_folders[False], folder) as shell:
            yield shell
    else:
        with processes.server(manager_folders[False], folder) as server, server.shell() as shell:
            yield shell


@pytest.fixture
def shell(kernel: Shell, machine: Path) -> Shell:
    """A kernel with the magics, and no session."""
    kernel.run("%load_ext jupyter_sessions")
    return kernel


@pytest.fixture
def demo(shell: Shell) -> Shell:
    """A kernel with the magics, and a session `demo`."""
    made = shell.run(SMALL)
    assert "demo is running" in made.text, (made.text, made.error)
    return shell


def plain(ran: Ran) -> str:
    """The error without colours."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", ran.error)


def rows(ran: Ran) -> list[str]:
    """What the cell's live row said, one after the other; it is one output that changes in place."""
    shown, updates = ran.of("display_data"), ran.of("update_display_data")
    assert len(shown) == 1 and {one["transient"]["display_id"] for one in updates} <= {
        shown[0]["transient"]["display_id"]
    }
    return [one["data"]["text/plain"] for one in (*shown, *updates)]


def test_create_ps_info_rm(shell: Shell) -> None:
    made = shell.run(MAKE)
    assert rows(made)[-1] == "demo is running: python3 · 1 CPU · 512 MiB on this machine", made.error
    (next_step,) = made.of("execute_result")
    assert next_step["data"]["text/plain"].endswith("Begin a cell with `%%session demo` to run it there.")
    listed = shell.run("%session ps")
    assert (
        "<td style='text-align:left;white-space:nowrap'>demo</td>" in listed.html
        and "<th style='text-align:left'>Last Updated</th>" in listed.html
    )
    assert "demo" in listed.text and "Running" in listed.text
    info = shell.run("%session info demo")
    assert "512 MiB" in info.html and "Working folder" in info.text
    again = shell.run(MAKE)
    assert rows(again)[-1].endswith("(reused)") and "It was there before." in again.html
    assert shell.run("%session rm demo").text == "demo has ended.\n"
    assert "There are no sessions." in shell.run("%session ps").html
    assert "usage: %session" in shell.run("%session --help").text


def test_run_and_use(demo: Shell) -> None:
    run = "%session run -q -t demo --cpu 0.5 --mem 256m python -c"
    assert demo.run(f"{run} 'print(6 * 7)'").text == "42\n"
    failed = demo.run(f"{run} '1/0'")
    assert failed.reply["ename"] == "CellFailed" and "ZeroDivisionError" in plain(failed)
    asked = demo.run(f"""{run} 'print(input("name? "))'""", answers=("Ada",))
    assert [one["prompt"] for one in asked.of("input_request")] == ["name? "] and "Ada\n" in asked.text
    (shown,) = demo.run(f"{run} '6 * 7'").of("execute_result") or demo.run(f"{run} '6 * 7'").of(
        "display_data"
    )
    assert shown["data"]["text/plain"] == "42"
    assert "needs the name of a session" in plain(demo.run("%%session\nprint(1)"))
    assert "run in demo from now on" in demo.run("%session use demo").text
    assert demo.run("%%session\nprint(2)").text == "2\n"
    demo.run("%session use")
    assert "needs the name of a session" in plain(demo.run("%%session\nprint(1)"))


def test_an_interrupt_of_run_stops_the_code(demo: Shell) -> None:
    code = "import time; print('begun', flush=True); time.sleep(60)"
    run = f'%session run -q -t demo --cpu 0.5 --mem 256m python -c "{code}"'
    ran = demo.run(run, on_text={"begun": demo.interrupt})
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert demo.run("%%session demo\nprint('free again')").text == "free again\n"


def test_the_session_works_in_the_notebooks_folder(demo: Shell) -> None:
    here = demo.run("import os; print(os.getcwd())").text
    assert demo.run("%%session demo\nimport os; print(os.getcwd())").text == here


def test_text_streams_as_it_is_printed(demo: Shell) -> None:
    code = "import sys, time\nfor i in range(3):\n    print(i)\n    time.sleep(0.4)\nprint('oh', file=sys.stderr)"
    ran = demo.run(f"%%session demo\n{code}")
    printed = [(moment, content) for moment, kind, content in ran.messages if kind == "stream"]
    assert [content["text"] for _, content in printed] == ["0\n", "1\n", "2\n", "oh\n"]
    assert [content["name"] for _, content in printed] == ["stdout"] * 3 + ["stderr"]
    assert printed[1][0] - printed[0][0] > 0.3 and printed[2][0] - printed[1][0] > 0.3


RICH = """%%session demo
import base64
from IPython.display import HTML, Image, clear_output, display
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display(Image(base64.b64decode(pixel)), metadata={"a": 1})
display(HTML("<b>bold</b>"))
handle = display("first", display_id=True)
handle.update("second")
clear_output(wait=True)
6 * 7
"""


def test_rich_output(demo: Shell) -> None:
    ran = demo.run(RICH)
    image, html, first, last = ran.of("display_data")
    assert image["data"]["image/png"].startswith("iVBORw0KGgo")
    assert html["data"]["text/html"] == "<b>bold</b>"
    (second,) = ran.of("update_display_data")
    assert second["transient"]["display_id"] == first["transient"]["display_id"]
    assert (first["data"]["text/plain"], second["data"]["text/plain"]) == ("'first'", "'second'")
    assert ran.of("clear_output") == [{"wait": True}] and last["data"]["text/plain"] == "42"


def test_a_figure(demo: Shell) -> None:
    pytest.importorskip("matplotlib")
    ran = demo.run("%%session demo\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    figures = [shown["data"] for shown in ran.of("display_data") if "image/png" in shown["data"]]
    assert len(figures) == 1 and len(figures[0]["image/png"]) > 1000, ran.error


def test_questions_are_asked_here(demo: Shell) -> None:
    code = "from getpass import getpass\nname = input('name? ')\nsecret = getpass('word? ')\nprint(name, len(secret))"
    ran = demo.run(f"%%session demo\n{code}", answers=("Ada", "sesame"))
    assert [(asked["prompt"], asked["password"]) for asked in ran.of("input_request")] == [
        ("name? ", False),
        ("word? ", True),
    ]
    assert "Ada 6\n" in ran.text


def test_an_error_there_is_an_error_here_with_the_traceback_from_there(demo: Shell) -> None:
    ran = demo.run("%%session demo\ndef f():\n    return 1 / 0\nf()")
    assert (ran.reply["status"], ran.reply["ename"]) == ("error", "CellFailed")
    assert "ZeroDivisionError" in plain(ran) and "return 1 / 0" in plain(ran)
    assert "jupyter_sessions" not in plain(ran) and "magics" not in plain(ran)
    assert demo.run("%%session demo\nprint(f.__name__)").text == "f\n"


def test_what_was_printed_is_shown_again(demo: Shell, machine: Path) -> None:
    demo.run(RICH)
    demo.run("%%session demo\nimport sys; print('out', flush=True); print('err', file=sys.stderr); 1/0")
    assert demo.run("%session output").text.startswith("out\nerr\n")
    again = demo.run("%session output demo -1")
    assert "ZeroDivisionError" in again.text and again.reply["status"] == "ok"
    (shown,) = demo.run("%session output 1").of("display_data")
    assert shown["data"]["text/plain"] == "42"
    assert '"status": "error"' in demo.run("%session output demo 2 --json").text
    refused = demo.run("%session output demo 7")
    assert plain(refused) == "NotFound: The session 'demo' has no execution 7. Choose from 1 to 2."
    assert demo.complete("%session output de") == ["demo"]
    itself = f"import os; os.environ['{STATE_VARIABLE}'] = '{machine}'\n%load_ext jupyter_sessions"
    inside = demo.run(f"%%session demo\n{itself}\n%session output")
    assert inside.text.startswith("out\nerr\n"), plain(inside)


def test_an_interrupt_reaches_the_run_there_and_nothing_else(demo: Shell) -> None:
    demo.run("%%session demo\nx = 1")
    code = "print('begun', flush=True)\nimport time\nwhile True:\n    time.sleep(0.01)"
    ran = demo.run(f"%%session demo\n{code}", on_text={"begun": demo.interrupt})
    assert ran.reply["ename"] == "CodeInterrupted" and "KeyboardInterrupt" in plain(ran)
    assert "time.sleep(0.01)" in plain(ran) and "jupyter_sessions" not in plain(ran)
    assert demo.run("%%session demo\nprint(x)").text == "1\n"


def test_an_interrupted_question(demo: Shell) -> None:
    ran = demo.run("%%session demo\ninput('name? ')", answers=(demo.interrupt,))
    assert ran.reply["ename"] == "CodeInterrupted" and "Interrupted by user" in plain(ran)
    assert demo.run("%%session demo\nprint(1)").text == "1\n"


def test_a_run_may_survive_an_interrupt(demo: Shell) -> None:
    code = "print('begun', flush=True)\nimport time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('survived')"
    ran = demo.run(f"%%session demo\n{code}", on_text={"begun": demo.interrupt})
    assert "survived" in ran.text and ran.reply["status"] == "ok"


def test_a_cell_has_a_time_limit(demo: Shell) -> None:
    ran = demo.run("%%session demo --timeout 1\nimport time\ntime.sleep(60)")
    assert ran.reply["ename"] == "CellFailed" and "time.sleep(60)" in plain(ran)
    assert plain(ran).endswith("The code was interrupted after 1 s.")
    assert demo.run("%%session demo --timeout 30\nprint('free')").text == "free\n"
    refused = demo.run("%%session demo --timeout soon\n1")
    assert "--timeout takes a number of seconds, 0 or more, not 'soon'" in plain(refused)


def test_errors_of_a_cell_may_be_ignored(demo: Shell) -> None:
    ran = demo.run("%%session demo --ignore-errors\nprint('begun')\n1 / 0")
    assert ran.reply["status"] == "ok" and "begun" in ran.text and "ZeroDivisionError" in ran.text
    assert "no session 'nothing'" in plain(demo.run("%%session nothing --ignore-errors\n1"))


def test_variables_are_copied_here(demo: Shell) -> None:
    code = "import fractions\nplain = {'a': [1, 2.5, None]}\nhalf = fractions.Fraction(1, 2)"
    assert demo.run(f"%%session demo -o plain\n{code}").reply["status"] == "ok"
    assert demo.run("print(plain)").text == "{'a': [1, 2.5, None]}\n"
    refused = plain(demo.run("%%session demo -o half\n1"))
    assert "'half' is a Fraction, which JSON cannot say. Add `--pickle`" in refused
    assert demo.run("%%session demo -o half -o plain --pickle\nplain = 3").error == ""
    assert demo.run("print(repr(half), plain)").text == "Fraction(1, 2) 3\n"
    assert "has no variable 'missing'" in plain(demo.run("%%session demo -o missing\n1"))
    assert "'--pickle' is for variables" in plain(demo.run("%%session demo --pickle\n1"))
    assert demo.run("%%session demo\nprint([name for name in dir() if 'send' in name])").text == "[]\n"


def test_a_widget_needs_a_notebook_on_the_session(demo: Shell) -> None:
    code = "import ipywidgets, time\nfrom IPython.display import display\ndisplay(ipywidgets.IntSlider())"
    ran = demo.run(f"%%session demo\n{code}\ndisplay(ipywidgets.IntSlider())\nprint('end')")
    first, *sliders = ran.of("display_data")
    assert "need a notebook on the session" in first["data"]["text/plain"]
    assert "jupyter-sessions:use-for-notebook" in first["data"]["text/html"]
    assert [[*one["data"]] for one in sliders] == [["text/plain"]] * 2 and "IntSlider" in ran.text
    assert "need a notebook" not in demo.run("%%session demo\nprint(1)").text


def test_a_cell_runs_in_the_background(demo: Shell, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)"
    ran = demo.run(f"%%session demo --background\n{code}\nprint('over')")
    (handle,) = ran.of("execute_result")
    assert handle["data"]["text/plain"] == (
        "<Cell in demo: running; `%session output demo` shows its output>"
    )
    demo.run("cell = _")
    wait_until(lambda: "begun" in demo.run("%session output demo").text)
    gate.touch()
    assert demo.run("print(cell.result(60).text, cell.done())").text == "begun\nover\n True\n"
    assert demo.run("%session output demo").text.endswith("over\n")
    demo.run("%%session demo --background\n1 / 0")
    assert "ZeroDivisionError" in plain(demo.run("_.result(60)"))
    assert "no session 'nothing'" in plain(demo.run("%%session nothing --background\n1"))
    assert "'-o' needs the end of the cell" in plain(demo.run("%%session demo --background -o x\n1"))


def test_a_second_interrupt_lets_go(demo: Shell) -> None:
    code = "import time\nword = 'begun'\nwhile True:\n    try:\n        print(word, flush=True)\n        time.sleep(60)\n    except KeyboardInterrupt:\n        word = 'no'"
    ran = demo.run(f"%%session demo\n{code}", on_text={"begun": demo.interrupt, "no\n": demo.interrupt})
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert "Running" in demo.run("%session ps").text


def test_a_session_that_ends_meanwhile(demo: Shell) -> None:
    async def end() -> None:
        service = SessionService(JupyterSessions())
        row = await service.find("demo")
        await service.destroy("local", row.id, forced=True)
        async for _ in service.wait("local", row.id, lambda row: not row.live):
            pass
        await service.close()

    ender = threading.Thread(target=lambda: asyncio.run(end()))
    ran = demo.run(
        "%%session demo\nprint('begun', flush=True)\nimport time; time.sleep(60)",
        on_text={"begun": ender.start},
    )
    ender.join()
    assert ran.reply["status"] == "error" and "(on request)" in plain(ran)
    again = demo.run("%%session demo\n1")
    assert plain(again).startswith("NotRunning: ") and "has ended" in plain(again)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%session info nothing", "SessionNotFound: There is no session 'nothing'."),
        ("%session crate", "InvalidRequest: There is no verb 'crate'. Did you mean 'create'?"),
        (
            "%session create no-such-image",
            "UnknownImage: There is no environment 'no-such-image' here.",
        ),
        ("%session create python --name 'a b'", "InvalidRequest: 'a b' is not a valid session name."),
        (
            "%session create python --mem 0",
            "InvalidRequest: '0' is not between 1 byte and 8 EiB",
        ),
        (
            "%session create python --backend nowhere",
            "UnknownBackend: There is no backend 'nowhere'.",
        ),
        ("%%session nothing\n1", "SessionNotFound: There is no session 'nothing'."),
        ("%%session\n1", "InvalidRequest: %%session needs the name of a session."),
    ],
)
def test_mistakes_are_said_in_one_sentence(shell: Shell, line: str, said: str) -> None:
    ran = shell.run(line)
    assert plain(ran).startswith(said) and "\n" not in plain(ran)
    assert ran.reply["ename"] == said.partition(":")[0]


def test_kernels(demo: Shell) -> None:
    made = demo.run("%session kernel add small --image python --cpu 1 --mem 1g")
    assert made.text == "Added the kernel small: Python · 1 CPU · 1 GiB\n", made.error
    visits = demo.run("%session kernel add visit --session demo --display-name <Mine>")
    assert visits.text == "Added the kernel visit: <Mine>\n", visits.error
    listed = demo.run("%session kernel list")
    assert "small" in listed.text and "&lt;Mine&gt;" in listed.html and "local/demo" in listed.html
    assert "AlreadyExists" in plain(demo.run("%session kernel add python3"))
    assert demo.run("%session kernel rm small visit").text == (
        "Removed the kernel small.\nRemoved the kernel visit.\n"
    )
    assert "No kernel runs in sessions." in demo.run("%session kernel list").text
    assert "There is no kernel 'small' on a session." in plain(demo.run("%session kernel rm small"))


def test_gpus_that_are_not_there(shell: Shell) -> None:
    begun = time.monotonic()
    ran = shell.run("%session create python --gpu 512")
    assert time.monotonic() - begun < 10
    if "This machine has no GPU" in plain(ran):
        remedy = "Leave out `--gpu`, or choose a backend that has one: `%session backend list`."
        assert plain(ran) == f"NotEnough: This machine has no GPU. {remedy}"
    else:
        assert plain(ran).startswith("NotEnough: You asked for 512 GPU, but this machine has ")
        assert "Available at most: " in plain(ran) and "CPU" in plain(ran)


def test_who_waits_is_told_why_and_may_go(shell: Shell) -> None:
    async def cpus() -> str:
        service = SessionService(JupyterSessions())
        (info,) = await service.describe()
        await service.close()
        return info.capacity["cpu"].total

    everything = asyncio.run(cpus())
    assert (
        "is running" in shell.run(f"%session create python --cpu {everything} --mem 256m --name first").text
    )
    waits = shell.run(
        "%session create python --cpu 1 --mem 256m --name demo", on_text={"Waiting for": shell.interrupt}
    )
    assert (
        "demo is waiting: python3 · 1 CPU · 256 MiB on this machine. Waiting for 1 CPU (0 free)."
        in waits.text
    )
    assert plain(waits) == "demo stays in the queue. `%session rm demo` cancels it."
    assert waits.reply["ename"] == "KeyboardInterrupt"
    assert "Waiting" in shell.run("%session ps").text
    assert shell.run("%session rm demo").text == "demo was cancelled.\n"


def test_a_row_counts_the_seconds_and_becomes_a_card(shell: Shell) -> None:
    ran = shell.run("%session create python --cpu 0.5 --mem 256m --name demo --starts-at 3s")
    said, shown = rows(ran), [one["data"]["text/html"] for one in ran.of("update_display_data")]
    assert said[0].startswith("demo is waiting") and said[-1].startswith("demo is running"), ran.error
    assert any("Waiting" in html and "for 1 s" in html for html in shown)
    assert "Running" in shown[-1] and "border:" in shown[-1]


def test_a_row_of_a_server_has_links_to_services(machine: Path, tmp_path: Path) -> None:
    with processes.server(machine, tmp_path) as server, server.shell() as shell:
        shell.run("%load_ext jupyter_sessions")
        made = shell.run(SMALL)
        info = shell.run("%session services demo --json").text
        card = [*made.of("display_data"), *made.of("update_display_data")][-1]
        assert '"terminal"' in info and "terminal</a>" in card["data"]["text/html"], made.html
        shell.run("%session rm demo")


def test_a_name_that_comes_to_mean_another_session(demo: Shell) -> None:
    known = "%%session demo\nprint('x' in globals()); x = 1"
    assert [demo.run(known).text for _ in range(2)] == ["False\n", "True\n"]
    demo.run("%session rename demo demo-old")
    assert demo.run(known).reply["status"] == "error"
    demo.run(SMALL)
    assert demo.run(known).text == "False\n"
    assert demo.run("%%session demo-old\nprint(x)").text == "1\n"
    demo.run("%session rm demo")
    demo.run(SMALL)
    assert demo.run(known).text == "False\n"


def test_outputs_stay_with_their_cell(demo: Shell) -> None:
    for word in ("one", "two"):
        ran = demo.run(f"%%session demo\nprint('{word}')")
        assert ran.text == f"{word}\n"
        assert "demo is running" in demo.run(SMALL).text


def test_tab_completes_verbs_options_and_names(demo: Shell) -> None:
    assert demo.complete("%session re")[:2] == ["restart", "renew"]
    assert "--name" in demo.complete("%session create --na")
    assert "demo" in demo.complete("%session info de")
    assert "demo" in demo.complete("%session rm ")
    assert "demo" in demo.complete("%%session de")
    assert "python3" in demo.complete("%session create pyth")
    assert demo.completions("%session create python -r cp")["cpu="].endswith("free")
    assert "--timeout" in demo.complete("%%session demo --ti")
    assert demo.complete("%session create python --backend ") == ["local"]


def test_tab_offers_nothing_that_is_not_ours(demo: Shell) -> None:
    offered = demo.completions("x = 1\n%session create python --")
    assert offered["--cpu"] == "number of CPUs" and all(name.startswith("--") for name in offered)
    assert demo.completions("%session info ")["demo"] == "running python3"
    assert demo.complete("rows = %session ps --na") == ["--name-only"]
    assert demo.complete("%session create python --nonsense") == ["--nonsense"]
    assert "upper" in demo.complete("text = '%session create '\ntext.up")[0]
    demo.run("%reload_ext jupyter_sessions")
    assert demo.complete("%session rest") == ["restart"]


def test_an_interrupted_wait_says_in_one_sentence_how_to_cancel_it(shell: Shell) -> None:
    ran = shell.run(
        "%session create python --cpu 0.5 --mem 256m --name later --starts-at 1h",
        on_text={"later is waiting": shell.interrupt},
    )
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert plain(ran) == "later stays in the queue. `%session rm later` cancels it."
    assert "stays in the queue" not in ran.text


def test_tables_are_inert(demo: Shell) -> None:
    demo.run("%session create python --cpu 0.5 --mem 256m --name other --tag '<script>alert(1)</script>'")
    ran = demo.run("%session ps --format name,tag")
    assert "&lt;script&gt;" in ran.html and "<script>" not in ran.html


def test_a_failed_cell_stops_a_notebook(machine: Path, tmp_path: Path) -> None:
    cells = ["%load_ext jupyter_sessions", SMALL, "%%session demo\n1 / 0", "print('after')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=60, resources={"metadata": {"path": str(tmp_path)}}
    )
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        client.execute(env=processes.environment(machine, tmp_path))
    assert [bool(cell["outputs"]) for cell in notebook.cells] == [False, True, True, False]


def test_a_notebook_and_its_history_hold_no_secret(machine: Path, tmp_path: Path) -> None:
    create = f"{SMALL.replace('demo', 'secretive')} --secret PET"
    cells = ["%load_ext jupyter_sessions", create, "%session info secretive", "%session spec secretive"]
    cells += [
        "%session ps",
        "%%session secretive\nimport os\nprint(len(os.environ['PET']))",
        "%session output secretive",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    env = processes.environment(machine, tmp_path) | {"PET": VALUE, "IPYTHONDIR": str(tmp_path / "ipython")}
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=60, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=env)
    file = tmp_path / "notebook.ipynb"
    nbformat.write(notebook, file)
    assert f'"{len(VALUE)}\\n"' in file.read_text() and "PET" in str(notebook.cells[2]["outputs"])
    assert written(tmp_path, machine) == []


def test_a_kernel_alone_keeps_what_somebody_signs_in_with(machine: Path, tmp_path: Path) -> None:
    with processes.kernel(machine, tmp_path) as shell:
        shell.run("%load_ext jupyter_sessions")
        shell.run(SMALL)
        here = contact()
        assert (
            "Added the backend"
            in shell.run(f"%session backend add lab --kind skaha --url {here.url}/skaha").text
        )
        asked = shell.run("%session login lab --token", answers=(here.bearer(),))
        assert asked.text == "You are signed in to lab.\n" and asked.of("input_request")[0]["password"]
        assert "demo" in shell.run("%session ps --backend lab").text
        assert here.bearer() not in shell.run("%session backend list").html
        shell.run("%session logout lab")
        assert "Nobody is signed in" in plain(shell.run("%session ps --backend lab"))
    saved = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert here.bearer().encode() not in b"".join(saved)
