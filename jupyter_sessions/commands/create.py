"""The verb `create`: ask for a session or several alike, and wait until they run."""

from __future__ import annotations

import argparse
import asyncio
import os
from argparse import ArgumentParser, Namespace
from typing import Any

import msgspec
from msgspec import structs

from jupyter_sessions.backends.base import Storage
from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.environments import here
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import describe
from jupyter_sessions.commands.job_files import JobFiles, job_files, job_options
from jupyter_sessions.commands.links import base_of
from jupyter_sessions.commands.next_steps import next_steps
from jupyter_sessions.commands.program import program_of, program_options
from jupyter_sessions.commands.progress import Progress
from jupyter_sessions.commands.resources import given_twice, pairs, resources_of
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.secret_options import add_secrets, secret_option
from jupyter_sessions.commands.specs import read_spec
from jupyter_sessions.commands.starting import wait_running
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.durations import parse_duration
from jupyter_sessions.errors import LaunchFailed, SessionError
from jupyter_sessions.model import USABLE, SessionInfo, SessionSpec
from jupyter_sessions.service import create_replicas

SENT_BY_SERVER = "The Jupyter server sends the messages, for as long as it runs."
_MOST_REPLICAS = 512  # As many as clients of Skaha take, 1.7.0.


def create_options(verb: ArgumentParser) -> None:
    """Add the options of `create`."""
    verb.add_argument("image", nargs="?", help="environment or image, for example python")
    verb.add_argument("--image", dest="image_option", metavar="IMAGE", help="the same as an option")
    session_options(verb)
    verb.add_argument("--from", dest="file", metavar="FILE", help="spec to start from, as `spec` prints it")
    command = program_options(verb)
    options.alias(verb, command, "-c")
    job_options(verb)
    verb.add_argument(
        "--replicas", type=_replicas, metavar="N", help="create NAME-1 to NAME-N, numbered in REPLICA_ID"
    )


def session_options(verb: ArgumentParser) -> None:
    """Add the options for a new session's name, place, resources, times and owner, and for the wait until it runs."""
    name = verb.add_argument("--name", "-t", help="name of the session")
    options.alias(verb, name, "--session-name")
    options.backend(verb, "backend to run it on")
    options.amounts(verb)
    verb.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable"
    )
    secret_option(verb)
    verb.add_argument("--cwd", help="working folder (default: the current one)")
    verb.add_argument("--preset", help="preset to start from")
    verb.add_argument("--tag", help="a note for yourself")
    project = verb.add_argument("--project", metavar="NAME", help="project the session belongs to")
    options.alias(verb, project, "-g", "--group")
    domain = verb.add_argument("--domain", metavar="NAME", help="domain the session belongs to")
    options.alias(verb, domain, "-d")
    group = verb.add_argument("--resource-group", metavar="NAME", help="resource group to run it on")
    options.alias(verb, group, "--scaling-group")
    architecture = verb.add_argument("--architecture", metavar="NAME", help="processor architecture it needs")
    options.alias(verb, architecture, "--arch")
    owner = verb.add_argument("--owner", metavar="ACCESS_KEY", help="create it for the user of this key")
    options.alias(verb, owner, "-o", "--owner-access-key")
    _times(verb)
    verb.add_argument("--no-reuse", action="store_true", help="fail if a session of that name is live")
    verb.add_argument("--enqueue-only", action="store_true", help="do not wait until the session runs")
    verb.add_argument(
        "--max-wait", type=options.seconds, default=0, metavar="SECONDS", help="longest wait (0: no limit)"
    )


def _times(verb: ArgumentParser) -> None:
    verb.add_argument(
        "--idle-timeout",
        metavar="TIME",
        help="end the session after this time without use (30m, 2h; 0: never)",
    )
    verb.add_argument(
        "--time-limit", metavar="TIME", help="end the session after this time (4h, 1d; 0: never)"
    )
    verb.add_argument(
        "--notify",
        action="append",
        metavar="TARGET",
        help="tell when it runs after waiting, is about to end, has ended or failed: slack:URL, ntfy:URL, mailto:ADDRESS,"
        " command:COMMAND, or a name of the configuration",
    )
    verb.add_argument("--callback-url", metavar="URL", help="address to post each change of its status to")


