"""What a person may ask this machine for, what is refused and how, and what a session then is given."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.backends.takes import WORDS
from jupyter_sessions.errors import (
    AlreadyExists,
    InvalidRequest,
    NotEnough,
    NotSupported,
    SessionError,
    UnknownImage,
)
from jupyter_sessions.service import SessionService
from tests.manager.world import ask, nothing_left, reach, run, says

pytestmark = pytest.mark.asyncio

REFUSED: list[tuple[dict[str, Any], type[SessionError], str]] = [
    (
        {"image": "pyton3"},
        UnknownImage,
        "There is no environment 'pyton3' here. Did you mean 'python3'?",
    ),
    ({"image": "python:2.7"}, UnknownImage, "There is no environment 'python:2.7' here"),
    ({"image": "/nowhere/bin/python"}, UnknownImage, "There is no environment '/nowhere/bin/python' here"),
    ({"name": "abc"}, InvalidRequest, "'abc' is not a valid session name. Use 4 to 64"),
    ({"name": "-abcd"}, InvalidRequest, "is not a valid session name"),
    ({"name": "with blank"}, InvalidRequest, "is not a valid session name"),
    ({"name": "übung"}, InvalidRequest, "is not a valid session name"),
    ({"name": "abcd\n"}, InvalidRequest, "is not a valid session name"),
    ({"name": "a" * 65}, InvalidRequest, "is not a valid session name"),
    ({"resources": {"cpu": 0}}, InvalidRequest, "'0' for 'cpu' must be above 0 and at most a million."),
    ({"resources": {"cpu": -1}}, InvalidRequest, "'-1' for 'cpu' must be above 0"),
    ({"resources": {"cpu": "many"}}, InvalidRequest, "'many' is not a number for 'cpu'."),
    ({"resources": {"cpu": float("nan")}}, InvalidRequest, "'nan' is not a number for 'cpu'."),
    ({"resources": {"cpu": float("inf")}}, InvalidRequest, "'inf' is not a number for 'cpu'."),
    ({"resources": {"cpu": "1e30"}}, InvalidRequest, "'1e30' for 'cpu' must be above 0"),
    (
        {"resources": {"cpu": "0.0001"}},
        InvalidRequest,
        "smaller than the minimum required by the image. (cpu=0.01 mem=64m)",
    ),
    ({"resources": {"cpu": 100_000}}, NotEnough, "You asked for 100000 CPU, but this machine has"),
    ({"resources": {"mem": 0}}, InvalidRequest, "'0' is not between 1 byte and 8 EiB"),
    ({"resources": {"mem": "-4g"}}, InvalidRequest, "'-4g' is not an amount of memory."),
    ({"resources": {"mem": "lots"}}, InvalidRequest, "'lots' is not an amount of memory."),
    ({"resources": {"mem": "nan"}}, InvalidRequest, "'nan' is not an amount of memory."),
    ({"resources": {"mem": "0.3b"}}, InvalidRequest, "'0.3b' is not a whole number of bytes."),
    ({"resources": {"mem": "9999999e"}}, InvalidRequest, " is not between 1 byte and 8 EiB"),
    (
        {"resources": {"mem": "512"}},
        InvalidRequest,
        "smaller than the minimum required by the image. (cpu=0.01 mem=64m) Ask for at least mem=64m.",
    ),
    ({"resources": {"mem": "1p"}}, NotEnough, "You asked for 1 PiB, but this machine has"),
    (
        {"resources": {"cuda.device": "1.5"}},
        InvalidRequest,
        "This machine does not share GPUs between sessions",
    ),
    ({"resources": {"cuda.device": 999}}, NotEnough, "This machine has no GPU. Leave out `--gpu`"),
    ({"resources": {"tpu.device": 1}}, InvalidRequest, "This machine has no resource 'tpu.device'."),
    ({"resources": {"cuda.device": 1, "cuda.devices": 1}}, InvalidRequest, "'cuda.device' is given twice"),
    ({"cwd": "/nowhere/at/all"}, InvalidRequest, "There is no folder /nowhere/at/all."),
    ({"cwd": "/etc/hostname"}, InvalidRequest, "There is no folder /etc/hostname."),
    ({"environ": {"A=B": "1"}}, InvalidRequest, "'A=B' cannot be the name of a variable."),
    ({"environ": {"A\0B": "1"}}, InvalidRequest, "cannot be the name of a variable."),
    ({"environ": {"": "1"}}, InvalidRequest, "'' cannot be the name of a variable."),
    ({"environ": {"A": "1\x002"}}, InvalidRequest, "The value of the variable A is no text."),
    ({"architecture": "sparc"}, InvalidRequest, "This machine is"),
    ({"group": "ours"}, InvalidRequest, "There is no group 'ours'."),
    ({"domain": "ours"}, InvalidRequest, "There is no domain 'ours'."),
    ({"type": "interactiv"}, InvalidRequest, "There are no interactiv sessions. Use interactive or"),
    (
        {"type": "system"},
        NotSupported,
        "This machine has no system sessions. Choose from: interactive, batch.",
    ),
    ({"type": "batch"}, InvalidRequest, "A batch session needs a startup command."),
    (
        {"type": "batch", "startup_command": "  "},
        InvalidRequest,
        "A batch session needs a startup command.",
    ),
    ({"startup_command": "a\0b"}, InvalidRequest, "The value of 'startup_command' holds a zero byte."),
    ({"bootstrap_script": "a\0b"}, InvalidRequest, "The value of 'bootstrap_script' holds a zero byte."),
    ({"cluster_size": 0}, InvalidRequest, "A session cannot have 0 members."),
    ({"cluster_size": 10**6}, InvalidRequest, "A session cannot have 1000000 members."),
    ({"cluster_size": 250, "resources": {"mem": "1t"}}, NotEnough, ", but this machine has"),
    ({"cluster_mode": "no-node"}, InvalidRequest, "There is no cluster mode 'no-node'. Use single-node or"),
    ({"preopen_ports": [80]}, InvalidRequest, "Port 80 cannot be opened."),
    ({"preopen_ports": [8080, 8080]}, InvalidRequest, "Port 8080 cannot be opened."),
    (
        {"mounts": ["nowhere"]},
        InvalidRequest,
        "There is no folder 'nowhere' to mount. No folder is configured.",
    ),
    ({"mount_map": {"a": "/b"}}, InvalidRequest, "The folder 'a' is not mounted."),
    (
        {"resource_opts": {"shmem": "256m"}},
        InvalidRequest,
        "The shared memory of 256m is not less than the memory",
    ),
    ({"resource_opts": {"shmem": "much"}}, InvalidRequest, "'much' is not an amount of memory."),
    (
        {"resources": {"shmem": "64m"}},
        InvalidRequest,
        "'shmem' is no resource. Put it into resource_opts.",
    ),
    *(
        ({field: value}, NotSupported, f"This machine does not take {WORDS[field]}.")
        for field, value in {
            "priority": 5,
            "resource_group": "gpus",
            "owner_access_key": "AKIA",
        }.items()
    ),
    ({"environ": {"A": "\udce4"}}, InvalidRequest, "The value of 'environ' holds text that is not UTF-8."),
    ({"environ": {"\udce4": "A"}}, InvalidRequest, "The value of 'environ' holds text that is not UTF-8."),
]


async def test_what_is_refused_is_named_and_nothing_is_made(service: SessionService) -> None:
    for fields, error, says_ in REFUSED:
        with pytest.raises(error) as caught:
            await ask(service, **({"name": "refused"} | fields))
        assert says_ in str(caught.value), fields
        assert caught.value.status < 500 or error in (SessionError, NotSupported)
    assert (await service.list(status="all")).sessions == []


async def test_a_folder_whose_name_is_no_text_is_refused(shared: SessionService, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xe4"
    await asyncio.to_thread(os.mkdir, folder)
    with pytest.raises(InvalidRequest, match="The value of 'cwd' holds text that is not UTF-8") as caught:
        await ask(shared, "refused", cwd=os.fsdecode(folder))
    assert caught.value.field == "cwd"


async def test_a_live_name(service: SessionService) -> None:
    row = await run(service, "same-name")
    again = await ask(service, "same-name", image="python")
    assert (again.id, again.reused, row.reused) == (row.id, True, False)
    for fields in ({"image": sys.executable}, {"reuse_if_exists": False}):
        with pytest.raises(AlreadyExists) as caught:
            await ask(service, "same-name", **fields)
        assert "A session 'same-name' exists already with the image 'python3'" in caught.value.message
        assert caught.value.data == {"existingSessionId": row.id}
    assert len((await service.list(status="all")).sessions) == 1


async def test_one_that_cannot_start_says_why_and_leaves_nothing(
    service: SessionService, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/sh\n")
    broken.chmod(0o755)
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 7\n")
    silent.chmod(0o755)
    for image, why in (
        (
            str(broken),
            f"failed-to-start: {broken} cannot be started: the interpreter in its first line does not",
        ),
        (str(silent), "failed-to-start: the kernel ended before it was ready (exit status 7)"),
    ):
        row = await reach(service, await ask(service, "fails", image=image), "ERROR")
        assert row.status_info.startswith(why)
        await nothing_left(row)
        capacity = await service.backend("local").capacity()
        assert capacity["cpu"].free == capacity["cpu"].total
        with pytest.raises(SessionError, match="has failed"):
            await says(service, row, "1")
        assert (await service.destroy("local", row.id)).status == "TERMINATED"


async def test_what_a_session_is_given(
    shared: SessionService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"JPY_API_TOKEN", "JUPYTER_TOKEN", "JUPYTERHUB_API_TOKEN", "BACKEND_SECRET_KEY", "SKAHA_TOKEN"}
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("MINE", "here")
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o027)
    try:
        row = await run(
            shared, "given", resources={"cpu": "2"}, environ={"OMP_NUM_THREADS": "1", "X": "ü\n'"}
        )
    finally:
        os.umask(before)
    environ = eval(await says(shared, row, "import os; print(dict(os.environ))"))
    assert not [name for name in environ if name in secrets or name.startswith("JUPYTER_SESSIONS_")]
    assert (environ["MINE"], environ["X"], environ["BACKENDAI_SESSION_NAME"]) == ("here", "ü\n'", "given")
    threads = {
        name: environ[f"{name}_NUM_THREADS"] for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "JULIA")
    }
    assert threads == {"OMP": "1", "MKL": "7", "OPENBLAS": "2", "NUMEXPR": "2", "JULIA": "2"}
    assert environ["CUDA_VISIBLE_DEVICES"] == ""
    where = "import os, sys; print(os.getcwd(), sys.prefix, oct(os.umask(0)))"
    assert await says(shared, row, where) == f"{tmp_path} {sys.prefix} 0o27"


async def test_a_folder_of_its_own(shared: SessionService, tmp_path: Path) -> None:
    (tmp_path / "with blank").mkdir()
    row = await run(shared, "elsewhere", cwd=str(tmp_path / "with blank"))
    assert row.cwd == str(tmp_path / "with blank")
    assert await says(shared, row, "import os; print(os.getcwd())") == row.cwd


async def test_an_interpreter_by_its_path(shared: SessionService, tmp_path: Path) -> None:
    """A virtual environment that sees the packages of this one."""
    await asyncio.to_thread(venv.create, tmp_path / "lab", symlinks=True)
    python = tmp_path / "lab" / "bin" / "python"
    ask_for = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.check_output(ask_for, text=True).strip())
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "ours.pth").write_text("\n".join(ours))
    row = await run(shared, "in-a-venv", image=str(python))
    assert row.image == str(python)
    assert await says(shared, row, "import sys; print(sys.prefix)") == str(tmp_path / "lab")
