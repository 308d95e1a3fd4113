"""What the real manager and agent read: configuration files and etcd keys.

The keys were found by running the managers; what their own start needs and nothing more.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.interop.backendai_server import rows
from tests.interop.backendai_server.releases import Release


class Ports(msgspec.Struct, frozen=True):
    """Ports on loopback, one for each who listens."""

    postgres: int
    redis: int
    etcd: int
    etcd_peer: int
    api: int
    internal: int
    agent: int
    agent_service: int
    manager_monitor: int
    manager_monitor_web: int
    agent_monitor: int
    agent_monitor_web: int


_COMMON = """
[etcd]
namespace = "local"
addr = {{ host = "127.0.0.1", port = {ports.etcd} }}
user = ""
password = ""
[pyroscope]
enabled = false
[debug]
enabled = false
[logging]
level = "INFO"
drivers = ["console"]
[logging.pkg-ns]
"" = "WARNING"
"ai.backend" = "INFO"
[logging.console]
colored = false
format = "verbose"
"""
_MANAGER = """
[db]
type = "postgresql"
addr = {{ host = "127.0.0.1", port = {ports.postgres} }}
name = "backend"
user = "postgres"
password = "unused"
[manager]
num-proc = 1
service-addr = {{ host = "127.0.0.1", port = {ports.api} }}
internal-addr = {{ host = "127.0.0.1", port = {ports.internal} }}
rpc-auth-manager-keypair = "{folder}/manager.key_secret"
ipc-base-path = "{folder}/ipc-manager"
pid-file = "{folder}/manager.pid"
heartbeat-timeout = 40.0
aiomonitor-termui-port = {ports.manager_monitor}
aiomonitor-webui-port = {ports.manager_monitor_web}
hide-agents = true
[docker-registry]
ssl-verify = false
"""
_AGENT = """
[agent]
backend = "dummy"
id = "i-dummy"
rpc-listen-addr = {{ host = "127.0.0.1", port = {ports.agent} }}
service-addr = {{ host = "127.0.0.1", port = {ports.agent_service} }}
metadata-server-bind-host = "127.0.0.1"
aiomonitor-termui-port = {ports.agent_monitor}
aiomonitor-webui-port = {ports.agent_monitor_web}
{group_key} = "default"
ipc-base-path = "{folder}/ipc-agent"
var-base-path = "{folder}/agent-var"
image-commit-path = "{folder}/agent-commit"
mount-path = "{folder}/vfroot"
pid-file = "{folder}/agent.pid"
[container]
bind-host = "127.0.0.1"
advertised-host = "127.0.0.1"
port-range = [30000, 31000]
sandbox-type = "docker"
scratch-type = "hostdir"
scratch-root = "{folder}/scratches"
scratch-size = "1G"
[resource]
reserved-cpu = 1
reserved-mem = "1G"
reserved-disk = "1G"
"""
_DUMMY = """
[agent.delay]
scan-image = 0.1
pull-image = 0.1
push-image = 0.1
purge-images = 0.1
destroy-kernel = 0.1
clean-kernel = 0.1
create-network = 0.1
destroy-network = 0.1
[agent.image]
already-have = []
need-to-pull = []
missing = []
[agent.resource.cpu]
num-core = 33
[agent.resource.memory]
size = 137438953472
[kernel-creation-ctx.delay]
prepare-scratch = 0.1
prepare-ssh = 0.1
spawn = 0.1
start-container = 0.5
mount-krunner = 0.1
[kernel]
use-fake-code-runner = true
[kernel.delay]
commit = 1.0
"""
_ALEMBIC = """
[alembic]
script_location = ai.backend.manager.models:alembic
sqlalchemy.url = postgresql+asyncpg://postgres:unused@127.0.0.1:{ports.postgres}/backend
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARN
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""


def write(folder: Path, ports: Ports, release: Release) -> None:
    """Write all files that manager, agent and their commands read."""
    files = {
        "manager.toml": _COMMON + _MANAGER,
        "agent.toml": _COMMON + _AGENT,
        "agent.dummy.toml": _DUMMY,
        "alembic.ini": _ALEMBIC,
    }
    key = "initial-resource-group-name" if release.number >= (26, 0) else "scaling-group"
    for name, text in files.items():
        (folder / name).write_text(text.format(folder=folder, ports=ports, group_key=key))


def write_rows(folder: Path, release: Release) -> list[Path]:
    """Write what the database is filled with, in this order."""
    paths = []
    for number, found in enumerate(rows.of(release)):
        paths.append(folder / f"rows-{number}.json")
        paths[-1].write_bytes(msgspec.json.encode(found))
    return paths


def etcd_keys(ports: Ports, release: Release) -> dict[str, str]:
    """Configuration that the manager reads from etcd, below its namespace."""
    key = f"config/docker/registry/{rows.REGISTRY}"
    registry = {key: f"http://{rows.REGISTRY}", f"{key}/type": "docker"}
    keys = {
        "config/redis/addr": f"127.0.0.1:{ports.redis}",
        "config/system/timezone": "UTC",
        "volumes/_types/user": "",
        "volumes/_types/group": "",
        "volumes/default_host": "local:volume1",
        "volumes/exposed_volume_info": "percentage",
        "volumes/proxies/local/client_api": "http://127.0.0.1:9",
        "volumes/proxies/local/manager_api": "http://127.0.0.1:9",
        "volumes/proxies/local/secret": "test-storage-secret",
        "volumes/proxies/local/ssl_verify": "false",
    }
    return keys | (registry if release.number < rows.REGISTRIES_SINCE else {})


_WEB = """
[service]
ip = "127.0.0.1"
port = {port}
mode = "webui"
[service.wsproxy]
url = ""
[api]
domain = "default"
endpoint = "{endpoint}"
text = "test"
ssl-verify = false
[session.redis]
addr = "127.0.0.1:{redis}"
[webserver]
event-loop = "asyncio"
ipc-base-path = "{folder}/ipc-web"
[logging]
level = "INFO"
drivers = ["console"]
[logging.pkg-ns]
"" = "WARNING"
[logging.console]
colored = false
format = "simple"
[resources]
[environments]
[plugin]
[ui]
"""


def write_web(folder: Path, endpoint: str, redis: int, port: int) -> Path:
    """Write what the web server reads."""
    path = folder / "webserver.conf"
    path.write_text(_WEB.format(folder=folder, endpoint=endpoint, redis=redis, port=port))
    return path
