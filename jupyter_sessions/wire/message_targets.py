"""Where messages about sessions go: a command, a Slack or ntfy webhook, or an e-mail address.

Sources: Slack's incoming webhooks, ntfy's "Publish as text".
"""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import smtplib
import socket
import ssl
import sys
from contextlib import suppress
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import msgspec

from jupyter_sessions.errors import InvalidRequest, SessionError

SLACK, NTFY, MAIL, COMMAND = "slack", "ntfy", "mailto", "command"
_KNOWN_HOSTS = {"hooks.slack.com": SLACK, "ntfy.sh": NTFY}
_SECONDS = 20.0
_COMMAND_SECONDS = 60.0
_HINT = "Use slack:URL, ntfy:URL, mailto:ADDRESS or command:COMMAND."
SMTP_SERVER = "smtp://localhost:25"


class SessionMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message: the `event` ("started", "ending", "ended" or "failed"), a line, and further lines, if any."""

    event: str
    session: str
    title: str
    text: str = ""


def parse_target(given: str) -> tuple[str, str]:
    """Return the kind and the address of a target. Errors: InvalidRequest."""
    kind, _, address = given.partition(":")
    if kind in ("http", "https"):
        kind, address = _KNOWN_HOSTS.get(http_host(given), ""), given
    if kind in (SLACK, NTFY) and not http_host(address):
        raise InvalidRequest(f"The address of {kind} is no URL.", hint=_HINT, field="notify")
    if kind == MAIL and ("@" not in address or any(character.isspace() for character in address)):
        raise InvalidRequest(f"'{address}' is no e-mail address.", hint=_HINT, field="notify")
    if kind not in (SLACK, NTFY, MAIL, COMMAND) or not address.strip():
        raise InvalidRequest("A target of notifications has no known kind.", hint=_HINT, field="notify")
    return kind, address


def http_host(url: str) -> str:
    """Return the host of a valid HTTP URL, "" for anything else."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        return ""
    valid = valid and url.isprintable() and not any(character.isspace() for character in url)
    return (parts.hostname or "") if valid else ""


async def deliver(target: str, message: SessionMessage, smtp: str = SMTP_SERVER) -> None:
    """Deliver a message once.

    Errors: SessionError, whose text holds no secret; OSError, TimeoutError, aiohttp.ClientError, smtplib.SMTPException.
    """
    kind, address = parse_target(target)
    async with asyncio.timeout(_COMMAND_SECONDS if kind == COMMAND else _SECONDS):
        if kind == COMMAND:
            await _run(address, message)
        elif kind == MAIL:
            await asyncio.to_thread(_mail, address, message, smtp or SMTP_SERVER)
        else:
            await _post(kind, address, message)


async def _post(kind: str, url: str, message: SessionMessage) -> None:
    import aiohttp

    whole = "\n".join(filter(None, (message.title, message.text)))
    if kind == SLACK:
        content, headers = msgspec.json.encode({"text": whole}), {"Content-Type": "application/json"}
    else:
        content = whole.encode()
        headers = {
            "Title": "Compute sessions",
            "Priority": "high" if message.event == "failed" else "default",
        }
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.post(url, data=content, headers=headers, allow_redirects=False) as answer,
    ):
        if answer.status >= 300:
            raise SessionError(f"the server answered {answer.status}")


def _mail(address: str, message: SessionMessage, server: str) -> None:
    parts = urlsplit(server)
    mail = EmailMessage()
    mail["Subject"], mail["To"] = " ".join(message.title.split()), address
    mail["From"] = f"{getpass.getuser()}@{socket.getfqdn()}"
    mail.set_content("\n".join(filter(None, (message.title, message.text))))
    host, port = parts.hostname or "localhost", parts.port or 0
    context = ssl.create_default_context()  # smtplib's own does not check certificates.
    with (
        smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=context)
        if parts.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=_SECONDS)
    ) as client:
        if parts.username:
            if parts.scheme != "smtps":
                client.starttls(context=context)
            client.login(unquote(parts.username), unquote(parts.password or ""))
        client.send_message(mail)


async def _run(command: str, message: SessionMessage) -> None:
    variables = {
        "JUPYTER_SESSION_EVENT": message.event,
        "JUPYTER_SESSION_NAME": message.session,
        "JUPYTER_SESSION_MESSAGE": "\n".join(filter(None, (message.title, message.text))),
    }
    process = await asyncio.create_subprocess_shell(
        command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | variables,
        start_new_session=True,
    )
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        _kill(process)
        await process.wait()
        raise
    if code:
        raise SessionError(f"the command ended with exit status {code}")


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a shell and all that it has started."""
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
