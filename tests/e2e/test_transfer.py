"""2 GiB through access and share in either direction: every byte, and no memory for it."""

import hashlib
import queue

import pytest

from programs import SANITIZED
from raw_http import OK, message

MIB = 1024 * 1024
SIZE = 2048 * MIB
BLOCK = hashlib.sha256(b"block").digest() * (MIB // 32)
# Windows, buffers and what the allocator keeps of them, for a connection at full speed.
KEPT = 8 * MIB

pytestmark = pytest.mark.skipif(SANITIZED, reason="2 GiB take minutes in a sanitizer build")


def send(wire):
    """The size of the transfer; each block differs from the others by its number in front."""
    for number in range(SIZE // MIB):
        wire.socket.sendall(number.to_bytes(8, "big"))
        wire.socket.sendall(memoryview(BLOCK)[8:])


@pytest.fixture(scope="module")
def sum_of_all():
    total = hashlib.blake2b()
    for number in range(SIZE // MIB):
        total.update(number.to_bytes(8, "big"))
        total.update(memoryview(BLOCK)[8:])
    return total.hexdigest()


def receive(wire):
    """The checksum of so many bytes."""
    total = hashlib.blake2b()
    left = SIZE - len(wire.unread())
    total.update(wire.exactly(len(wire.unread())))
    buffer = memoryview(bytearray(MIB))
    while left:
        count = wire.socket.recv_into(buffer, min(left, MIB))
        assert count, f"{left} bytes are missing"
        total.update(buffer[:count])
        left -= count
    return total.hexdigest()


def peaks(agents):
    return [agent.memory("VmHWM") for agent in agents]


def grown(before, agents):
    return max(now - then for then, now in zip(before, peaks(agents), strict=True))


def test_a_download_of_2_gib(client, origin, standing_pair, sum_of_all):
    client.ask(message("GET /warm HTTP/1.1", "Host: a"))
    before = peaks(standing_pair)

    def script(request, peer):
        peer.send(message("HTTP/1.1 200 OK", f"Content-Length: {SIZE}"))
        send(peer)

    origin.script = script
    client.send(message("GET / HTTP/1.1", "Host: a"))
    assert client.response_head().length == SIZE
    assert receive(client) == sum_of_all
    assert grown(before, standing_pair) <= KEPT


def test_an_upload_of_2_gib(client, origin, standing_pair, sum_of_all):
    client.ask(message("GET /warm HTTP/1.1", "Host: a"))
    before = peaks(standing_pair)
    sums = queue.Queue()

    def script(request, peer):
        sums.put(receive(peer))
        peer.send(OK)

    origin.script = script
    client.send(message("PUT / HTTP/1.1", "Host: a", f"Content-Length: {SIZE}"))
    send(client)
    assert client.response().status == 200
    assert sums.get(timeout=60) == sum_of_all
    assert grown(before, standing_pair) <= KEPT
