"""The verbs `services` and `open`: what a session serves, how it is started and stopped, and a page that shows it."""

from __future__ import annotations

import asyncio
import tempfile
import time
import webbrowser
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from jupyter_sessions.client import Api, servers
from jupyter_sessions.commands import html, options
from jupyter_sessions.commands.cells import Cell, plain
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.links import address_of, base_of, with_token
from jupyter_sessions.commands.resources import pairs
from jupyter_sessions.commands.result import Json, Markup, Nothing, Result, Table, Text
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.model import USABLE, Service, SessionInfo, standing

_USUAL = "jupyter"
_OPEN = "jupyter-sessions:open-service"
"""JupyterLab's command that opens a service."""
_PAGE = "jupyter_sessions-open-"
_PAGE_SECONDS = 60
"""How long a browser may take to read a page."""


def _services_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument("service", nargs="?", help="name of the service; NAME:2 is a second one of its kind")
    does = verb.add_mutually_exclusive_group()
    does.add_argument("--start", action="store_true", help="start the service")
    does.add_argument("--stop", action="store_true", help="end the service")
    does.add_argument("--restart", action="store_true", help="end the service and start it again")
    does.add_argument("--log", action="store_true", help="show what the service has printed")
    verb.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="argument of the service, with --start",
    )
    verb.add_argument("--force", action="store_true", help="start it even if it may not fit into the memory")
    options.json(verb)


def _open_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument("service", nargs="?", help=f"name of the service (default: {_USUAL}, else the first)")


async def services(api: Api, asked: Namespace, face: Face) -> Result:
    """List the services of a session, or start, stop or restart one, or show its log.

    Errors: InvalidRequest for an action without a service, and for arguments without a start.
    """
    row = await api.find(asked.session)
    starts = asked.start or asked.restart
    if not asked.service and (starts or asked.stop or asked.log):
        there = ", ".join(service.name for service in row.services) or "none"
        raise InvalidRequest("Which service is missing.", hint=f"'{row.name}' has: {there}.", field="service")
    if (asked.arg or asked.force) and not starts:
        option = "--arg" if asked.arg else "--force"
        hint = "Add --start, or --restart."
        raise InvalidRequest(f"{option} is for starting a service.", hint=hint, field=option.strip("-"))
    if asked.log:
        return Text(await api.service_log(row.backend, row.id, asked.service))
    if asked.stop or asked.restart:
        await api.stop_service(row.backend, row.id, asked.service)
    if starts:
        arguments = pairs(asked.arg, "--arg") or None
        await api.start_service(row.backend, row.id, asked.service, arguments=arguments, forced=asked.force)
    if starts or asked.stop:
        row = await api.get(row.backend, row.id)
    shown = [one for one in row.services if asked.service in (None, one.name)]
    if asked.service and not shown:
        _chosen(row, asked.service)
    if asked.json:
        return Json(shown)
    rows = [
        [one.name, _state(one), ", ".join(map(str, one.ports)), _link(row, one, base_of(api, face))]
        for one in shown
    ]
    return Table(["Name", "State", "Ports", "Address"], rows, empty=f"{plain(row.name)} has no services.")


def _state(service: Service) -> str:
    """Return the state of a service, with the time since it began and why it has ended."""
    since = service.since if service.state in ("starting", "ready") else None
    age = f" for {human_time((datetime.now(UTC) - since).total_seconds())}" if since else ""
    why = f": {service.ended}" if service.ended else ""
    arguments = " ".join(f"{name}={value}" for name, value in (service.arguments or {}).items())
    return f"{service.state}{age}{why}" + (f" ({arguments})" if arguments else "")


def _link(row: SessionInfo, service: Service, base_url: str) -> Cell:
    """Return the address of a service, as a link where it can be opened."""
    address = address_of(service, base_url)
    return Cell(address, html=html.link(address, address) if address and row.status in USABLE else "")


async def open_service(api: Api, asked: Namespace, face: Face) -> Result:
    """Open a service: in a browser from a shell, with a link and a button from a notebook.

    Errors: InvalidRequest for a service that the session does not have; NotSupported without a Jupyter server.
    """
    row = await api.find(asked.session)
    service = _chosen(row, asked.service)
    address = address_of(service, base_of(api, face))
    if face.in_notebook and address:
        arguments = {"backend": row.backend, "id": row.id, "service": service.name}
        button = html.lab_button("Open in a tab", _OPEN, arguments)
        return Markup(address, f"<p>{html.link(address, f'{row.name}: {service.name}')} {button}</p>")
    token = ""
    if not address:
        address, token = _on_running_server(service)
    if await asyncio.to_thread(browse, address, token):
        face(f"{plain(service.name)} of {plain(row.name)} opens in your browser: {address}")
    else:
        face(f"Open {address} in a browser.")
    return Nothing()


def _chosen(row: SessionInfo, name: str | None) -> Service:
    """Return the service that is meant. Errors: InvalidRequest listing the services."""
    there = {service.name: service for service in row.services}
    if row.status not in USABLE:
        raise InvalidRequest(
            standing(row.name, row.status, row.status_info), hint="Its services open while it runs."
        )
    if name is None and there:
        return there.get(_USUAL) or row.services[0]
    if name not in there:
        hint = f"Its services are {', '.join(there)}." if there else "It has none."
        raise InvalidRequest(
            f"The session '{row.name}' has no service '{name or _USUAL}'.", hint=hint, field="service"
        )
    return there[name]


def _on_running_server(service: Service) -> tuple[str, str]:
    """Return the address of a service on a Jupyter server of this user, and the server's token.

    Errors: NotSupported if none runs here.
    """
    found = next((server for server in servers.running() if not server.sock), None)
    if found is None:
        hint = "`jupyter lab` starts one; then try again."
        raise NotSupported("No Jupyter server of yours runs here to open services with.", hint=hint)
    return address_of(service, found.url), found.token


def token_pages() -> list[Path]:
    """Return the pages with a Jupyter server's token that earlier calls of `browse` have left."""
    return [*Path(jupyter_runtime_dir()).glob(f"{_PAGE}*.html")]


def browse(address: str, token: str) -> bool:
    """Open an address in a browser, and return whether that could be done.

    The token goes by way of a file that only this user can read, as Jupyter's own does: other users see command lines.
    Files of earlier calls are removed.
    """
    if not token:
        return webbrowser.open(address)
    folder = Path(jupyter_runtime_dir())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for earlier in token_pages():
        with suppress(OSError):
            if time.time() - earlier.stat().st_mtime > _PAGE_SECONDS:
                earlier.unlink()
    target = escape(with_token(address, token), quote=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=_PAGE, suffix=".html", delete=False) as file:
        file.write(f"<meta http-equiv='refresh' content='0;url={target}'><a href='{target}'>{target}</a>")
    return webbrowser.open(Path(file.name).as_uri())


VERBS = (
    Verb(
        "services",
        "list, start and stop its services",
        "List what a session serves, or start, stop or restart a service, or show its log.",
        _services_options,
        services,
    ),
    Verb(
        "open",
        "open a service in a browser",
        "Open a service of a session: in a browser from a shell, in a tab from a notebook.",
        _open_options,
        open_service,
    ),
)
