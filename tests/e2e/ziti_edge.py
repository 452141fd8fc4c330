"""edge_client.py as an end of the tests: its own loop in a thread, plain calls from outside."""

import asyncio
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support" / "ziti"))

import edge_client  # noqa: E402
import edge_rest  # noqa: E402
from edge_client import EdgeError  # noqa: E402,F401

WAIT = 60


class Loop:
    """An event loop that runs in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work, timeout=WAIT):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self):
        async def stop():
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT)
        self.loop.close()


class Stream:
    """One overlay connection, as the tests use every kind of connection."""

    def __init__(self, loop, conn):
        self._loop, self.conn = loop, conn
        self._ahead = bytearray()  # received, but not yet asked for

    def send(self, data):
        self._loop.run(self.conn.send(data))

    def finish(self):
        """No more from here; the other direction stays."""
        self._loop.run(self.conn.end())

    def receive(self, timeout=WAIT):
        """The next piece, b"" at the end."""

        if self._ahead:
            got, self._ahead = bytes(self._ahead), bytearray()
            return got

        async def piece():
            return await asyncio.wait_for(self.conn.recv(), timeout)

        return self._loop.run(piece(), timeout + 1)

    def read(self, size):
        """That many bytes, or fewer at the end."""

        async def collect():
            while len(self._ahead) < size and (piece := await self.conn.recv()):
                self._ahead += piece

        self._loop.run(collect())
        got, self._ahead = bytes(self._ahead[:size]), self._ahead[size:]
        return got

    def rest(self):
        """Everything up to the end."""
        got, self._ahead = bytes(self._ahead), bytearray()
        return got + self._loop.run(self.conn.read_all())

    def close(self):
        self._loop.run(self.conn.close())

    abort = close  # StateClosed without FIN is all there is


class Peer:
    """An identity on the network: one login, one channel, a session for each service."""

    def __init__(self, loop, identity):
        self._loop = loop
        self.controller = edge_rest.Controller(edge_rest.Identity(str(identity.path)))
        self.channels, self._sessions = [], {}
        self.login = self.controller.login()

    def session(self, service, kind):
        key = service.id, kind
        if key not in self._sessions:
            self._sessions[key] = self.controller.create_session(service.id, kind)
        return self._sessions[key]

    def open(self, token=None, **options):
        """A channel to the first router."""
        rows = self.controller.call("GET", "/current-identity/edge-routers?limit=100")
        routers = [row["supportedProtocols"]["tls"] for row in rows if row["isOnline"]]
        at = urlsplit(routers[0])
        token = token or self.controller.token
        work = edge_client.Channel.open(self.controller.identity, token, at.hostname, at.port, **options)
        self.channels.append(self._loop.run(work))
        return self.channels[-1]

    @property
    def channel(self):
        alive = [channel for channel in self.channels if not channel.closed.is_set()]
        return alive[0] if alive else self.open()

    def dial(self, service, token=None, **options):
        encrypted = self.controller.service(service.name)["encryptionRequired"]
        token = token or self.session(service, "Dial")["token"]
        return Stream(self._loop, self._loop.run(edge_client.dial(self.channel, token, encrypted, **options)))

    def dial_as(self, service, encrypted, **options):
        """Dials as if the service were of that kind."""
        token = self.session(service, "Dial")["token"]
        return Stream(self._loop, self._loop.run(edge_client.dial(self.channel, token, encrypted, **options)))

    def bind(self, service, token=None, **options):
        encrypted = self.controller.service(service.name)["encryptionRequired"]
        token = token or self.session(service, "Bind")["token"]
        return Listener(self._loop, self._loop.run(edge_client.bind(self.channel, token, encrypted, **options)))

    def closed(self, channel, timeout=WAIT):
        """Waits until the router closes the channel."""

        async def wait():
            await asyncio.wait_for(channel.closed.wait(), timeout)

        self._loop.run(wait(), timeout + 1)

    def close(self):
        for channel in self.channels:
            if not channel.closed.is_set():
                self._loop.run(channel.close())
        self.controller.call("DELETE", "/current-api-session")


class Listener:
    def __init__(self, loop, listener):
        self._loop, self.listener = loop, listener

    def incoming(self, timeout=WAIT):
        async def wait():
            return await asyncio.wait_for(self.listener.accept(), timeout)

        return self._loop.run(wait(), timeout + 1)

    def accept(self, timeout=WAIT):
        return Stream(self._loop, self._loop.run(self.incoming(timeout).accept()))

    def reject(self, text):
        self._loop.run(self.incoming().reject(text))

    def serve(self, handler):
        """Runs handler(conn) for every connection to come, on the loop."""

        async def one(incoming):
            conn = await incoming.accept()
            try:
                await handler(conn)
            finally:
                await conn.close()

        async def all_of_them():
            while True:
                asyncio.get_running_loop().create_task(one(await self.listener.accept()))

        asyncio.run_coroutine_threadsafe(all_of_them(), self._loop.loop)

    def echo(self):
        async def back(conn):
            while piece := await conn.recv():
                await conn.send(piece)
            await conn.end()

        self.serve(back)

    def close(self):
        self._loop.run(self.listener.close())
