"""Limits on real processes, by control groups and by affinity and watchdog."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_sessions.manager.runtime.launch import descendants, stop, wait
from jupyter_sessions.manager.runtime.limits import (
    CGROUPS,
    Limits,
    LimitsError,
    LimitsGroupGone,
    cgroup,
    choose,
)
from jupyter_sessions.manager.runtime.process import identify

MIB = 1 << 20
_SLEEP = "import time; time.sleep(60)"
_FILL = """
import mmap, sys, time
area = mmap.mmap(-1, int(sys.argv[1]) << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for start in range(0, len(area), 4096):
    area[start] = 1
print("filled", flush=True)
time.sleep(60)
"""
_BUSY = """
import os
for _ in range(2):
    os.fork()
while True:
    pass
"""
_MANY = """
import os, sys, threading, time
made = 0
try:
    while made < 100:
        if sys.argv[1] == "threads":
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        elif not os.fork():
            time.sleep(60)
            os._exit(0)
        made += 1
except (BlockingIOError, RuntimeError):
    print("refused", made, flush=True)
time.sleep(60)
"""
_FORKING = """
import os, time
while True:
    try:
        if not os.fork():
            time.sleep(0.5)
            os._exit(0)
    except BlockingIOError:
        pass
    time.sleep(0.01)
"""

Choose = Callable[..., Limits]


@pytest.fixture
def any_limits(tmp_path: Path) -> Iterator[Choose]:
    """Limits of a manager of this test's; `key` may be another one's."""
    made: list[Limits] = []

    def make(*, key: str = "", cgroups: bool = True, pids: int = 0) -> Limits:
        records = tmp_path / f"records{key}"
        drivers = CGROUPS if cgroups else ()
        limits = choose(key=f"test-{os.getpid()}{key}", records=records, drivers=drivers, pids=pids)
        made.append(limits)
        return limits

    yield make
    for limits in made:
        limits.sweep(())


@pytest.fixture(params=["control groups", "watchdog"])
def means(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def limits(means: str, any_limits: Choose) -> Limits:
    """Both kinds of limits; control groups may be missing, but not on CI."""
    found = any_limits(cgroups=means == "control groups")
    if means == "control groups" and not found.means["mem"].startswith("cgroup"):
        reason = f"no control groups here: {found.means}"
        if os.environ.get("CI") and os.getuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def test_means_are_named(limits: Limits, means: str) -> None:
    if means == "watchdog":
        assert limits.means == {"cpu": "CPU affinity", "mem": "watchdog", "pids": "watchdog"}
    else:
        assert set(limits.means) == {"cpu", "mem", "pids"}


@pytest.mark.parametrize("what", ["processes", "threads"])
def test_processes_and_threads_are_limited(
    limits: Limits, any_limits: Choose, means: str, start: Any, tmp_path: Path, until: Any, what: str
) -> None:
    """Where the kernel counts them, making one more fails; else the session is ended, and no other."""

    async def scene() -> None:
        few = any_limits(cgroups=means == "control groups", pids=40)
        sibling = few.create("sibling", Decimal(1), 512 * MIB)
        quiet = await start(_SLEEP, limits_group=sibling, name="quiet")
        limits_group = few.create("many", Decimal(1), 512 * MIB)
        assert limits_group.most_pids == 40
        many = await start(_MANY, what, limits_group=limits_group, name="many")
        if means == "control groups":
            await asyncio.to_thread(until, lambda: "refused" in (tmp_path / "many.log").read_text())
            made = int((tmp_path / "many.log").read_text().split()[1])
            assert 30 < made < 40
            assert many.child.alive()
            assert not limits_group.over_pids()
        else:
            assert await asyncio.wait_for(wait(many), 60) == -9
            assert limits_group.over_pids()
            assert not limits_group.over_memory()
            assert few.open("many", Decimal(1), 512 * MIB).over_pids(), "an earlier manager may have seen it"
        assert quiet.child.alive()
        assert not sibling.over_pids()

    asyncio.run(scene())


def test_over_memory_ends_one_session_and_no_other(limits: Limits, start: Any) -> None:
    async def scene() -> None:
        sibling = limits.create("sibling", Decimal(1), 512 * MIB)
        quiet = await start(_SLEEP, limits_group=sibling, name="quiet")
        limits_group = limits.create("greedy", Decimal(1), 512 * MIB)
        greedy = await start(_FILL, "2048", limits_group=limits_group, name="greedy")
        assert await asyncio.wait_for(wait(greedy), 60) == -9
        assert limits_group.over_memory()
        assert limits_group.usage().mem_peak >= 500 * MIB
        assert not sibling.over_memory()
        assert quiet.child.alive()
        assert await limits_group.kill()
        assert limits_group.remove()

    asyncio.run(scene())


def test_all_of_a_session_counts(limits: Limits, start: Any, tmp_path: Path) -> None:
    """Two processes of which each is within the limit."""

    async def scene() -> None:
        limits_group = limits.create("pair", Decimal(1), 256 * MIB)
        pair = [await start(_FILL, "200", limits_group=limits_group, name=name) for name in ("one", "two")]
        ends = [asyncio.create_task(wait(process)) for process in pair]
        done, _ = await asyncio.wait(ends, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {-9}
        assert limits_group.over_memory()
        await limits_group.kill()
        await asyncio.gather(*ends)

    asyncio.run(scene())


def test_a_service_ends_before_its_session(limits: Limits, start: Any, until: Any) -> None:
    """Also when it is the session that asks for more, and the larger of both."""

    async def scene() -> None:
        limits_group = limits.create("with-services", Decimal(1), 256 * MIB)
        kernel = await start(_FILL, "100", limits_group=limits_group, name="kernel")
        small, large = limits_group.service("small"), limits_group.service("large")
        stays = await start(_SLEEP, limits_group=small, name="small")
        greedy = await start(_FILL, "400", limits_group=large, name="large")
        assert await asyncio.wait_for(wait(greedy), 60) == -9
        until(large.over_memory)
        assert not small.over_memory()
        assert not limits_group.over_memory()
        assert kernel.child.alive()
        assert stays.child.alive()
        beside = limits_group.service("beside")
        first = await start(_FILL, "50", limits_group=beside, name="beside")
        more = await start(_FILL, "120", limits_group=limits_group, name="more")
        assert await asyncio.wait_for(wait(first), 60) == -9
        until(beside.over_memory)
        assert not limits_group.over_memory()
        assert kernel.child.alive()
        assert more.child.alive()
        large.remove()
        assert not large.over_memory()
        await limits_group.kill()
        assert limits_group.remove()

    asyncio.run(scene())


def test_cpu_is_shared_by_all_of_a_session(limits: Limits, start: Any, until: Any) -> None:
    """It gets no more than its CPU, which is never idle, and has its part of it beside others on a busy machine."""

    async def scene() -> None:
        limits_group = limits.create("busy", Decimal(1), 512 * MIB)
        process = await start(_BUSY, limits_group=limits_group)
        until(lambda: len(descendants(process)) == 4)
        (cpu,) = limits_group.affinity or []
        before = limits_group.usage().cpu_ms
        cores, idle = await _rates(lambda: limits_group.usage().cpu_ms / 1000, lambda: _idle(cpu))
        assert cores < 1.25
        assert idle < 0.3
        unlimited = await start("while True: pass", name="unlimited")
        os.sched_setaffinity(unlimited.child.pid, {cpu})
        other = psutil.Process(unlimited.child.pid)
        cores, others = await _rates(
            lambda: limits_group.usage().cpu_ms / 1000, lambda: sum(other.cpu_times()[:2])
        )
        assert cores < 1.25
        assert cores > others / 2
        assert await limits_group.kill()
        assert limits_group.usage().cpu_ms >= before

    asyncio.run(scene())


async def _rates(*counts: Callable[[], float]) -> list[float]:
    """How fast each of these grows, over two seconds."""
    began, before = time.monotonic(), [count() for count in counts]
    await asyncio.sleep(2)
    after, seconds = [count() for count in counts], time.monotonic() - began
    return [(now - then) / seconds for now, then in zip(after, before, strict=True)]


def _idle(cpu: int) -> float:
    """For how many seconds a CPU has had nothing to do."""
    return float(psutil.cpu_times(percpu=True)[cpu].idle)


def test_managers_begin_with_different_cpus(any_limits: Choose, means: str) -> None:
    """Each knows its own sessions only; those of others are seen by what is bound to a CPU."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        pytest.skip("there is only one CPU")
    bound = [subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(20)]
    for one in bound:
        os.sched_setaffinity(one.pid, allowed[:1])
    for number in range(5):
        limits = any_limits(key=f"-{number}", cgroups=means == "control groups")
        assert limits.create("first", Decimal(1), 64 * MIB).affinity != allowed[:1]
    for one in bound:
        one.kill()
        one.wait()


def test_kill_outruns_forks_and_the_cage_can_be_used_again(limits: Limits, start: Any) -> None:
    async def scene() -> None:
        limits_group = limits.create("forks", Decimal(1), 512 * MIB)
        process = await start(_FORKING, limits_group=limits_group)
        await asyncio.sleep(0.3)
        assert not limits_group.kill_once()
        assert await limits_group.kill()
        assert await wait(process) == -9
        again = await start(
            "import os; raise SystemExit(os.waitpid(os.fork() or os._exit(3), 0)[1] >> 8)",
            limits_group=limits_group,
        )
        assert await wait(again) == 3
        assert limits_group.remove()

    asyncio.run(scene())


def test_remove_waits_for_the_living(limits: Limits, start: Any) -> None:
    async def scene() -> None:
        limits_group = limits.create("living", Decimal(1), 512 * MIB)
        process = await start(_SLEEP, limits_group=limits_group)
        assert not limits_group.remove()
        assert process.child.alive()
        await stop(process, 5)
        assert limits_group.remove()

    asyncio.run(scene())


def test_a_later_manager_takes_over(
    limits: Limits, any_limits: Choose, means: str, start: Any, tmp_path: Path, until: Any
) -> None:
    async def scene() -> None:
        limits_group = limits.create("kept", Decimal(1), 300 * MIB)
        process = await start(_FILL, "200", limits_group=limits_group)
        until(lambda: "filled" in (tmp_path / "p.log").read_text())
        # That this manager prefers other means matters to new limits groups only.
        later = any_limits(cgroups=means != "control groups")
        again = later.open("kept", Decimal(1), 300 * MIB)
        again.adopt(process)
        assert (again.attach, again.affinity) == (limits_group.attach, limits_group.affinity)
        assert again.usage().mem > 150 * MIB
        assert not again.over_memory()
        other = await start(_FILL, "200", limits_group=again, name="other")
        ends = [asyncio.create_task(wait(one)) for one in (process, other)]
        await asyncio.wait(ends, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert again.over_memory()
        assert any_limits().open("kept", Decimal(1), 300 * MIB).over_memory()
        assert await again.kill()
        assert await asyncio.gather(*ends) == [-9, -9]

    asyncio.run(scene())


def test_a_cage_that_is_gone(limits: Limits) -> None:
    with pytest.raises(LimitsGroupGone, match="never"):
        limits.open("never", Decimal(1), MIB)
    limits_group = limits.create("removed", Decimal(1), 64 * MIB)
    assert limits_group.remove()
    with pytest.raises(LimitsGroupGone):
        limits.open("removed", Decimal(1), 64 * MIB)


def test_a_cage_removed_behind_our_back(limits: Limits, means: str) -> None:
    limits_group = limits.create("lost", Decimal(1), 64 * MIB)
    if means == "watchdog":
        return
    for path in limits_group.attach:
        cgroup.delete(Path(path).parent)
    with pytest.raises(LimitsGroupGone, match="were removed"):
        limits.open("lost", Decimal(1), 64 * MIB)


def test_sweep_leaves_the_living_and_other_managers_alone(
    limits: Limits, any_limits: Choose, means: str, start: Any
) -> None:
    async def scene() -> None:
        other = any_limits(key="-other", cgroups=means == "control groups")
        limits_groups = {
            "live": limits.create("live", Decimal(1), 64 * MIB),
            "dead": limits.create("dead", Decimal(1), 64 * MIB),
            "other": other.create("dead", Decimal(1), 64 * MIB),
        }
        processes = {
            name: await start(_SLEEP, limits_group=limits_group, name=name)
            for name, limits_group in limits_groups.items()
            if name != "dead" or means == "control groups"
        }
        assert limits.sweep({"live"}) == ["dead"]
        assert processes["live"].child.alive()
        assert processes["other"].child.alive()
        if means == "control groups":
            assert await wait(processes["dead"]) == -9
            assert not limits_groups["dead"].exists()
        assert limits.sweep({"live"}) == []

    asyncio.run(scene())


def test_sweep_finds_groups_without_a_record(limits: Limits, means: str, tmp_path: Path, start: Any) -> None:
    limits_group = limits.create("forgotten", Decimal(1), 64 * MIB)
    (tmp_path / "records" / "forgotten.json").unlink()
    assert limits.sweep(()) == (["forgotten"] if means == "control groups" else [])
    assert not any(Path(path).exists() for path in limits_group.attach)


@pytest.mark.parametrize("id", ["", "../x", "a/b", ".hidden", "x" * 200])
def test_ids_cannot_lead_elsewhere(id: str, limits: Limits) -> None:
    with pytest.raises(LimitsError):
        limits.create(id, Decimal(1), MIB)


def test_cpus_are_taken_in_turn(any_limits: Choose) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    limits = any_limits(cgroups=False)
    limits_groups = [limits.create(f"s{number}", Decimal("0.5"), MIB) for number in range(len(allowed))]
    assert sorted(limits_group.affinity or [] for limits_group in limits_groups) == [
        [number] for number in allowed
    ]
    assert limits_groups[0].remove()
    assert limits.create("next", Decimal(1), MIB).affinity == limits_groups[0].affinity
    assert limits.create("all", Decimal(len(allowed) + 1), MIB).affinity == allowed


_NOBODY = 65534
_DELEGATED = """
import asyncio, os, sys
from decimal import Decimal
from pathlib import Path
from jupyter_sessions.manager.runtime.launch import launch, wait
from jupyter_sessions.manager.runtime.limits import choose

async def main(folder, key, fill):
    limits = choose(key=key, records=folder / "records")
    print(limits.means)
    limits_group = limits.create("mine", Decimal(1), 64 << 20)
    places = {"log": str(folder / "log"), "folder": str(folder / "p")}
    argv = [sys.executable, "-c", fill, "256"]
    process = await launch(argv, env=dict(os.environ), cwd="/", limits_group=limits_group, **places)
    print(await wait(process), limits_group.over_memory(), await limits_group.kill(), limits_group.remove())

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


@pytest.fixture
def given() -> Iterator[str]:
    """Folders in the v1 hierarchies that belong to nobody."""
    if os.getuid() != 0:
        pytest.skip("only root can give folders away")
    places = cgroup.own()
    tops = {places[name].top for name in ("cpu", "cpuacct", "memory", "pids") if name in places}
    folders = [top / f"jupyter_sessions-{_NOBODY}" for top in tops]
    if not folders:
        pytest.skip("no control groups v1 here")
    for folder in folders:
        folder.mkdir(exist_ok=True)
        os.chown(folder, _NOBODY, _NOBODY)
        os.chown(folder / "cgroup.procs", _NOBODY, _NOBODY)
    yield f"given-{os.getpid()}"
    assert all(cgroup.delete(folder) for folder in folders)


def _python_for_all() -> str:
    """An interpreter of this version that others than root may run."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        try:
            if subprocess.run([path, "-c", ""], user=_NOBODY, cwd="/").returncode == 0:
                return path
        except OSError:
            continue
    pytest.skip("Python is where only root can go")


def test_a_user_who_was_given_folders(given: str, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):  # What lies above is not pytest's.
            break
    mine = tmp_path / "mine"
    mine.mkdir()
    os.chown(mine, _NOBODY, _NOBODY)
    answer = subprocess.run(
        [_python_for_all(), "-c", _DELEGATED, str(mine), given, _FILL],
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        env={"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == [
        "{'cpu': 'cgroup v1 quota', 'mem': 'cgroup v1 limit', 'pids': 'cgroup v1 limit'}",
        "-9 True True True",
    ]


def test_a_manager_started_in_a_session_leaves_it(
    limits: Limits, means: str, start: Any, tmp_path: Path
) -> None:
    if means == "watchdog":
        return
    code = (
        "import sys; from pathlib import Path;"
        "from jupyter_sessions.manager.runtime.limits import choose, cgroup;"
        "limits = choose(key='inner', records=Path(sys.argv[1]));"
        "print(limits.means, [str(place.folder) for place in cgroup.own().values()])"
    )

    async def scene() -> None:
        limits_group = limits.create("outer", Decimal(1), 256 * MIB)
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        process = await start(code, str(tmp_path / "inner"), limits_group=limits_group, env=env)
        assert await wait(process) == 0
        assert limits_group.remove()

    asyncio.run(scene())
    said = (tmp_path / "p.log").read_text()
    assert str(limits.means) in said
    assert cgroup.PREFIX not in said


def test_processes_with_common_pages_count_them_once(
    any_limits: Choose, start: Any, tmp_path: Path, until: Any
) -> None:
    """A pool of workers forked from a parent with much data, as multiprocessing makes it."""
    code = f"import os\n{_FILL.replace('print', 'os.fork(); os.fork(); print')}"

    async def scene() -> None:
        limits_group = any_limits(cgroups=False).create("pool", Decimal(1), 400 * MIB)
        process = await start(code, "200", limits_group=limits_group)
        until(lambda: (tmp_path / "p.log").read_text().count("filled") == 4)
        pids = [identity for pid in descendants(process) if (identity := identify(pid))]
        assert len(pids) == 4
        await asyncio.sleep(1.2)
        assert not limits_group.over_memory()
        assert all(identity.alive() for identity in pids)
        assert 190 * MIB < limits_group.usage().mem < 400 * MIB

    asyncio.run(scene())
