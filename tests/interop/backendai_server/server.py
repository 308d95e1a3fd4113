"""Starts the manager and all that it needs, and ends it."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import zmq.auth

from jupyter_sessions.backends.files import locked
from jupyter_sessions.wire.signing import Keypair, headers_for
from tests.conftest import need
from tests.interop.backendai_server import rows, texts
from tests.interop.backendai_server.releases import NEWEST, OLDEST, USUAL, Release
from tests.interop.backendai_server.rows import ADMIN, IMAGE, OTHER_IMAGE, USER
from tests.interop.venvs import CACHE
from tests.ports import free_port

__all__ = ["ADMIN", "IMAGE", "NEWEST", "OLDEST", "OTHER_IMAGE", "USER", "Release", "Server", "running"]

_POSTGRES = Path("/usr/lib/postgresql")
_WHY = "a real Backend.AI manager needs it"


class Server:
    """A running manager of a release; `endpoint` is its URL.

    It took `seconds` to start, and if it was `cold` to be installed, too.
    """

    def __init__(self, folder: Path, release: Release = USUAL) -> None:
        self.folder = folder
        self.release = release
        self.ports = texts.Ports(*(free_port() for _ in texts.Ports.__struct_fields__))
        self.endpoint = f"http://127.0.0.1:{self.ports.api}"
        self.seconds = 0.0
        self.cold = False
        self._processes: list[tuple[subprocess.Popen[bytes], int]] = []
        self._rows: list[Path] = []

    def options(self, key: Keypair = ADMIN) -> dict[str, str]:
        """How a backend of ours is configured to reach it."""
        return {
            "type": "backendai",
            "endpoint": self.endpoint,
            "access_key": key.access_key,
            "secret_key": key.secret_key,
        }

    def start(self) -> None:
        """Start everything; returns once sessions can be made, if that is possible at all."""
        tools = {name: need(name, _WHY) for name in ("redis-server", "etcd", "etcdctl")}
        began, self.cold = time.monotonic(), not self.release.environment.kept()
        cli = self.release.program()
        self.folder.chmod(0o755)  # PostgreSQL runs as a user of its own.
        texts.write(self.folder, self.ports, self.release)
        self._rows = texts.write_rows(self.folder, self.release)
        filled = self._database.exists()
        self._start_postgres()
        self._start_stores(tools)
        self._fill(tools["etcdctl"])
        if not filled:
            self._fill_database(cli)
        environment = {"BACKEND_CONFIG_FILE": str(self.folder / "manager.toml")}
        # It makes a client of Docker and never uses it; nobody listens there.
        self._spawn(
            "manager", [cli, "mgr", "start-server"], environment | {"DOCKER_HOST": "tcp://127.0.0.1:9"}
        )
        self._until("manager", self._answers)
        self._join()
        if self.release.sessions:
            self._start_agent(cli)
        self.seconds = time.monotonic() - began

    def stop(self) -> None:
        """End all that was started, the last first."""
        for process, number in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()

    # How.

    def _join(self) -> None:
        wanted = rows.joining(self.release)
        if wanted is None:
            return
        version = httpx.get(self.endpoint, trust_env=False).json()["version"]
        about = {"target": "/admin/gql", "host": f"127.0.0.1:{self.ports.api}", "version": version}
        headers = headers_for(ADMIN, method="POST", content_type="application/json", **about)
        answer = httpx.post(f"{self.endpoint}/admin/gql", json=wanted, headers=headers, trust_env=False)
        assert answer.json()["data"]["modify_group"]["ok"], answer.text

    def _start_agent(self, cli: str) -> None:
        environment = {"BACKEND_CONFIG_FILE": str(self.folder / "agent.toml")}
        self._spawn("agent", [cli, "ag", "start-server"], environment)
        alive = "SELECT 1 FROM agents WHERE status = 'ALIVE'"
        self._until("agent", lambda: self._sql(alive, "backend").stdout.strip() == "1")

    def _start_postgres(self) -> None:
        """Start it with the database of an earlier run if there is one, else with an empty one."""
        data = self.folder / "pg"
        if self._database.exists():
            self._call(["cp", "-a", str(self._database), str(data)])
        else:
            data.mkdir(mode=0o700)
            if os.getuid() == 0:
                owner = pwd.getpwnam("postgres")
                os.chown(data, owner.pw_uid, owner.pw_gid)
            options = ("-U", "postgres", "-A", "trust", "-E", "UTF8")
            self._call([*_as_postgres(), _postgres("initdb"), "-D", str(data), *options])
        self._run_postgres(data)

    def _run_postgres(self, data: Path) -> None:
        options = (
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=256",
            "fsync=off",
        )
        settings = [part for option in options for part in ("-c", option)]
        port = str(self.ports.postgres)
        command = [*_as_postgres(), _postgres("postgres"), "-D", str(data), "-p", port, *settings]
        self._spawn("postgres", command, number=signal.SIGINT)
        self._until("postgres", lambda: self._sql("SELECT 1").returncode == 0)

    def _start_stores(self, tools: dict[str, str]) -> None:
        port, bind = str(self.ports.redis), "127.0.0.1"
        options = [
            "--port",
            port,
            "--bind",
            bind,
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self._spawn("redis", [tools["redis-server"], *options])
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.ports.etcd, self.ports.etcd_peer))
        options = ["--data-dir", str(self.folder / "etcd"), "--initial-cluster", f"default={peer}"]
        for side, url in (("client", client), ("peer", peer)):
            options += [f"--listen-{side}-urls", url]
        options += ["--advertise-client-urls", client, "--initial-advertise-peer-urls", peer]
        self._spawn("etcd", [tools["etcd"], *options])
        self._until("etcd", lambda: httpx.get(f"{client}/health", trust_env=False).is_success)

    def _fill(self, etcdctl: str) -> None:
        endpoint = f"--endpoints=http://127.0.0.1:{self.ports.etcd}"
        for key, value in texts.etcd_keys(self.ports, self.release).items():
            self._call([etcdctl, endpoint, "put", f"/sorna/local/{key}", "--", value], {"ETCDCTL_API": "3"})
        zmq.auth.create_certificates(self.folder, "manager")

    def _fill_database(self, cli: str) -> None:
        """Make the tables and rows, which takes the manager's own commands a minute, and keep them for later runs."""
        assert self._sql("CREATE DATABASE backend").returncode == 0
        environment = {"BACKEND_CONFIG_FILE": str(self.folder / "manager.toml")}
        self._call([cli, "mgr", "schema", "oneshot", "-f", str(self.folder / "alembic.ini")], environment)
        for path in self._rows:
            said = self._call([cli, "mgr", "fixture", "populate", str(path)], environment)
            assert " ERROR " not in said, said  # It exits with 0 even then.
        self.sql(rows.rest_of(self.release))
        process, number = self._processes.pop(0)
        os.killpg(process.pid, number)
        process.wait(30)
        with locked(CACHE / f"{self._database.name}.lock"):
            if not self._database.exists():  # Another run may have been quicker.
                copy = self._database.with_name(f"{self._database.name}.{os.getpid()}")
                self._call(["cp", "-a", str(self.folder / "pg"), str(copy)])
                copy.rename(self._database)
        self._run_postgres(self.folder / "pg")

    @property
    def _database(self) -> Path:
        """Where the filled database of this release is kept, by what is in it."""
        wanted = [path.read_text() for path in self._rows]
        key = msgspec.json.encode((self.release, _postgres("postgres"), wanted, rows.rest_of(self.release)))
        return CACHE / f"postgres-{self.release.version}-{hashlib.sha256(key).hexdigest()[:12]}"

    def sql(self, text: str) -> str:
        """What the manager's database answers."""
        done = self._sql(text, "backend")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _sql(self, text: str, database: str = "postgres") -> subprocess.CompletedProcess[str]:
        where = ["-h", "127.0.0.1", "-p", str(self.ports.postgres), "-U", "postgres", "-d", database]
        command = [_postgres("psql"), *where, "-v", "ON_ERROR_STOP=1", "-qAtc", text]
        return subprocess.run(command, capture_output=True, text=True)

    def _answers(self) -> bool:
        return httpx.get(self.endpoint, trust_env=False).is_success

    def _spawn(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        number: int = signal.SIGTERM,
    ) -> None:
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ | (environment or {}),
                start_new_session=True,
            )
        self._processes.append((process, number))

    def _call(self, command: Sequence[str], environment: dict[str, str] | None = None) -> str:
        env = os.environ | (environment or {})
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env=env, timeout=120)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}: {said[-3000:]}"
        return said

    def _until(self, name: str, true: Callable[[], bool], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._processes[-1][0].poll() is None:
            try:
                if true():
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{name} did not start: {self._log(name).read_text(errors='replace')[-3000:]}")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def _as_postgres() -> list[str]:
    """What a command begins with that root may not run."""
    return ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []


def _postgres(program: str) -> str:
    """Debian's newest, which is not on the path; else what is there."""
    versions = sorted(_POSTGRES.glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    return str(versions[-1]) if versions else need(program, _WHY)


@contextmanager
def running(folder: Path, release: Release = USUAL) -> Iterator[Server]:
    """A manager with its state in this folder."""
    server = Server(folder, release)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder / "pg", ignore_errors=True)
