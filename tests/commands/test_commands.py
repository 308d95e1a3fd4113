"""What one types, and what one reads: grammar, verbs, tables, completion. On toys; nothing is started."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.commands import Result, Table, Text, parse, perform
from jupyter_sessions.commands.completion import complete, complete_cell
from jupyter_sessions.commands.fields import survival
from jupyter_sessions.commands.grammar import Help, verbs
from jupyter_sessions.commands.resources import resources_of
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import (
    BackendUnavailable,
    InvalidRequest,
    LaunchFailed,
    NotSupported,
    SessionError,
    SessionNotFound,
)
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.in_memory

NASTY = "<script>alert(1)</script>\x1b[31m\x07\nred"

WAITS = ("soon", "-1", "nan", "inf")
Run = Callable[[str], Awaitable[tuple[Result, list[str]]]]


@pytest_asyncio.fixture
async def toy(toys: Path) -> Any:
    """The toy backend, the only and default one."""
    config = JupyterSessions(
        backends={"toy": {"type": "toy"}}, enabled_backends=["toy"], default_backend="toy"
    )
    return SessionService(config)


@pytest.fixture
def run(toy: SessionService) -> Run:
    """Does what is typed; the result and what was said."""

    async def typed(line: str) -> tuple[Result, list[str]]:
        said: list[str] = []
        return await perform(toy, parse(line), said.append), said

    return typed


# Grammar.


def test_create_as_people_type_it() -> None:
    asked = parse("create python --cpu 1 --mem 512m --name demo -e 'A=1 2' -r cuda.device=1")
    assert (asked.verb, asked.image, asked.cpu, asked.mem, asked.name) == (
        "create",
        "python",
        "1",
        "512m",
        "demo",
    )
    assert (
        parse("create --name demo python --cpu 2").image == parse("create --cpu 2 python").image == "python"
    )
    assert (asked.env, asked.resource) == (["A=1 2"], ["cuda.device=1"])
    assert parse("start python").verb == "create" and parse("kill x y").sessions == ["x", "y"]
    assert (parse("ps").status, parse("ps -a").status, parse("ps --dead").status) == ("live", "all", "dead")


@pytest.mark.parametrize("line", ["", "-h", "help", "create --help", "ps -h"])
def test_help_is_no_error(line: str) -> None:
    with pytest.raises(Help) as caught:
        parse(line)
    assert "usage: %session" in caught.value.message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "crate python",
            "There is no verb 'crate'. Did you mean 'create'? `%session --help` lists the verbs.",
        ),
        ("xyz", "There is no verb 'xyz'. `%session --help` lists the verbs."),
        (
            "kernel",
            "`%session kernel` is not complete. Type one of these: kernel add, kernel list, kernel rm.",
        ),
        ("kernel ad", "There is no verb 'kernel ad'. Type one of these: kernel add,"),
        (
            "create python --cpus 2",
            "`%session create` has no option --cpus. Did you mean --cpu? `%session create --help`",
        ),
        ("create python --colour=red", "has no option --colour. Did you mean"),
        ("ps -q", "`%session ps` has no option -q. `%session ps --help` explains the options."),
        (
            "create --resource- 1",
            "'--resource-' is short for several options: --resource-group, --resource-opts.",
        ),
        ("info a b", "`%session info` does not take 'b'."),
        ("create --name", "--name needs a value."),
        ("create --type odd", "--type takes one of interactive, batch,"),
        ("create --cluster-size x", "--cluster-size takes a whole number, not 'x'."),
        ("create --preopen x", "--preopen takes port numbers with commas between them, not 'x'."),
        ("create 'python", "The line ends within a quotation"),
        ("info", "`%session info` needs a session."),
        ("rename", "`%session rename` needs a session and a name."),
        ("backend add x", "`%session backend add` needs --kind and --url."),
        *(
            (f"create --max-wait {wait}", f"--max-wait takes a number of seconds, 0 or more, not '{wait}'.")
            for wait in WAITS
        ),
        ("ps --all --dead", "--dead cannot be combined with --all."),
    ],
)
def test_what_is_typed_wrongly_is_said_in_one_sentence(line: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(line)
    assert said in str(caught.value) and "Traceback" not in str(caught.value)


@pytest.mark.parametrize("verb", [*verbs()])
def test_a_mistake_points_to_help_and_never_dumps_the_usage(verb: str) -> None:
    for rest in ("--nonsense", "", "a b c d --max-wait", "x --format --json"):
        try:
            parse(f"{verb} {rest}")
        except InvalidRequest as error:
            assert error.hint.endswith(f"`{verbs()[verb].prog} --help` explains the options.")
            assert not {"{", "\n"} & set(str(error)) and "  " not in str(error)
            assert "usage" not in str(error) and "[-h]" not in str(error)


# Verbs.


@pytest.mark.asyncio
async def test_from_create_to_rm(run: Run, toy: SessionService) -> None:
    result, said = await run("create toyland --name mine --tag note")
    assert "`jupyter session console mine`" in result.text() and said == ["mine is running: toyland on toy"]
    _, said = await run("create toyland --name mine")
    assert said[-1].endswith("(reused)")
    table, _ = await run("ps")
    assert isinstance(table, Table) and dict(zip(table.head, table.rows[0], strict=True)).items() >= {
        ("Name", "mine"),
        ("Status", "Running"),
        ("Image", "toyland"),
    }
    assert (await run("ps --format name,status"))[0].rows == [["mine", "RUNNING"]]
    assert (await run("ps --name-only"))[0].text() == "mine"
    info, _ = await run("info mine")
    assert "Tag" in info.text() and "note" in info.text()
    assert '"tag": "note"' in (await run("info mine --json"))[0].text()
    assert '"name": "mine"' in (await run("ps --json"))[0].text()
    assert (await run("rm mine"))[1] == ["mine has ended."]
    assert (await run("rm mine"))[1] == ["mine had already ended."]
    table, _ = await run("ps")
    assert "There are no sessions" in table.text()
    assert "mine" in (await run("ps --all"))[0].text()


@pytest.mark.asyncio
async def test_rm_ends_what_it_can_and_says_what_it_cannot(run: Run, toy: SessionService) -> None:
    await toy.create(normalized(SessionSpec(name="mine")))
    with pytest.raises(SessionNotFound, match="no session 'other'"):
        await run("rm other mine")
    assert not (await toy.list()).sessions
    said: list[str] = []
    with pytest.raises(SessionError, match=r"2 of 2 failed. The reasons are above."):
        await perform(toy, parse("rm one two"), said.append)
    assert ["'one'" in line or "'two'" in line for line in said] == [True, True]


@pytest.mark.asyncio
async def test_spans_of_time_are_read_before_anything_is_made(run: Run, toy: SessionService) -> None:
    for option in ("--idle-timeout", "--time-limit"):
        with pytest.raises(InvalidRequest, match="'a while' is not a duration") as caught:
            await run(f"create --name mine {option} 'a while'")
        assert caught.value.field == option.removeprefix("--")
    assert toy.backends["toy"].rows == {}
    await run("create --name mine --idle-timeout 30m --time-limit 0")
    with pytest.raises(NotSupported, match="'toy' cannot renew sessions"):
        await run("renew mine")


@pytest.mark.asyncio
async def test_options_are_checked_before_anything_is_made(run: Run, toy: SessionService) -> None:
    for line, said in [
        ("create toy --cpu 0", "'0' for 'cpu' must be above 0"),
        ("create toy --mem lots", "'lots' is not an amount of memory"),
        ("create toy -e PET", "'PET' after --env is no NAME=VALUE"),
        ("create toy --gpu 1 -r cuda.device=1", "'cuda.device' is given twice"),
        ("create toy --cpu 1 -r cpu=2", "'cpu' is given twice"),
        ("create toy --mem 1g -r memory=2g", "'mem' is given twice"),
        ("create toy --mem 1g --ram 1", "'mem' is given twice"),
        ("create toy --image other", "'image' is given twice"),
        (
            "create toy --gpu -1",
            "'-1' for 'gpu' must be above 0 and at most a million. Give a number above 0, for example `--gpu 1`",
        ),
        ("create toy --gpu x", "'x' is not a number for 'gpu'. Give a number above 0, for example `--gpu 1`"),
        ("create toy --name UPPER", "is not a valid session name"),
        ("ps --format name,colour", "A session has no field 'colour'"),
        ("ps --status bogus", "There is no status 'BOGUS'"),
        ("ps --backend nowhere", "There is no backend 'nowhere'"),
        ("restart x", "There is no session 'x'"),
    ]:
        with pytest.raises(SessionError) as caught:
            await run(line)
        assert said in str(caught.value), line
    assert not (await toy.list(status="all")).sessions


@pytest.mark.asyncio
async def test_a_bare_amount_of_memory_is_in_the_units_of_its_option(toy: SessionService) -> None:
    for given, amount in [("--mem 4", "4m"), ("--ram 4", "4g"), ("--ram 0.5", "512m"), ("--ram 64m", "64m")]:
        assert await resources_of(toy, parse(f"create toy {given}")) == {"mem": amount}
    assert parse("kernel add mine --ram 2").ram == "2"


@pytest.mark.asyncio
async def test_a_presets_folder_and_backend_are_used(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SessionSpec] = []
    presets = {"far": {"cwd": "/far", "backend": "toy"}, "near": {"tag": "x"}}
    backends = {"toy": {"type": "toy"}, "hanging": {"type": "hanging"}}
    service = SessionService(JupyterSessions(backends=backends, default_backend="hanging", presets=presets))

    async def noted(spec: SessionSpec) -> SessionInfo:
        asked.append(spec)
        raise LaunchFailed("Enough.")

    monkeypatch.setattr(service, "create", noted)
    for line in ("--preset far", "--preset far --cwd /own", "--preset near", ""):
        with pytest.raises(LaunchFailed):
            await perform(service, parse(f"create toy {line}"), print)
    assert [spec.cwd for spec in asked] == [None, "/own", os.getcwd(), os.getcwd()]


@pytest.mark.asyncio
async def test_gpu_asks_no_other_backend(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = SessionService(
        JupyterSessions(backends={"toy": {"type": "toy"}, "hanging": {"type": "hanging"}})
    )
    looked: list[str | None] = []
    describe = service.describe

    async def noted(backend: str | None = None) -> Any:
        looked.append(backend)
        return await describe(backend)

    monkeypatch.setattr(service, "describe", noted)
    await perform(service, parse("create toy --name mine --backend toy --gpu 1"), print)
    assert looked == ["toy"]


def test_what_a_session_survives_is_said_plainly() -> None:
    given = {"server_restart": True, "logout": True, "reboot": False}
    assert survival(given) == "a restart of the server and a logout, not a reboot"
    assert survival(given | {"logout": False}) == "a restart of the server, not a logout"
    assert survival(dict.fromkeys(given, False)) == "not a restart of the server"


class Waiting(SessionService):
    """The toys, where sessions wait for a while."""

    steps: list[tuple[str, str]]

    async def get(self, backend: str, id: str) -> SessionInfo:
        """The next of the steps, the last for ever."""
        status, info = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        rows: dict[str, SessionInfo] = self.backends[backend].rows  # type: ignore[attr-defined]
        now = datetime.now(UTC)
        rows[id] = structs.replace(rows[id], status=status, status_info=info, status_changed=now)
        return await super().get(backend, id)

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """One that waits."""
        return structs.replace(
            await super().create(spec), status="PENDING", status_info="Waiting for 1 GPU (0 free)."
        )


@pytest.fixture
def waiting(toys: Path) -> Waiting:
    """Backends whose sessions wait."""
    made = Waiting(
        JupyterSessions(backends={"toy": {"type": "toy"}}, enabled_backends=["toy"], default_backend="toy")
    )
    made.steps = [
        ("PENDING", "Waiting for 1 GPU (0 free)."),
        ("PENDING", "Waiting behind 'gpu', which needs 1 GPU (0 free). Second in the queue."),
    ]
    return made


@pytest.mark.asyncio
async def test_create_says_why_it_waits_each_reason_once(waiting: Waiting) -> None:
    said: list[str] = []
    waiting.steps = [*waiting.steps * 2, ("PREPARING", ""), ("RUNNING", "")]
    await perform(waiting, parse("create toyland --name mine"), said.append)
    assert said[0] == "mine is waiting: toyland on toy. Waiting for 1 GPU (0 free)."
    assert "Second in the queue" in said[1] and said[-1].startswith("mine is running")


@pytest.mark.asyncio
async def test_a_wait_that_is_over_or_broken_off_leaves_it_queued(waiting: Waiting) -> None:
    said: list[str] = []
    await perform(waiting, parse("create toyland --name mine --max-wait 0.1"), said.append)
    assert said[-1] == "mine stays in the queue. `%session rm mine` cancels it."
    said.clear()
    task = asyncio.create_task(perform(waiting, parse("create toyland --name more"), said.append))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said[-1] == "more stays in the queue. `%session rm more` cancels it."


@pytest.mark.asyncio
async def test_a_session_that_fails_to_start_is_an_error_with_its_reason(waiting: Waiting) -> None:
    waiting.steps = [("PREPARING", ""), ("ERROR", "failed-to-start: no such program")]
    with pytest.raises(LaunchFailed, match=r"'mine' has failed \(failed-to-start: no such program"):
        await perform(waiting, parse("create toyland --name mine"), print)


@pytest.mark.asyncio
async def test_what_is_said_of_a_failed_job_can_be_done(waiting: Waiting) -> None:
    """It has ended: there is nothing to remove, and the toys keep no logs."""
    waiting.steps = [("PREPARING", ""), ("TERMINATED", "task-failed: exit status 3")]
    with pytest.raises(LaunchFailed, match="`%session info mine` shows its details"):
        await perform(waiting, parse("create toyland --name mine"), print)

    async def logs(backend: str, id: str) -> str:
        return "no such file"

    waiting.logs = logs  # type: ignore[method-assign]
    waiting.steps = [("PREPARING", ""), ("TERMINATED", "task-failed: exit status 3")]
    with pytest.raises(LaunchFailed, match="`%session logs other` shows its output") as caught:
        await perform(waiting, parse("create toyland --name other"), print)
    assert "rm" not in caught.value.hint


# Tables.


@pytest.mark.asyncio
async def test_what_others_wrote_is_inert_in_every_table(run: Run, toy: SessionService) -> None:
    row = await toy.create(normalized(SessionSpec(name="mine", tag=NASTY)))
    backend: Any = toy.backends["toy"]
    backend.rows[row.id] = structs.replace(backend.rows[row.id], status_info=NASTY, image=NASTY)
    for line in ("ps", "ps --format name,tag,status_info", "info mine"):
        bundle = (await run(line))[0]._repr_mimebundle_()
        assert "<script>" not in bundle["text/html"] and "&lt;script&gt;" in bundle["text/html"]
        assert "\x1b" not in bundle["text/plain"] and "\x07" not in bundle["text/plain"]
    _, said = await run("rm mine")
    assert "\x1b" not in "".join(said)


def test_narrow_terminals_lose_columns_but_no_letters() -> None:
    table = Table(["Name", "Status", "Why"], [["a-rather-long-name", "RUNNING", "x" * 40]])
    assert "x" * 40 in table.text(100)
    narrow = table.text(30)
    assert "a-rather-long-name" in narrow and "xxx" not in narrow and "Why" not in narrow
    assert "a-rather-long-name" in table.text(5)


def test_notes_say_what_failed() -> None:
    table = Table(["Name"], [], empty="None.")
    table.warnings = ["far: <b>down</b>"]
    bundle = table._repr_mimebundle_()
    assert "&lt;b&gt;" in bundle["text/html"] and bundle["text/plain"] == "None.\nfar: <b>down</b>"
    assert Text("a\nb").text() == repr(Text("a\nb")) == "a\nb"


def test_why_a_session_waits_is_among_the_last_that_a_narrow_terminal_loses() -> None:
    why = "Waiting behind 'gamma-big', which needs 2 CPUs (1 free). Second in the queue."
    head = ["Name", "Status", "Environment", "Resources", "Status info", "Session ID"]
    row = ["waits", "PENDING", "python3", "1 CPU · 512 MiB", why, "8f0f2b7c-1111-2222-3333-444455556666"]
    table = Table(head, [row, ["runs", "RUNNING", "python3", "1 CPU", "", "id"]], wrapped=4)
    assert why in table.text(200)
    for width in (120, 80, 60, 46):
        text = table.text(width)
        assert max(map(len, text.splitlines())) <= width
        words = [word for line in text.splitlines()[1:] for word in line.split() if word in why.split()]
        assert " ".join(words) == why, text
        assert "PENDING" in text and ("8f0f2b7c" in text) is (width == 120)
    assert "Resources" in table.text(100) and "Resources" not in table.text(60)


@pytest.mark.asyncio
async def test_a_list_that_nobody_could_give_is_an_error_and_no_empty_list(toys: Path) -> None:
    def service(*names: str) -> SessionService:
        backends = {name: {"type": name} for name in names}
        return SessionService(
            JupyterSessions(backends=backends, enabled_backends=names, default_backend=names[0])
        )

    for line in ("ps", "ps --json", "ps --name-only", "ps --all --backend raising"):
        with pytest.raises(BackendUnavailable, match=r"could not be listed. raising: .*the toy is broken"):
            await perform(service("raising"), parse(line), print)
    for line in ("ps", "ps --json"):
        result = await perform(service("toy", "raising"), parse(line), print)
        assert "the toy is broken" in result.warnings[0] and "raising" not in result.text()
    assert (
        "The backends that answered have no sessions. `%session create python` creates one."
        in (await perform(service("toy", "raising"), parse("ps"), print)).text()
    )


# Completion.


@pytest.mark.asyncio
async def test_completion(toy: SessionService) -> None:
    await toy.create(normalized(SessionSpec(name="mine")))
    await toy.create(normalized(SessionSpec(name="more")))

    async def offered(line: str) -> list[str]:
        *before, word = line.split(" ")
        return [*await complete(toy, before, word)]

    assert await offered("re") == ["restart", "renew", "rename"]
    assert {"create", "ps", "rm"} <= set(await offered(""))
    assert await offered("create --na") == ["--name"]
    assert "--backend" in await offered("ps --")
    assert await offered("ps --backend ") == ["toy"]
    assert await offered("ps --status term") == []
    assert await offered("ps --status TERMINATI") == ["TERMINATING"]
    for line in ("info m", "rm m", "rm mine m", "rename m", "logs --help m"):
        assert await offered(line) == ["mine", "more"], line
    assert await offered("info mine m") == await offered("rename mine m") == await offered("nonsense m") == []
    assert await complete_cell(toy, [], "mo") == {"more": "running toy"}
    assert await complete_cell(toy, ["--ignore-errors"], "mo") == {"more": "running toy"}
    assert await complete_cell(toy, ["more"], "mo") == await complete_cell(toy, ["--timeout"], "mo") == {}
    about = await complete_cell(toy, ["more"], "--t")
    assert about == {"--timeout": "interrupt the code after this time (0: no limit)"}


@pytest.mark.asyncio
async def test_completions_say_what_they_mean(toy: SessionService) -> None:
    options = await complete(toy, ["create", "python"], "--")
    assert options["--cpu"] == "number of CPUs" and all(options.values())
    assert (await complete(toy, [], "cr"))["create"] == "Create a session."
    assert (await complete(toy, [], "ker")) == {"kernel": ""}
    assert (await complete(toy, ["kernel"], "a"))["add"].startswith("Create a kernel")
    toy.config.presets = {"small": {"image": "toyland"}}
    assert (await complete(toy, ["create", "--preset"], "s")) == {"small": "toyland"}
    assert (await complete(toy, ["ps", "--status"], "liv")) == {"live": "sessions that have not ended"}
