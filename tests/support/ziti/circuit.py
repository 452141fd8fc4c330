"""One circuit: two ends on channels, and a window of 4 MiB each way between them."""

import asyncio
from collections import deque

import frames
from frames import Frame, u32

WINDOW = 4 * 1024 * 1024
# Messages of one connection that the router takes from its channel before it stops reading it.
INBOX = 4
FLUSH_SECONDS = 30
PASSED = (frames.FLAGS, frames.REFLECTED)  # the headers of Data that travel end to end


class End:
    """What a client sends on one connection: `push`, in order; `_pump` carries it to the peer's client."""

    def __init__(self, channel, conn):
        self.channel, self.conn = channel, conn
        self.circuit = self.peer = None
        self.gone = False  # the client closed it, or was told that it is closed
        self._inbox = asyncio.Queue(INBOX)
        self._window = deque()  # on their way to the peer's channel
        self._bytes = 0
        self._moved = asyncio.Event()
        self._tasks = []

    def start(self):
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._fill()), loop.create_task(self._deliver())]

    async def push(self, frame):
        """Blocks the channel's reader, and so all its connections, while the window is full."""
        if not self.gone:
            await self._inbox.put(frame)

    def closed_by_client(self):
        """No more is read from or written to this end; what it sent before is still delivered."""
        if self.gone:
            return
        self.gone = True
        self.channel.ends.pop(self.conn, None)
        if self.peer is not None and self.peer.gone:
            self.circuit.end("close called")
            return
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._inbox.put(None)))
        if self.peer is not None:
            self.peer.stop_delivery()
            self.circuit.flush_by(loop.time() + FLUSH_SECONDS)

    def stop_delivery(self):
        """The other client left: what this one still sends is read and dropped."""
        self._bytes = 0
        self._window.clear()
        self._moved.set()

    async def _fill(self):
        while True:
            frame = await self._inbox.get()
            if self.peer.gone:
                if frame is None:
                    return
                continue
            size = len(frame.body) if frame is not None else 0
            while self._bytes and self._bytes + size > WINDOW and not self.peer.gone:
                self._moved.clear()
                await self._moved.wait()
            self._bytes += size
            self._window.append(frame)
            self._moved.set()
            if frame is None:
                return

    async def _deliver(self):
        peer = self.peer
        while True:
            while not self._window:
                self._moved.clear()
                await self._moved.wait()
            frame = self._window.popleft()
            if frame is None:
                self.circuit.end("close called")
                return
            headers = {frames.CONN: u32(peer.conn)}
            headers |= {key: frame.headers[key] for key in PASSED if key in frame.headers}
            if not peer.gone:
                await peer.channel.send(Frame(frames.DATA, headers, frame.body))
            self._bytes = max(0, self._bytes - len(frame.body))
            self._moved.set()

    def cut(self, text):
        """Ends it now; a client that is still there is told the text."""
        told = self.gone
        self.gone = True
        self.channel.ends.pop(self.conn, None)
        if not told:
            self.channel.tell(Frame(frames.STATE_CLOSED, {frames.CONN: u32(self.conn)}, text.encode()))
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        while not self._inbox.empty():  # a reader that waits for room goes on
            self._inbox.get_nowait()


class Circuit:
    def __init__(self, network, circuit_id, session, terminator, dialer):
        self.network, self.id, self.session, self.terminator = network, circuit_id, session, terminator
        self.dialer, self.host = dialer, None
        self._timer = None
        self.over = False

    def connect(self, host):
        self.host = host
        self.dialer.peer, host.peer = host, self.dialer
        self.dialer.circuit = host.circuit = self
        self.network.circuits[self.id] = self
        self.terminator.circuits += 1
        self.dialer.start()
        host.start()

    def flush_by(self, moment):
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(moment, self.end, "close called")

    def end(self, dialer_text, host_text="close called"):
        """Tells the ends that are still there; the circuit is no longer listed."""
        if self.over:
            return
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        self.network.circuits.pop(self.id, None)
        self.terminator.circuits -= 1
        self.dialer.cut(dialer_text)
        self.host.cut(host_text)
