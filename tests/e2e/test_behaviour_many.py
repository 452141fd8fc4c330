"""Many websockets at once: idle, and opened in one burst.

One asyncio loop is all the clients and another, in a process of its own, the origin. They are
slower than the agents, so the times bound those from above.
"""

import asyncio
import contextlib
import resource
import sys
import time

import pytest

from overlays import EMBEDDED
from programs import ANSWER, SANITIZED
from raw_http import HANDSHAKE, SWITCH

IDLE = 200 if SANITIZED else 10_000
BURST = 100 if SANITIZED else 1000
ON_OPENZITI = 1000  # fewer: its stand-in is a small one
AT_ONCE = 100  # handshakes under way while the idle ones are opened

# Before the agents start: each holds a descriptor for each of its websockets.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
needed = pytest.mark.skipif(
    most != resource.RLIM_INFINITY and most < IDLE + 1000,
    reason=f"only {most} descriptors are allowed",
)


async def echo(reader, writer):
    """The origin: a handshake, then every byte comes back."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def serve():
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=4096)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def opened(address):
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HANDSHAKE)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return reader, writer


async def says(websocket, text):
    reader, writer = websocket
    writer.write(text)
    assert await reader.readexactly(len(text)) == text


async def close(websockets):
    for _, writer in websockets:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in websockets))


@pytest.fixture(scope="module")
def echoing(standing, standing_pair):
    """host:port of an access, behind which everything is echoed."""
    alpha, beta = standing_pair
    origin = standing.program(sys.executable, __file__, title="echo")
    beta.share("http://" + origin.wait_line("^listening on (.*)$").group(1), "echo")
    return alpha.access("echo")


def within(seconds, coroutine):
    asyncio.run(asyncio.wait_for(coroutine, seconds))


@needed
def test_63_thousands_of_websockets_stay_open_idle(standing_pair, echoing, overlay):
    count = IDLE if overlay == EMBEDDED else ON_OPENZITI

    async def test():
        gate = asyncio.Semaphore(AT_ONCE)

        async def one():
            async with gate:
                return await opened(echoing)

        before = [agent.memory() for agent in standing_pair]
        websockets = await asyncio.gather(*(one() for _ in range(count)))
        each = max(
            (agent.memory() - then) / count
            for agent, then in zip(standing_pair, before, strict=True)
        )
        if not SANITIZED:
            assert each < 16 * 1024, "bytes of an agent for one of them"
        # One message on each, in another order: each reaches its own other end.
        await asyncio.gather(
            *(says(websocket, b"%05d" % n) for n, websocket in reversed([*enumerate(websockets)]))
        )
        await close(websockets)

    within(2 * ANSWER, test())


@needed
def test_63_a_burst_of_openings_is_served(echoing, overlay):
    count = BURST if overlay == EMBEDDED else ON_OPENZITI

    async def test():
        begun = time.monotonic()
        websockets = await asyncio.gather(*(opened(echoing) for _ in range(count)))
        took = time.monotonic() - begun
        await asyncio.gather(*(says(websocket, b"%05d" % n) for n, websocket in enumerate(websockets)))
        if not SANITIZED:
            assert took < 5, f"{count} openings took {took:.1f} s"
        await close(websockets)

    within(ANSWER, test())


if __name__ == "__main__":
    asyncio.run(serve())
