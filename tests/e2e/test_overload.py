"""1,000 connections that are slow on purpose (slowhttptest), and a client beside them that is not."""

import asyncio
import re
import threading
import time

import pytest

from programs import SANITIZED
from raw_http import Client, message
from third_party import NGINX_READY, start_nginx

pytestmark = pytest.mark.skipif(SANITIZED, reason="times say nothing in a sanitizer build")

CONNECTIONS = 1000
SECONDS = 8
BAR = 0.050  # seconds, of 99 in 100 requests; typical is 1 ms
GET = message("GET /small HTTP/1.1", "Host: a")
MODES = {
    "slow-header": ["-H"],
    "slow-body": ["-B", "-s", "8192"],
    "slow-read": ["-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32"],
}


class BodyOrigin:
    """Reads the bodies of thousands of connections on one thread, and answers behind each."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.server = asyncio.run_coroutine_threadsafe(start, self.loop).result()
        self.url = "http://127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                await reader.readexactly(int(found.group(1)) if found else 0)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture(scope="module")
def bodies():
    origin = BodyOrigin()
    yield origin.url
    origin.close()


@pytest.fixture(scope="module")
def files(standing, tmp_path_factory):
    """nginx with a file that is large, and one that is small."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "big").write_bytes(b"x" * (1024 * 1024))
    (folder / "small").write_bytes(b"ok")
    server = f"server {{ listen unix:{folder}/nginx.sock backlog=4096; root {folder}; }}"
    start_nginx(standing, folder, server, connections=8192).wait_line(NGINX_READY)
    return f"unix:{folder}/nginx.sock"


@pytest.mark.parametrize("mode", MODES)
def test_slow_clients_do_not_slow_down_others(standing_pair, programs, files, bodies, mode):
    alpha, beta = standing_pair
    beta.share(bodies if mode == "slow-body" else files, mode)
    address = alpha.access(mode)
    attack = programs.program(
        *("slowhttptest", *MODES[mode], "-u", f"http://{address}/big", "-c", CONNECTIONS),
        *("-r", 500, "-l", SECONDS, "-i", 2, "-p", 5, "-v", 0),
        title=mode,
    )
    times = []
    with Client(address) as client:
        while attack.process.poll() is None:
            begun = time.monotonic()
            assert client.ask(GET).body == b"ok"
            times.append(time.monotonic() - begun)
            begun = time.monotonic()
            with Client(address) as fresh:
                assert fresh.ask(GET).body == b"ok"
                times.append(time.monotonic() - begun)
    counters = alpha.tunnel(f"{mode}-access")["status"]["counters"]
    assert int(counters["connections"]) - len(times) // 2 >= CONNECTIONS, "the attack did not come"
    assert len(times) >= 100
    times.sort()
    assert times[len(times) * 99 // 100] < BAR, times[-len(times) // 50 :]
    alpha.ctl("delete", f"{mode}-access", "--drain", "1s").ok()
    beta.ctl("delete", mode, "--drain", "1s").ok()
