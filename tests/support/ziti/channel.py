"""A router's side of one channel: frames in and out in order, replies matched to requests."""

import asyncio
import itertools
from collections import deque

import frames
from frames import Frame, u32

# Messages that wait for the socket; with them full, whoever has more to say on this channel waits.
QUEUE = 64
CONTROL_SECONDS = 5
FIRST_ROUTER_CONN = 0x80000000


class Channel:
    def __init__(self, router, reader, writer):
        self.router, self.reader, self._writer = router, reader, writer
        self.api_session = None
        self.ends = {}  # conn id -> End
        self.terminators = {}  # conn id of the Bind -> Terminator
        self.listeners = {}  # listener id -> conn id of its newest Bind
        self.closed = False
        self._urgent, self._bulk = deque(), deque()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._waiters = {}
        self._sequence = itertools.count(1)
        self._router_conns = itertools.count(FIRST_ROUTER_CONN)
        self._tasks = {asyncio.get_running_loop().create_task(self._write())}

    def spawn(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def router_conn(self):
        return next(self._router_conns)

    def tell(self, frame, urgent=False):
        """Queues it without waiting, behind all data, or before it."""
        (self._urgent if urgent else self._bulk).append(frame)
        self._news.set()

    def greet(self, hello, headers):
        """The reply to Hello, before anything else and even if the channel is closed right after it."""
        fields = {frames.REPLY_FOR: u32(hello.sequence)} | headers
        self._writer.write(Frame(frames.RESULT, fields, sequence=next(self._sequence)).encode())

    def tell_raw(self, raw):
        """Bytes as they are, for the faults."""
        self.tell(raw, urgent=True)

    async def send(self, frame):
        """Waits while the queue is full."""
        while len(self._bulk) >= QUEUE and not self.closed:
            self._room.clear()
            await self._room.wait()
        self.tell(frame)

    async def request(self, frame, seconds=CONTROL_SECONDS):
        """The reply, or None after that time or when the channel is lost."""
        frame.sequence = next(self._sequence)
        waiter = self._waiters[frame.sequence] = asyncio.get_running_loop().create_future()
        self.tell(frame, urgent=True)
        try:
            return await asyncio.wait_for(waiter, seconds)
        except asyncio.TimeoutError:
            return None
        finally:
            self._waiters.pop(frame.sequence, None)

    def replied(self, frame):
        waiter = self._waiters.get(frame.number(frames.REPLY_FOR))
        if waiter is None or waiter.done():
            return False
        waiter.set_result(frame)
        return True

    def reply(self, request, kind, headers=None, body=b""):
        fields = {frames.REPLY_FOR: u32(request.sequence)}
        for copied in (frames.CONN, frames.REFLECTED):
            if copied in request.headers:
                fields[copied] = request.headers[copied]
        self.tell(Frame(kind, fields | (headers or {}), body), urgent=True)

    async def _write(self):
        transport = self._writer.transport
        transport.set_write_buffer_limits(high=64 * 1024)
        try:
            while True:
                while not self._urgent and not self._bulk:
                    self._news.clear()
                    await self._news.wait()
                frame = (self._urgent or self._bulk).popleft()
                self._room.set()
                if isinstance(frame, bytes):
                    self._writer.write(frame)
                else:
                    if not frame.sequence:
                        frame.sequence = next(self._sequence)
                    self._writer.write(frame.encode())
                await self._writer.drain()
        except OSError:
            self._writer.transport.abort()

    def abort(self):
        self._writer.transport.abort()

    def over(self):
        """The connection is gone: circuits and terminators of this channel end."""
        self.closed = True
        self._room.set()
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_result(None)
        for end in list(self.ends.values()):
            end.closed_by_client()
        for terminator in list(self.terminators.values()):
            self.router.network.terminators.pop(terminator.id, None)
        self.terminators.clear()
        for task in self._tasks:
            task.cancel()
