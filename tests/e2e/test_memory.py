"""What the agents keep for many connections that stand still at once, in either direction.

One such connection, and one transfer at full speed, are looked at in test_behaviour_streaming.py and
test_transfer.py.
"""

import queue
import threading
from contextlib import ExitStack

import pytest

from programs import ANSWER, SANITIZED
from raw_http import OK, Client, message

MIB = 1024 * 1024
STALLED = 32
# By an agent, for each of them: a window and buffers.
KEPT = 2 * MIB
# More than the kernels' buffers and the windows of one connection hold, by far.
TRANSFER = 192 * MIB
BLOCK = b"m" * 65536

pytestmark = pytest.mark.skipif(SANITIZED, reason="memory is not the program's own there")


def resident(agents):
    return [agent.memory() for agent in agents]


def send_until_stalled(connection):
    """How much was taken until nothing more was for a second."""
    sent = 0
    connection.settimeout(1)
    try:
        while sent < TRANSFER:
            sent += connection.send(BLOCK)
    except TimeoutError:
        pass
    connection.settimeout(ANSWER)
    return sent


def within_bounds(pair, before):
    grown = [now - then for then, now in zip(before, resident(pair), strict=True)]
    assert max(grown) <= STALLED * KEPT, [size // MIB for size in grown]


def others_are_served(address, origin):
    with Client(address) as client:
        client.send(message("GET /other HTTP/1.1", "Host: a"))
        assert client.response().body == b"ok"


def test_readers_that_stand_still(standing_pair, access, origin):
    stalled, gate = queue.Queue(), threading.Event()

    def script(request, peer):
        if request.target == "/other":
            peer.send(OK)
            return
        peer.send(message("HTTP/1.1 200 OK", f"Content-Length: {TRANSFER}"))
        stalled.put(send_until_stalled(peer.socket))
        assert gate.wait(ANSWER)
        peer.close()

    origin.script = script
    others_are_served(access, origin)
    before = resident(standing_pair)
    with ExitStack() as clients:
        for _ in range(STALLED):
            client = clients.enter_context(Client(access))
            client.send(message("GET / HTTP/1.1", "Host: a"))
        taken = [stalled.get(timeout=ANSWER) for _ in range(STALLED)]
        assert max(taken) < TRANSFER, "nobody reads, and everything was taken"
        within_bounds(standing_pair, before)
        others_are_served(access, origin)
        gate.set()


def test_uploads_that_nobody_reads(standing_pair, access, origin):
    gate = threading.Event()

    def script(request, peer):
        if request.target == "/other":
            peer.send(OK)
            return
        assert gate.wait(ANSWER)
        peer.close()

    origin.script = script
    others_are_served(access, origin)
    before = resident(standing_pair)
    stalled = queue.Queue()
    with ExitStack() as clients:
        for _ in range(STALLED):
            client = clients.enter_context(Client(access))
            client.send(message("PUT / HTTP/1.1", "Host: a", f"Content-Length: {TRANSFER}"))
            threading.Thread(
                target=lambda connection: stalled.put(send_until_stalled(connection)),
                args=(client.socket,),
                daemon=True,
            ).start()
        taken = [stalled.get(timeout=ANSWER) for _ in range(STALLED)]
        assert max(taken) < TRANSFER, "nobody reads, and everything was taken"
        within_bounds(standing_pair, before)
        others_are_served(access, origin)
        gate.set()
