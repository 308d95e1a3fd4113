"""Who answers front ends while there is no kernel, with real clients, and with a real kernel in the end."""

from __future__ import annotations

import time
from queue import Empty

import pytest
from jupyter_client import BlockingKernelClient

from jupyter_sessions.channels import placeholder_kernel
from tests.channels.scene import INFO, WAITS, Scene, heard, replied
from tests.waiting import wait_until


def test_it_answers_what_needs_no_kernel(scene: Scene) -> None:
    scene.relay.stand_in(INFO, WAITS)
    with scene.client() as client:
        client.hb_channel.unpause()
        assert replied(client, client.kernel_info()) == INFO
        assert replied(client, client.complete("pri"))["matches"] == []
        assert replied(client, client.inspect("print"))["found"] is False
        assert replied(client, client.history())["history"] == []
        assert replied(client, client.is_complete("x ="))["status"] == "unknown"
        assert replied(client, client.comm_info())["comms"] == {}
        time.sleep(1.2)  # A beat of the client's heart.
        assert client.hb_channel.is_beating()
    assert scene.told == []


def test_a_cell_shows_the_reason_and_runs_in_the_kernel_that_comes(scene: Scene) -> None:
    scene.relay.stand_in(INFO, WAITS)
    with scene.client() as one, scene.client() as two:
        first = one.execute("x = input('name? ')", allow_stdin=True)
        assert heard(one, first, "stream")[-1][1] == {"name": "stdout", "text": f"{WAITS}\n"}
        scene.relay.say("It is 2nd in the queue.")
        assert [kind for kind, _ in heard(one, first, "stream")] == ["clear_output", "stream"]
        second = two.execute("print(x * 2)")
        assert heard(two, second, "stream")[-1][1]["text"] == "It is 2nd in the queue.\n"
        assert heard(one, one.kernel_info(), "idle")
        assert heard(one, first, "busy")  # What runs is not over because something else was answered.
        scene.relay.say("")
        early = two.kernel_info()  # The kernel that is being started answers this itself.
        with scene.kernel():
            scene.relay.lead()
            assert heard(one, first, "clear_output")[-1][1] == {"wait": False}
            assert one.get_stdin_msg(timeout=30)["content"]["prompt"] == "name? "
            one.input("eva")
            assert replied(one, first)["status"] == "ok"
            kinds = [kind for kind, content in heard(two, second, "idle") if kind != "status"]
            assert kinds == ["clear_output", "execute_input", "stream"]
            assert replied(two, second)["status"] == "ok"
            assert replied(two, early)["implementation"] == "ipython"
            assert replied(one, one.is_complete("x"))["status"] == "complete"


def test_many_queued_lose_no_output(scene: Scene) -> None:
    scene.relay.stand_in(INFO, WAITS)
    with scene.client() as client:
        asked = [client.execute(f"print({number})") for number in range(50)]
        with scene.kernel():
            scene.relay.lead()
            for number, uid in enumerate(asked):
                texts = [content["text"] for kind, content in heard(client, uid, "idle") if kind == "stream"]
                assert "".join(texts).removeprefix(f"{WAITS}\n") == f"{number}\n"


def test_an_interrupt_and_a_restart_refuse_what_is_queued(scene: Scene) -> None:
    scene.relay.stand_in(INFO, WAITS)
    with scene.client() as visitor, scene.client(owner=True) as owner:
        for ask in (interrupt, lambda client: client.shutdown(restart=True)):
            uid = owner.execute("1")
            heard(owner, uid, "stream")
            ask(owner)
            assert owner.get_control_msg(timeout=20)["content"]["status"] == "ok"
            assert heard(owner, uid, "idle")[-2][1]["ename"] == "KeyboardInterrupt"
            assert replied(owner, uid)["status"] == "error"
        interrupt(visitor)
        visitor.shutdown()
        owner.shutdown()
        told = [("interrupt", True), ("interrupt", False), ("shutdown", False), ("shutdown", True)]
        wait_until(lambda: sorted(scene.told) == sorted(told))


