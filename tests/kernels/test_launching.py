"""What a kernelspec says means the same to jupyter_client and in a session: argv, environment and outcome.

Each kernel is started twice, plainly and in a session, from the same kernelspec with the same arguments.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import AsyncKernelManager

from jupyter_sessions.kernels import specs
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.environment import CPU_COUNTS
from tests.kernels.conftest import SMALL
from tests.manager.world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter")]

LAUNCHER = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
LOOK = """
import json, os, signal, sys
print(json.dumps({
    "argv": open("/proc/self/cmdline").read().split("\\0")[:-1], "env": dict(os.environ), "cwd": os.getcwd(),
    "umask": [line for line in open("/proc/self/status") if line.startswith("Umask")],
    "executable": sys.executable,
}))
"""
SECRET = {
    "JUPYTER_SESSIONS_STATE",
    "JUPYTER_TOKEN",
    "JUPYTERHUB_API_TOKEN",
    "JPY_PARENT_PID",
    "JPY_API_TOKEN",
    "CONFIGPROXY_AUTH_TOKEN",
}
QUIET = {"JPY_PARENT_PID", "PYDEVD_DISABLE_FILE_VALIDATION"}
"""What keeps a kernel from explaining itself in the session's logs; its parent is not who asked for it."""
LIMITS = {"MEM_LIMIT", "CPU_LIMIT", "MEM_GUARANTEE", "CPU_GUARANTEE", *CPU_COUNTS}
FEATURES: dict[str, dict[str, Any]] = {
    "bare": {"argv": ["python", *LAUNCHER]},
    "versioned": {"argv": [f"python{sys.version_info[0]}.{sys.version_info[1]}", *LAUNCHER]},
    "placeholders": {
        "argv": [
            "{prefix}/bin/python",
            *LAUNCHER,
            "--IPKernelApp.extra_args={resource_dir}",
            "--IPKernelApp.extra_args={unknown}",
            "--IPKernelApp.extra_args={cwd}/{prefix}",
            "--IPKernelApp.extra_args={ connection_file }",
        ],
    },
    "variables": {
        "argv": [sys.executable, *LAUNCHER],
        "env": {
            "PATH": "/opt/of-the-spec/bin:${PATH}",
            "FROM_HOME": "$HOME/x",
            "FROM_GIVEN": "<${GIVEN}>",
            "FROM_TOKEN": "${JUPYTERHUB_API_TOKEN}",
            "UNKNOWN": "${NOT_SET_ANYWHERE} $$ $",
            "PYTHONEXECUTABLE": "/nowhere",
        },
    },
}


@asynccontextmanager
async def kernel(name: str, **given: Any) -> AsyncIterator[tuple[AsyncKernelManager, Any]]:
    """A kernel that is ready, with its client."""
    manager = AsyncKernelManager(kernel_name=name)
    await manager.start_kernel(**given)
    client = manager.client()
    client.hb_channel.time_to_dead = 60  # Before its first heartbeat.
    client.start_channels()
    try:
        await client.wait_for_ready(60)
        yield manager, client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def printed(client: Any, code: str) -> str:
    """What code prints."""
    said: list[str] = []
    hook = lambda message: said.append(message["content"].get("text", ""))  # noqa: E731
    await client.execute_interactive(code, timeout=30, output_hook=hook)
    return "".join(said)


async def seen(name: str, **given: Any) -> dict[str, Any]:
    """What a kernel sees of how it was started, without the path of its connection file."""
    async with kernel(name, **given) as (manager, client):
        found: dict[str, Any] = json.loads(await printed(client, LOOK))
        argv = found["argv"]
        file = argv[argv.index("-f") + 1]
        assert os.path.isabs(file) and json.loads(Path(file).read_text())["key"]
        found["argv"] = [part.replace(file, "FILE") for part in argv]
        assert manager.kernel_spec is not None
        return found


def install(jupyter: Path, name: str, spec: object) -> None:
    """Write a kernelspec, and that of a kernel in sessions of it."""
    folder = jupyter / "kernels" / name
    folder.mkdir(parents=True)
    common = {"display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(common | spec if isinstance(spec, dict) else spec))
    specs.add(specs.Kernel(name=f"{name}-session", display_name=name, image=name, resources=SMALL))


@pytest.mark.parametrize("name", FEATURES)
async def test_the_same_plainly_and_in_a_session(
    name: str, jupyter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in SECRET - {"JUPYTER_SESSIONS_STATE"}:
        monkeypatch.setenv(secret, "secret")
    for variable in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "JUPYTERHUB_SERVICE_PREFIX", "BACKEND_URL"):
        monkeypatch.setenv(variable, f"value of {variable}")
    monkeypatch.setenv("MEM_LIMIT", str(8 << 30))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    install(jupyter, name, FEATURES[name])
    arguments = ["--IPKernelApp.extra_args={resource_dir}/more", "--Application.log_level=40"]
    given = {
        "cwd": str(tmp_path),
        "env": {**os.environ, "GIVEN": "1", "JPY_SESSION_NAME": f"{tmp_path}/one.ipynb"},
        "extra_arguments": arguments,
    }
    plain, ours = await seen(name, **given), await seen(f"{name}-session", **given)

    for what in ("argv", "cwd", "umask", "executable"):
        assert ours[what] == plain[what]
    assert len(ours["argv"]) == len(FEATURES[name]["argv"]) + len(arguments)
    before, after = plain["env"], ours["env"]
    assert {key for key in before if key not in after} <= SECRET
    added = {key for key in after if key not in before and not key.startswith("BACKENDAI_")}
    assert added <= LIMITS | QUIET | {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"}
    changed = {key for key in after if key in before and after[key] != before[key]}
    assert changed <= LIMITS | QUIET, {key: (before[key], after[key]) for key in changed}
    assert after["JPY_SESSION_NAME"] == f"{tmp_path}/one.ipynb"
    assert (after["MEM_LIMIT"], after["CPU_LIMIT"]) == (str(400 << 20), "0.5")


async def test_an_interrupt_by_message(jupyter: Path) -> None:
    install(jupyter, "asked", {"argv": ["python", *LAUNCHER], "interrupt_mode": "message"})
    for name in ("asked", "asked-session"):
        async with kernel(name) as (manager, client):
            request = client.execute("import time\nprint('begun')\ntime.sleep(60)")
            while (await client.get_iopub_msg(timeout=30))["msg_type"] != "stream":
                continue
            await manager.interrupt_kernel()
            while (reply := await client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != request:
                continue
            assert reply["content"]["ename"] == "KeyboardInterrupt"


async def test_one_broken_kernelspec_is_no_other_one_s_trouble(
    service: SessionService, jupyter: Path
) -> None:
    for name, text in {"list": "[]", "cut": '{"argv": [', "empty": "", "none": '{"argv": []}'}.items():
        install(jupyter, name, {})
        (jupyter / "kernels" / name / "kernel.json").write_text(text)
    (info,) = await service.describe("local")
    assert "python3" in [image.name for image in info.images] and "list" not in [i.name for i in info.images]
    with pytest.raises(Exception, match="The kernelspec 'list' cannot be used"):
        async with kernel("list-session"):
            pass
    async with kernel("owned") as (_, client):
        assert await printed(client, "print(1)") == "1\n"
    await until(lambda: _none(service))


async def _none(service: SessionService) -> bool:
    return not (await service.list()).sessions