def _replicas(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_REPLICAS:
        raise argparse.ArgumentTypeError(f"takes a number from 1 to {_MOST_REPLICAS}, not '{text}'")
    return int(text)


async def create(api: Api, asked: Namespace, face: Face) -> Result:
    """Create one session or several replicas, and wait until they run, saying why they wait."""
    defaults = await api.defaults()
    preset = defaults.presets.get(asked.preset, {}) if asked.preset else {}
    given = await asyncio.to_thread(read_spec, asked.file) if asked.file else {}
    preset = preset | given
    spec = await spec_of(api, asked, preset, **program_of(asked))
    if given:
        spec = _completed(spec, given)
    spec.replicas = asked.replicas or preset.get("replicas", 1)
    await add_secrets(spec, asked, preset.get("secrets", ()), face)
    command = spec.startup_command or preset.get("startup_command")
    job = await job_files(asked, command, spec.backend or preset.get("backend"), defaults, face)
    job = structs.replace(job, wraps=bool(command), replicas=spec.replicas > 1)
    spec.startup_command = job.wrapped(command) or spec.startup_command
    rows, failures = await create_replicas(api, spec) if spec.replicas > 1 else ([await api.create(spec)], [])
    if not rows:
        raise failures[0]
    new = next((row for row in rows if not row.reused), None)
    if new and spec.notify and new.backend not in defaults.notifies:
        face(SENT_BY_SERVER)
    if new and (warning := _lost_files(spec, preset, defaults.storage.get(new.backend))):
        face(warning)
    if spec.replicas > 1:
        await _follow_all(api, rows, failures, asked, face, job)
        return Nothing()
    row = await _follow(api, rows[0], asked, face, face.progress())
    code = await job.exchange(api, row, face)
    return Nothing(code) if code else next_steps(row, base_of(api, face), face)


def _completed(spec: SessionSpec, given: dict[str, Any]) -> SessionSpec:
    """Return a spec in which the fields that the options leave out are those of a file."""
    options_given = msgspec.to_builtins(spec)
    merged = given | options_given
    for name in ("resources", "environ"):
        merged[name] = given.get(name, {}) | options_given.get(name, {})
    return msgspec.convert(merged, SessionSpec)


async def spec_of(api: Api, asked: Namespace, preset: dict[str, Any], **more: Any) -> SessionSpec:
    """Return the session that the options describe; `preset` is what they start from. Errors: InvalidRequest."""
    return SessionSpec(
        backend=asked.backend,
        name=preset.get("name") if asked.name is None else asked.name,
        image=_image(asked),
        preset=asked.preset,
        resources=await resources_of(api, asked, asked.backend or preset.get("backend")),
        environ=pairs(asked.env, "--env"),
        cwd=None if preset.get("cwd") and not asked.cwd else _folder(asked.cwd),
        reuse_if_exists=not asked.no_reuse,
        tag=asked.tag,
        group=asked.project,
        domain=asked.domain,
        resource_group=asked.resource_group,
        architecture=asked.architecture,
        owner_access_key=asked.owner,
        idle_timeout=_span(asked.idle_timeout, "idle-timeout"),
        time_limit=_span(asked.time_limit, "time-limit"),
        callback_url=asked.callback_url,
        notify=asked.notify or preset.get("notify"),
        **more,
    )


def _image(asked: Namespace) -> str | None:
    if asked.image and asked.image_option and asked.image != asked.image_option:
        raise given_twice("image", "image")
    image: str | None = asked.image or asked.image_option
    return here(image) if image else image


def _span(given: str | None, option: str) -> float | None:
    return None if given is None else parse_duration(given, field=option)


def _folder(given: str | None) -> str:
    return os.path.abspath(os.path.expanduser(given or os.getcwd()))


def _lost_files(spec: SessionSpec, preset: dict[str, Any], storage: Storage | None) -> str:
    """Return a warning if all files of the session will be deleted at its end."""
    if storage is None or not storage.needs_mount or spec.mounts or preset.get("mounts"):
        return ""
    return "No folder is mounted: this session's files are deleted when it ends. `--mount NAME` keeps a folder's files."


async def _follow_all(
    api: Api,
    rows: list[SessionInfo],
    failures: list[SessionError],
    asked: Namespace,
    face: Face,
    job: JobFiles,
) -> None:
    """Follow several sessions at once, and report failures as soon as they are known.

    Errors: LaunchFailed if any session failed.
    """

    async def one(row: SessionInfo) -> bool:
        try:
            row = await _follow(api, row, asked, face, Progress(face))
            return await job.exchange(api, row, face) == 0
        except SessionError as error:
            face(plain(str(error)))
            return False

    for failure in failures:
        face(plain(str(failure)))
    failed = len(failures) + (await asyncio.gather(*map(one, rows))).count(False)
    if failed:
        there = len(rows) + len(failures)
        raise LaunchFailed(f"{failed} of {there} sessions failed.", hint="The reasons are above.")


async def _follow(
    api: Api, row: SessionInfo, asked: Namespace, face: Face, progress: Progress
) -> SessionInfo:
    """Report the state of a new session, and wait until the session runs if that is wanted."""
    waits = not asked.enqueue_only and row.status not in USABLE
    if row.reused or not waits:
        places = (await api.defaults()).places
        progress.settle(row, describe(row, places) + (" (reused)" if row.reused else ""), base_of(api, face))
    return await wait_running(api, row, asked.max_wait, face, progress) if waits else row


VERBS = (Verb("create", "create a session", "Create a session.", create_options, create, aliases=("start",)),)