def interrupt(client: BlockingKernelClient) -> None:
    client.control_channel.send(client.session.msg("interrupt_request", {}))


def test_the_session_ends_while_it_waits(scene: Scene) -> None:
    scene.relay.stand_in(INFO, WAITS)
    with scene.client() as client:
        uid = client.execute("1")
        heard(client, uid, "stream")
        scene.relay.end("It was cancelled.", {})
        assert ("error", "It was cancelled.") in [
            (kind, content.get("evalue")) for kind, content in heard(client, uid, "idle")
        ]
        assert replied(client, uid)["evalue"] == "It was cancelled."
        assert client.get_iopub_msg(timeout=20)["content"] == {"execution_state": "dead"}


def test_the_session_ends_while_code_runs(scene: Scene) -> None:
    with scene.kernel() as process:
        scene.relay.open()
        with scene.client() as client, scene.client() as other:
            uid = client.execute("import time; time.sleep(100)")
            count = heard(client, uid, "execute_input")[-1][1]["execution_count"]
            behind = other.execute("2")
            time.sleep(0.1)
            process.kill()
            process.wait()
            scene.relay.end("Out of memory.", {uid: count})
            assert [kind for kind, _ in heard(client, uid, "idle")] == ["error", "status"]
            reply = replied(client, uid)
            assert (reply["status"], reply["evalue"], reply["execution_count"]) == (
                "error",
                "Out of memory.",
                1,
            )
            assert replied(other, behind)["evalue"] == "Out of memory."
            for each in (client, other):
                while each.get_iopub_msg(timeout=20)["content"].get("execution_state") != "dead":
                    pass


def test_there_is_a_bound(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placeholder_kernel, "MOST_QUEUED", 2)
    scene.relay.stand_in(INFO, WAITS)
    with scene.client() as client:
        _, _, third = [client.execute("1") for _ in range(3)]
        assert replied(client, third)["ename"] == "QueueFull"


def test_what_the_key_did_not_sign_is_dropped(scene: Scene) -> None:
    scene.relay.stand_in(INFO, WAITS)
    with scene.client(owner=True) as client:
        key, client.session.key = client.session.key, b"another"
        client.shutdown()
        client.execute("1")
        client.session.key = key
        assert replied(client, client.kernel_info()) == INFO
        with pytest.raises(Empty):
            client.get_shell_msg(timeout=0.2)
    assert scene.told == []


BAD = pytest.mark.parametrize("content", [b"[]", b'{"cursor_pos": {}}', b'"text"', b"null", b"[" * 50_000])


@BAD
def test_a_signed_message_that_no_kernel_would_understand_ends_nothing(scene: Scene, content: bytes) -> None:
    scene.relay.stand_in(INFO, WAITS)
    with scene.client(owner=True) as client:
        for kind in ("complete_request", "execute_request", "shutdown_request"):
            message = client.session.msg(kind, content)
            client.shell_channel.send(message)
            client.control_channel.send(message)
        assert replied(client, client.kernel_info()) == INFO
        scene.relay.say("Another reason.")
        assert replied(client, client.kernel_info()) == INFO


def test_nor_does_it_with_a_kernel(scene: Scene) -> None:
    with scene.kernel():
        scene.relay.open()
        with scene.client(owner=True) as client:
            for content in BAD.args[1]:
                client.control_channel.send(client.session.msg("shutdown_request", content))
            client.shutdown(restart=True)
            while client.get_control_msg(timeout=20)["content"] != {"status": "ok", "restart": True}:
                pass
    assert scene.told == [("shutdown", True)]  # By the one whose other words mean nothing.


def test_orders_to_nobody_do_not_wait(scene: Scene) -> None:
    """Else all sessions of a manager would, in whose loop they are given."""
    scene.relay.stand_in(INFO, WAITS)
    scene.relay.end("over", {})
    began = time.monotonic()
    for _ in range(5000):
        scene.relay.say("Another reason.")
    assert time.monotonic() - began < 10
