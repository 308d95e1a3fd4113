"""What people are told of, once, and by every kind of target."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime, timedelta
from email import message_from_string
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from jupyter_sessions.errors import InvalidRequest, SessionError
from jupyter_sessions.wire import message_targets
from jupyter_sessions.wire import notifier as module
from jupyter_sessions.wire.message_targets import SessionMessage, deliver, parse_target
from jupyter_sessions.wire.notifier import Notifier, SessionState
from tests.backends.certificates import Issued
from tests.receivers import mail_server, webhook
from tests.waiting import until

FAILED = SessionMessage(
    event="failed", session="träin", title="träin has failed: exit status 1.", text="more"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.05)
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))


def state(status: str = "RUNNING", name: str = "train", **fields: object) -> SessionState:
    return structs.replace(SessionState(name=name, status=status, created=datetime.now(UTC)), **fields)


@pytest.mark.asyncio
async def test_each_kind_of_target(tmp_path: Path) -> None:
    async with webhook() as hook:
        await deliver(f"slack:{hook.url}/services/T/B/x", FAILED)
        await deliver(f"ntfy:{hook.url}/topic", FAILED)
        slack, ntfy = await hook.until(2)
        assert json.loads(slack) == {"text": "träin has failed: exit status 1.\nmore"}
        assert (ntfy, hook.headers[1]["Priority"]) == ("träin has failed: exit status 1.\nmore", "high")
    async with mail_server() as mail:
        await deliver("mailto:me@example.org", FAILED, mail.url)
        (sent,) = await mail.until(1)
        message = message_from_string(sent)
        assert message["To"] == "me@example.org" and message["From"]
        assert "tr=C3=A4in" in sent or "träin" in str(message.get_payload(decode=True), "utf-8")
    file = tmp_path / "told"
    await deliver(f'command:printf "%s|%s" "$JUPYTER_SESSION_EVENT" "$JUPYTER_SESSION_NAME" > {file}', FAILED)
    assert file.read_text() == "failed|träin"
    with pytest.raises(SessionError, match="exit status 3"):
        await deliver("command:exit 3", FAILED)


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_the_password_goes_only_to_a_mail_server_with_a_valid_certificate(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Issued("authority", kind="authority")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(Issued("server", authority, kind="server").write(tmp_path / "server.pem"))
    async with mail_server(scheme, tls) as mail:
        address = mail.url.replace("://", "://me:password@")
        with pytest.raises(ssl.SSLCertVerificationError):
            await deliver("mailto:me@example.org", FAILED, address)
        assert (mail.logins, mail.bodies) == (0, [])
        (tmp_path / "authority.pem").write_bytes(authority.pem())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        await deliver("mailto:me@example.org", FAILED, address)
        assert (mail.logins, len(await mail.until(1))) == (1, 1)


@pytest.mark.asyncio
async def test_a_command_that_takes_too_long_leaves_no_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_targets, "_COMMAND_SECONDS", 1.0)
    with pytest.raises(TimeoutError):
        await deliver(f"command:sleep 300 & echo $! > {tmp_path}/pid; wait", FAILED)
    child = int((tmp_path / "pid").read_text())
    await until(
        lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE, 5
    )


@pytest.mark.asyncio
async def test_a_subject_is_one_line() -> None:
    async with mail_server() as mail:
        message = structs.replace(FAILED, title="train has failed: no such file\nBcc: you@example.org")
        await deliver("mailto:me@example.org", message, mail.url)
        (sent,) = await mail.until(1)
        header = message_from_string(sent)
        assert header["Subject"] == "train has failed: no such file Bcc: you@example.org"
        assert header["Bcc"] is None


def test_targets_are_told_apart() -> None:
    assert parse_target("https://hooks.slack.com/services/x") == (
        "slack",
        "https://hooks.slack.com/services/x",
    )
    assert parse_target("https://ntfy.sh/topic") == ("ntfy", "https://ntfy.sh/topic")
    for wrong in (
        "slack:topic",
        "https://[foo",
        "slack:https://[foo",
        "slack:https://example.org/a b",
        "ntfy:https:///topic",
        "ntfy:https://ntfy.sh:99999/topic",
        "https://ntfy.sh:https/topic",
        "mailto:me",
        "https://example.org/x",
        "command:",
        "fax:1",
        "",
        "mailto:a@b\nBcc: c@d",
    ):
        with pytest.raises(InvalidRequest) as caught:
            parse_target(wrong)
        assert caught.value.field == "notify" and "mailto:ADDRESS" in caught.value.hint


@pytest.mark.asyncio
async def test_what_is_told_and_what_is_not() -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=3)
    async with webhook() as hook:
        notifier = Notifier()
        for name, created in (("waited", long_ago), ("at-once", datetime.now(UTC))):
            notifier.follow(name, [f"ntfy:{hook.url}/t"], state("PENDING", name, created=created))
            notifier.see(name, state("PREPARING", name, created=created))
            notifier.see(name, state("RUNNING", name, created=created))
        assert await hook.until(1) == ["waited is running after 3 min in the queue."]
        notifier.see("waited", state("RESTARTING", "waited", created=long_ago))
        notifier.see("waited", state("RUNNING", "waited", created=long_ago))  # Told once.
        notifier.see("waited", state(name="waited", ends="in 10 min (its time limit)"))
        notifier.see("at-once", state("TERMINATED", "at-once", info="user-requested", exit_code=-15))
        notifier.see("waited", state("ERROR", "waited", info="failed-to-start: no such file"))
        notifier.see("waited", state("TERMINATED", "waited"))
        notifier.see("unknown", state("TERMINATED"))
        assert sorted((await hook.until(4))[1:]) == [
            "at-once has ended (on request).",
            "waited ends in 10 min (its time limit).",
            "waited has failed: failed-to-start: no such file.",
        ]
        await asyncio.sleep(0.2)
        assert len(hook.bodies) == 4 and not notifier.follows("waited")
        await notifier.close()


@pytest.mark.asyncio
async def test_a_group_is_told_of_in_one_message_when_all_are_over() -> None:
    async with webhook() as hook:
        notifier = Notifier()
        names = [f"train-{number}" for number in (1, 2, 3)]
        for name in names:
            notifier.follow(name, [f"slack:{hook.url}/t"], state(name=name, group="train"))
        notifier.see(
            "train-2",
            state(
                "TERMINATED",
                "train-2",
                group="train",
                result="FAILURE",
                exit_code=1,
                info="task-failed: exit status 1",
            ),
        )
        notifier.see("train-1", state("TERMINATED", "train-1", group="train", result="SUCCESS", exit_code=0))
        await asyncio.sleep(0.2)
        assert hook.bodies == []
        notifier.see("train-3", state("TERMINATED", "train-3", group="train", result="SUCCESS", exit_code=0))
        (told,) = await hook.until(1)
        assert json.loads(told)["text"] == (
            "train: 1 failed, 2 ended.\ntrain-2 has failed: task-failed: exit status 1."
        )
        await notifier.close()


@pytest.mark.asyncio
async def test_it_is_tried_again_and_the_log_holds_no_address(caplog: pytest.LogCaptureFixture) -> None:
    async with webhook() as hook:
        notifier = Notifier()
        hook.refuse = 2
        notifier.follow("a", [f"ntfy:{hook.url}/very-secret"], state())
        notifier.see("a", state("TERMINATED"))
        assert await hook.until(1) == ["train has ended."]
        hook.refuse = 3
        notifier.follow("a", [f"ntfy:{hook.url}/very-secret"], state())
        notifier.see("a", state("TERMINATED"))
        await until(lambda: caplog.records)
        assert "ntfy" in caplog.text and "503" in caplog.text and "very-secret" not in caplog.text
        await notifier.close()


@pytest.mark.asyncio
async def test_the_log_holds_no_address_that_aiohttp_refuses(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier()
    notifier.follow("a", [f"slack:https://ä{'a' * 70}/very-secret"], state())
    notifier.see("a", state("TERMINATED"))
    await until(lambda: caplog.records)
    assert "slack" in caplog.text and "InvalidUrl" in caplog.text and "very-secret" not in caplog.text
    await notifier.close()
