"""Libraries that programs use: Python's `websockets` and `aiohttp`, Node's `ws`. Each as the client of
a path to our recording origin or to another library's server."""

import asyncio
import hashlib
import json
import threading
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
import websockets.asyncio.client
import websockets.asyncio.server
from aiohttp import web

from programs import ANSWER
from raw_http import CHUNKED, may_be_cut, message, reply
from third_party import NODE, debian_version, run

HERE = Path(__file__).parent
PIECE = b"0123456789abcdef" * 4096
LARGE = "x" * (3 * 1024 * 1024)
# Deflate makes 3 KiB of LARGE; whoever does not compress needs all of it.
COMPRESSED = 64 * 1024


class Servers:
    """Runs servers of both libraries on a loop of its own, in a thread."""

    def __init__(self):
        self.aiohttp_compressed = []
        self._endings = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(ANSWER)

    async def websockets_echo(self):
        async def echo(connection):
            async for text in connection:
                await connection.send(text)

        server = await websockets.asyncio.server.serve(echo, "127.0.0.1", 0, max_size=None)

        async def end():
            server.close()
            await server.wait_closed()

        self._endings.append(end)
        return "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]

    async def aiohttp_server(self):
        async def echo(request):
            socket = web.WebSocketResponse(max_msg_size=0)
            await socket.prepare(request)
            self.aiohttp_compressed.append(bool(socket.compress))
            async for said in socket:
                await socket.send_str(said.data)
            return socket

        async def hashed(request):
            total = hashlib.sha256()
            async for part in request.content.iter_any():
                total.update(part)
            return web.Response(text=total.hexdigest())

        async def stream(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(64):
                await response.write(PIECE)
            return response

        app = web.Application(client_max_size=2**30)
        app.add_routes([web.get("/echo", echo), web.put("/", hashed), web.get("/", stream)])
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        self._endings.append(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return "http://127.0.0.1:%d" % runner.addresses[0][1]

    def end(self):
        for ending in self._endings:
            self.run(ending())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(ANSWER)


@pytest.fixture(scope="module")
def servers():
    running = Servers()
    yield running
    running.end()


@pytest.fixture(scope="module")
def node_server(standing):
    return standing.program("node", HERE / "echo_server.js", title="node ws", env=NODE)


@pytest.fixture(scope="module")
def shared(standing_pair, servers, node_server):
    """host:port of accesses to a server of each library."""
    alpha, beta = standing_pair
    port = node_server.wait_line(r"listening on (\d+)").group(1)
    targets = {
        "websockets": servers.run(servers.websockets_echo()),
        "aiohttp": servers.run(servers.aiohttp_server()),
        "node-ws": f"http://127.0.0.1:{port}",
    }
    for name, target in targets.items():
        beta.share(target, name)
    return {name: alpha.access(name) for name in targets}


@pytest.fixture(autouse=True)
def its_version(request, peer_version):
    library = request.node.get_closest_marker("matrix").args[1]
    peer_version(debian_version("node-ws") if library == "ws (Node)" else version(library))


def row(side, library, what):
    return pytest.mark.matrix(side, library, what)


@row("client", "websockets", "compressed messages of 3 MiB, and a close in order")
def test_websockets_talks_to_websockets(shared):
    async def talk():
        async with websockets.asyncio.client.connect(
            f"ws://{shared['websockets']}/", max_size=None
        ) as connection:
            assert any("permessage-deflate" in str(each.name) for each in connection.protocol.extensions)
            for text in ("hi", LARGE, ""):
                await connection.send(text)
                assert await connection.recv() == text
            await connection.ping()
        assert connection.close_code == 1000

    asyncio.run(asyncio.wait_for(talk(), ANSWER))


@row("target", "aiohttp", "a websocket of another library's client")
def test_websockets_talks_to_aiohttp(shared):
    async def talk():
        url = f"ws://{shared['aiohttp']}/echo"
        async with websockets.asyncio.client.connect(url, max_size=None) as connection:
            await connection.send(LARGE)
            assert await connection.recv() == LARGE

    asyncio.run(asyncio.wait_for(talk(), ANSWER))


@row("target", "websockets", "a websocket of another library's client")
def test_aiohttp_talks_to_websockets(shared):
    async def talk():
        async with aiohttp.ClientSession() as session:
            url = f"http://{shared['websockets']}/"
            async with session.ws_connect(url, max_msg_size=0, compress=15) as connection:
                await connection.send_str(LARGE)
                assert (await connection.receive(ANSWER)).data == LARGE
            assert connection.close_code == 1000

    asyncio.run(asyncio.wait_for(talk(), ANSWER))


@row("target", "ws (Node)", "a websocket of another library's client")
def test_websockets_talks_to_node(shared, node_server):
    async def talk():
        url = f"ws://{shared['node-ws']}/"
        async with websockets.asyncio.client.connect(url, max_size=None) as connection:
            for said in (LARGE, LARGE.encode(), ""):
                await connection.send(said)
                assert await connection.recv() == said
            await connection.close(4001, "enough")
            assert connection.close_code == 4001

    asyncio.run(asyncio.wait_for(talk(), ANSWER))
    node_server.wait_line("closed 4001")


@row("client", "aiohttp", "permessage-deflate, agreed with Node's ws, not with the agents")
def test_aiohttp_compresses_for_node(shared):
    async def talk():
        async with aiohttp.ClientSession() as session:
            url = f"http://{shared['node-ws']}/"
            async with session.ws_connect(url, max_msg_size=0, compress=15) as connection:
                assert connection.compress == 15
                await connection.send_str(LARGE)
                assert (await connection.receive(ANSWER)).data == LARGE
                await connection.send_str("wire")
                return await connection.receive_json(timeout=ANSWER)

    wire = asyncio.run(asyncio.wait_for(talk(), ANSWER))
    assert "permessage-deflate" in wire["extensions"]
    assert wire["bytesRead"] < COMPRESSED


@row("client", "ws (Node)", "permessage-deflate, agreed with aiohttp, not with the agents")
def test_node_compresses_for_aiohttp(shared, servers):
    url = f"ws://{shared['aiohttp']}/echo"
    said = json.loads(run("node", HERE / "deflate.js", url, len(LARGE), env=NODE).stdout)
    assert said["same"]
    assert "permessage-deflate" in said["extensions"]
    assert max(said["bytesRead"], said["bytesWritten"]) < COMPRESSED
    assert servers.aiohttp_compressed[-1]


@row("client", "aiohttp", "an upload that streams: each part arrives before the next is sent")
def test_aiohttp_streams_an_upload(access, origin):
    async def body():
        yield b"first "
        await asyncio.to_thread(lambda: origin.wait(1)[0].wait_body(6))
        yield b"second"

    async def upload():
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://{access}/", data=body()) as answer:
                assert (answer.status, await answer.read()) == (200, b"ok")

    asyncio.run(asyncio.wait_for(upload(), ANSWER))
    assert origin.one().body == b"first second"


@row("client", "aiohttp", "a download that streams: each part is read before the next is sent")
def test_aiohttp_streams_a_download(access, origin):
    gate = threading.Event()
    origin.script = reply(CHUNKED, b"5\r\nfirst\r\n", gate, b"6\r\nsecond\r\n0\r\n\r\n")

    async def download():
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{access}/") as answer:
                assert await answer.content.readany() == b"first"
                gate.set()
                assert await answer.content.read() == b"second"

    asyncio.run(asyncio.wait_for(download(), ANSWER))


@row("client", "aiohttp", "an upload of 64 MiB and a download, whole; one connection")
def test_aiohttp_talks_to_aiohttp(shared):
    async def body():
        for _ in range(1024):
            yield PIECE

    async def both():
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://{shared['aiohttp']}/", data=body()) as answer:
                assert await answer.text() == hashlib.sha256(PIECE * 1024).hexdigest()
            async with session.get(f"http://{shared['aiohttp']}/") as answer:
                assert await answer.read() == PIECE * 64

    asyncio.run(asyncio.wait_for(both(), ANSWER))


@row("client", "aiohttp", "a response that is cut is an error")
def test_aiohttp_sees_a_cut_response(access, origin):
    origin.script = may_be_cut(reply(message("HTTP/1.1 200 OK", "Content-Length: 9"), b"part", "FIN"))

    async def download():
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{access}/") as answer:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()

    asyncio.run(asyncio.wait_for(download(), ANSWER))


@row("client", "ws (Node)", "a message there and back, and a close in order")
def test_node_talks_to_websockets(shared, node_echo):
    assert node_echo(f"ws://{shared['websockets']}/", "from node") == "from node"
