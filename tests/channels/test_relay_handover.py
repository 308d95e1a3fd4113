"""A relay that takes another one's place, before a real kernel that has not answered all that one passed on."""

from __future__ import annotations

from jupyter_client import BlockingKernelClient

from tests.channels.scene import Scene, heard, replied
from tests.waiting import wait_until

ASKS_TWICE = "import time; print(input('a? ')); time.sleep(1); print(input('b? '))"


def follow(scene: Scene) -> None:
    """Another relay takes the place of this one."""
    asked = scene.relay.unanswered({})
    scene.relay.close()
    scene.relay = scene.new_relay(asked)
    scene.relay.open(again=True)


def test_replies_and_input_requests_find_who_asked(scene: Scene) -> None:
    with scene.kernel():
        scene.relay.open()
        with scene.client() as client:
            uid = client.execute(ASKS_TWICE, allow_stdin=True)
            assert client.get_stdin_msg(timeout=30)["content"]["prompt"] == "a? "
            follow(scene)
            client.input("1")
            assert client.get_stdin_msg(timeout=30)["content"]["prompt"] == "b? "
            follow(scene)
            client.input("2")
            assert replied(client, uid)["status"] == "ok"
            wait_until(lambda: not scene.relay.unanswered({}))
            scene.relay.settle()
            assert replied(client, client.execute("1"))["execution_count"] == 2


def is_back(client: BlockingKernelClient) -> bool:
    """Whether it hears what is said on iopub."""
    client.control_channel.send(client.session.msg("kernel_info_request", {}))
    return bool(client.iopub_channel.socket.poll(200))


def test_others_answer_in_the_kernels_place(scene: Scene) -> None:
    with scene.kernel():
        scene.relay.open()
        with scene.client() as client:
            uid = client.execute("import time; print(1); time.sleep(100)")
            heard(client, uid, "stream")
            follow(scene)
            (one,) = scene.relay.unanswered({uid: 7})
            assert (one.id, one.count) == (uid, 7)
            wait_until(lambda: is_back(client))
            content = {"status": "error", "ename": "Lost", "evalue": "", "traceback": []}
            scene.relay.answer(one, content, idle=True)
            assert replied(client, uid) == content
            assert [kind for kind, _ in heard(client, uid, "idle")] == ["error", "status"]
            assert not scene.relay.unanswered({})
