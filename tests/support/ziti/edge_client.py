#!/usr/bin/env python3
"""edge_client: an independent, small OpenZiti edge client for interoperability tests.

Written from a specification of the edge protocol alone; it shares no code with any OpenZiti SDK, with
Simplon or with the stand-in beside it, so it can stand on either side of a test as "something nobody
here shipped". Section marks (§) in the comments point into that specification.

    edge_client.py enroll client.jwt client.json
    edge_client.py services client.json
    edge_client.py dial client.json echo < request > reply
    edge_client.py host host.json echo --mode echo
    edge_client.py --trace ...            every channel frame on stderr

As a module: Identity, Controller, Channel, dial(), bind(). Legacy zt-session login only,
one controller, ungrouped channels, legacy data flow (no xgress).
Needs Python 3.11+, cryptography and PyNaCl. Loopback test tool: not hardened, not fast.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import secrets
import ssl
import struct
import sys
import time
from urllib.parse import urlsplit

from nacl import bindings as na

from edge_rest import Controller, EdgeError, Identity, enroll

# content types (§3.4, §4.1)
HELLO, RESULT = 0, 2
CONNECT, CONNECTED, CLOSED, DATA, DIAL, DIAL_OK, DIAL_FAILED = range(60783, 60790)
BIND, UNBIND = 60790, 60791
INSPECT, INSPECTED, BIND_OK = 60798, 60799, 60800
# headers (§3.4, §4.2)
H_REPLY_FOR, H_SUCCESS = 1, 2
H_CONN, H_TOKEN, H_PUBKEY, H_TERMINATOR, H_CALLER = 1000, 1002, 1003, 1006, 1008
H_FLAGS, H_APPDATA, H_ROUTER_CONN, H_CODE = 1010, 1011, 1012, 1014
H_LISTENER, H_CONN_TYPE, H_CAN_INSPECT, H_CAN_BIND_OK, H_ERROR = 1021, 1022, 1023, 1024, 1033
FLAG_FIN, FLAG_STREAM, FLAG_MULTIPART_MSG = 1, 8, 16

NAMES = {value: name for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)
         and not name.startswith(("H_", "FLAG_"))}


def u32(value: int) -> bytes:
    return struct.pack("<I", value & 0xFFFFFFFF)


def get_u32(headers: dict[int, bytes], key: int, default: int = 0) -> int:
    raw = headers.get(key)
    return struct.unpack("<I", raw)[0] if raw is not None and len(raw) == 4 else default


# ---------------------------------------------------------------- router channel (§3)

class Frame:
    HEAD = struct.Struct("<4siiII")
    MAGIC = b"\x03\x06\x09\x0c"

    def __init__(self, kind: int, headers: dict[int, bytes] | None = None, body: bytes = b"", seq: int = 0):
        self.kind, self.headers, self.body, self.seq = kind, headers or {}, body, seq

    def encode(self) -> bytes:
        fields = b"".join(struct.pack("<iI", k, len(v)) + v for k, v in self.headers.items())
        return self.HEAD.pack(self.MAGIC, self.kind, self.seq, len(fields), len(self.body)) + fields + self.body

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> "Frame":
        magic, kind, seq, hlen, blen = cls.HEAD.unpack(await reader.readexactly(cls.HEAD.size))
        if magic != cls.MAGIC:
            raise EdgeError(f"bad frame magic {magic.hex()}")
        raw, body = await reader.readexactly(hlen), await reader.readexactly(blen)
        headers, at = {}, 0
        while at < hlen:
            key, size = struct.unpack_from("<iI", raw, at)
            headers[key] = raw[at + 8:at + 8 + size]
            at += 8 + size
        return cls(kind, headers, body, seq)

    def __str__(self):
        def show(value):
            return value.decode()[:60] if len(value) > 4 and value.isascii() and value.decode().isprintable() \
                else value.hex()[:64] or "-"
        heads = " ".join(f"{k}={show(v)}" for k, v in sorted(self.headers.items()))
        text = self.body[:90] if self.kind in (CLOSED, DIAL_FAILED, RESULT) else self.body[:8]
        return f"{NAMES.get(self.kind, self.kind)} seq={self.seq} {{{heads}}} body[{len(self.body)}]={text!r}"


class Channel:
    """One TLS connection to a router; demultiplexes replies, conns and listeners."""

    def __init__(self):
        self.conns: dict[int, "Conn | Listener"] = {}
        self.hello: Frame | None = None
        self.closed, self.trace = asyncio.Event(), False
        self.unknown: list[Frame] = []  # frames for conn ids nobody owns
        self._waiters: dict[int, asyncio.Future] = {}
        self._seq, self.ids = itertools.count(1), itertools.count(1)
        self._t0 = time.monotonic()

    @classmethod
    async def open(cls, identity: Identity, token: str, host: str, port: int, *, trace=False, alpn="ziti-edge",
                   headers: dict[int, bytes] | None = None) -> "Channel":
        self = cls()
        self.trace = trace
        self._reader, self._writer = await asyncio.open_connection(host, port, ssl=identity.tls(alpn), limit=1 << 20)
        await self._write(Frame(HELLO, {H_TOKEN: token.encode(), **(headers or {})}, b"edge_client.py", -1))
        self.hello = await asyncio.wait_for(Frame.read(self._reader), 10)
        self._note("<-", self.hello)
        if self.hello.kind != RESULT or self.hello.headers.get(H_SUCCESS) != b"\1":
            raise EdgeError("hello refused: " + self.hello.body.decode(errors="replace"))
        self._task = asyncio.create_task(self._read_loop())
        return self

    async def send(self, frame: Frame) -> None:
        frame.seq = next(self._seq)
        await self._write(frame)

    async def request(self, frame: Frame, timeout: float) -> Frame:
        frame.seq = next(self._seq)
        future = self._waiters[frame.seq] = asyncio.get_running_loop().create_future()
        try:
            await self._write(frame)
            return await asyncio.wait_for(future, timeout)
        finally:
            self._waiters.pop(frame.seq, None)

    async def close(self) -> None:
        self._writer.close()
        await asyncio.wait_for(self.closed.wait(), 5)

    async def _write(self, frame: Frame) -> None:
        self._note("->", frame)
        self._writer.write(frame.encode())
        await self._writer.drain()

    def _note(self, arrow: str, frame: Frame) -> None:
        if self.trace:
            print(f"{time.monotonic() - self._t0:8.3f} {arrow} {frame}", file=sys.stderr, flush=True)

    async def _read_loop(self) -> None:
        try:
            while True:
                frame = await Frame.read(self._reader)
                self._note("<-", frame)
                await self._dispatch(frame)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.closed.set()
            for future in self._waiters.values():
                if not future.done():
                    future.set_exception(EdgeError("channel closed by router"))
            for owner in list(self.conns.values()):
                owner.lost("channel closed by router")
            self._writer.close()

    async def _dispatch(self, frame: Frame) -> None:
        waiter = self._waiters.get(get_u32(frame.headers, H_REPLY_FOR)) if H_REPLY_FOR in frame.headers else None
        owner = self.conns.get(get_u32(frame.headers, H_CONN))
        if waiter is not None and not waiter.done():
            waiter.set_result(frame)
        elif frame.kind == INSPECT:
            kind = 2 if isinstance(owner, Listener) else 1 if owner else 0
            await self.send(Frame(INSPECTED, {H_REPLY_FOR: u32(frame.seq), H_CONN_TYPE: bytes([kind]),
                                              H_CONN: frame.headers[H_CONN]}, b"edge_client.py"))
        elif owner is not None:
            await owner.feed(frame)
        elif frame.kind == DIAL:
            await self.send(Frame(DIAL_FAILED, {H_REPLY_FOR: u32(frame.seq), H_CONN: frame.headers[H_CONN]},
                                  b"no such listener"))
        else:
            self.unknown.append(frame)


# ---------------------------------------------------------------- connections (§5, §6)

def edge_error(frame: Frame) -> EdgeError:
    detail = json.loads(frame.headers[H_ERROR]) if H_ERROR in frame.headers else {}
    return EdgeError(frame.body.decode(errors="replace"), get_u32(frame.headers, H_CODE, detail.get("code", 0)), detail)


def split_multipart(body: bytes) -> bytes:
    out, at = [], 0
    while at < len(body):
        (size,) = struct.unpack_from("<H", body, at)
        if at + 2 + size > len(body):
            raise EdgeError("bad multipart body")
        out.append(body[at + 2:at + 2 + size])
        at += 2 + size
    return b"".join(out)


class Conn:
    """One overlay connection: a byte stream with half-close in each direction."""
    # Frames wait undecrypted until recv(): the peer's stream header often arrives in the same
    # read as StateConnected, before start() has the keys.

    CHUNK = 16 * 1024

    def __init__(self, channel: Channel, conn_id: int):
        self.channel, self.id, self.reply = channel, conn_id, None
        self.close_reason: str | None = None  # text of the peer's StateClosed, once it came
        self.saw_fin = self.eof = False
        self._tx = self._rx = self._rx_key = None
        self._queue: asyncio.Queue = asyncio.Queue()
        channel.conns[conn_id] = self

    async def start(self, keys: tuple[bytes, bytes] | None, flags: int = 0) -> None:
        """keys = (rx, tx); sends our stream header, which must travel alone (§6.3)."""
        if keys:
            self._rx_key, self._tx = keys[0], na.crypto_secretstream_xchacha20poly1305_state()
            await self._data(na.crypto_secretstream_xchacha20poly1305_init_push(self._tx, keys[1]), flags)

    async def send(self, data: bytes) -> None:
        for at in range(0, len(data), self.CHUNK):
            part = data[at:at + self.CHUNK]
            if self._tx is not None:
                part = na.crypto_secretstream_xchacha20poly1305_push(self._tx, part, None, 0)
            await self._data(part)

    async def end(self) -> None:
        """Half-close: an empty, unencrypted Data frame with FIN."""
        await self._data(b"", FLAG_FIN)

    async def close(self, reason: bytes = b"") -> None:
        if self.channel.conns.pop(self.id, None) and not self.channel.closed.is_set():
            await self.channel.send(Frame(CLOSED, {H_CONN: u32(self.id)}, reason))

    async def recv(self) -> bytes:
        """The next piece; b"" at end of stream, whether by FIN, StateClosed or channel loss."""
        while not self.eof:
            frame = await self._queue.get()
            if frame is None:
                break
            body, flags = frame.body, get_u32(frame.headers, H_FLAGS)
            try:
                if body and self._rx_key is not None:
                    body = self._decrypt(body)
                if flags & FLAG_MULTIPART_MSG:
                    body = split_multipart(body)
            except Exception as e:
                await self.close(b"decryption failed")
                raise EdgeError(f"decryption failed: {e}") from e
            self.saw_fin = self.eof = bool(flags & FLAG_FIN)
            if body:
                return body
        self.eof = True
        return b""

    async def read_all(self) -> bytes:
        parts = []
        while piece := await self.recv():
            parts.append(piece)
        return b"".join(parts)

    async def _data(self, body: bytes, flags: int = 0) -> None:
        await self.channel.send(Frame(DATA, {H_CONN: u32(self.id), **({H_FLAGS: u32(flags)} if flags else {})}, body))

    async def feed(self, frame: Frame) -> None:
        if frame.kind == CLOSED:
            self.lost(frame.body.decode(errors="replace"))
        elif frame.kind == DATA:
            self._queue.put_nowait(frame)

    def _decrypt(self, body: bytes) -> bytes:
        if self._rx is not None:
            return na.crypto_secretstream_xchacha20poly1305_pull(self._rx, body, None)[0]
        if len(body) != na.crypto_secretstream_xchacha20poly1305_HEADERBYTES:
            raise EdgeError(f"stream header of {len(body)} bytes")
        self._rx = na.crypto_secretstream_xchacha20poly1305_state()
        na.crypto_secretstream_xchacha20poly1305_init_pull(self._rx, body, self._rx_key)
        return b""

    def lost(self, reason: str) -> None:
        self.close_reason = reason
        self.channel.conns.pop(self.id, None)
        self._queue.put_nowait(None)


async def dial(channel: Channel, token: str, encrypted: bool, *, terminator: str = "", caller: str = "edge_client.py",
               app_data: bytes = b"", headers: dict[int, bytes] | None = None, timeout: float = 30,
               flags: int = FLAG_STREAM) -> Conn:
    conn = Conn(channel, next(channel.ids))
    pk, sk = na.crypto_kx_keypair()
    fields = {H_CONN: u32(conn.id), H_CALLER: caller.encode()}
    optional = {H_PUBKEY: encrypted and pk, H_TERMINATOR: terminator.encode(), H_APPDATA: app_data}
    fields |= {k: v for k, v in optional.items() if v}
    try:
        conn.reply = await channel.request(Frame(CONNECT, fields | (headers or {}), token.encode()), timeout)
        if conn.reply.kind != CONNECTED:
            channel.conns.pop(conn.id, None)
            raise edge_error(conn.reply)
        peer = conn.reply.headers.get(H_PUBKEY)
        if encrypted and peer is None:
            raise EdgeError("the service requires encryption and the host sent no key")
        await conn.start(na.crypto_kx_client_session_keys(pk, sk, peer) if encrypted else None, flags)
        return conn
    except (EdgeError, asyncio.TimeoutError):
        await conn.close()
        raise


class Incoming:
    """A Dial waiting for our answer; answer within 5 s (§5.3)."""

    def __init__(self, listener: "Listener", frame: Frame):
        self.listener, self.frame, self.headers = listener, frame, frame.headers

    async def accept(self, flags: int = FLAG_STREAM) -> Conn:
        lst, peer = self.listener, self.headers.get(H_PUBKEY)
        if lst.encrypted and peer is None:
            await self.reject("encryption required")
            raise EdgeError("dialer sent no key")
        conn = Conn(lst.channel, get_u32(self.headers, H_ROUTER_CONN))
        await lst.channel.send(Frame(DIAL_OK, self._answer(), u32(conn.id)))
        await conn.start(na.crypto_kx_server_session_keys(lst.pk, lst.sk, peer) if lst.encrypted else None, flags)
        return conn

    async def reject(self, text: str) -> None:
        await self.listener.channel.send(Frame(DIAL_FAILED, self._answer(), text.encode()))

    def _answer(self) -> dict[int, bytes]:
        return {H_REPLY_FOR: u32(self.frame.seq), H_CONN: u32(self.listener.id)}


class Listener:
    """A Bind on one router channel."""

    def __init__(self, channel: Channel, token: str, encrypted: bool):
        self.channel, self.token, self.encrypted, self.id = channel, token, encrypted, next(channel.ids)
        self.pk, self.sk = na.crypto_kx_keypair()
        self.established = asyncio.Event()
        self.close_reason: str | None = None
        self._dials: asyncio.Queue = asyncio.Queue()
        channel.conns[self.id] = self

    async def feed(self, frame: Frame) -> None:
        if frame.kind == BIND_OK:
            self.established.set()
        elif frame.kind == CLOSED:
            self.lost(frame.body.decode(errors="replace"))
        elif frame.kind == DIAL:
            self._dials.put_nowait(Incoming(self, frame))

    def lost(self, reason: str) -> None:
        self.close_reason = reason
        self.channel.conns.pop(self.id, None)
        self._dials.put_nowait(None)

    async def accept(self) -> Incoming:
        incoming = await self._dials.get()
        if incoming is None:
            raise EdgeError(f"listener closed: {self.close_reason}")
        return incoming

    async def close(self) -> None:
        await self.channel.send(Frame(UNBIND, {H_CONN: u32(self.id)}, self.token.encode()))
        await self.channel.send(Frame(CLOSED, {H_CONN: u32(self.id)}))
        self.channel.conns.pop(self.id, None)


async def bind(channel: Channel, token: str, encrypted: bool, *, terminator: str = "", timeout: float = 30,
               headers: dict[int, bytes] | None = None, wait: bool = True) -> Listener:
    listener = Listener(channel, token, encrypted)
    fields = {H_CONN: u32(listener.id), H_ROUTER_CONN: b"\1", H_CAN_BIND_OK: b"\1", H_CAN_INSPECT: b"\1",
              H_LISTENER: secrets.token_hex(8).encode()}
    optional = {H_PUBKEY: encrypted and listener.pk, H_TERMINATOR: terminator.encode()}
    fields |= {k: v for k, v in optional.items() if v}
    reply = await channel.request(Frame(BIND, fields | (headers or {}), token.encode()), timeout)
    if reply.kind != CONNECTED:
        channel.conns.pop(listener.id, None)
        raise edge_error(reply)
    if wait:
        await asyncio.wait_for(listener.established.wait(), timeout)
    return listener


# ---------------------------------------------------------------- command line

async def open_service(args, kind: str):
    ctrl = Controller(Identity(args.identity))
    ctrl.login()
    service = ctrl.service(args.service)
    session = ctrl.create_session(service["id"], kind)
    if not session["edgeRouters"]:
        raise EdgeError("no edge router for this service")
    router = urlsplit(session["edgeRouters"][0]["supportedProtocols"]["tls"])
    channel = await Channel.open(ctrl.identity, ctrl.token, router.hostname, router.port, trace=args.trace)
    return channel, session["token"], service["encryptionRequired"]


async def run_dial(args) -> None:
    channel, token, encrypted = await open_service(args, "Dial")
    conn = await dial(channel, token, encrypted, terminator=args.terminator, app_data=args.app_data.encode())
    loop = asyncio.get_running_loop()

    async def upload():
        while piece := await loop.run_in_executor(None, os.read, 0, Conn.CHUNK):
            await conn.send(piece)
        await conn.end()

    up = asyncio.create_task(upload())
    while piece := await conn.recv():
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    up.cancel()
    await conn.close()
    await channel.close()
    os._exit(0)  # a blocked read of stdin must not keep the process


async def serve(incoming: Incoming, mode: str) -> None:
    if mode == "reject":
        return await incoming.reject("rejected by edge_client.py")
    if mode == "echo":
        try:
            conn = await incoming.accept()
            while piece := await conn.recv():
                await conn.send(piece)
            await conn.end()
            await conn.close()
        except EdgeError as e:  # one bad connection must not stop the host
            print(f"edge_client: {e}", file=sys.stderr)


async def run_host(args) -> None:
    channel, token, encrypted = await open_service(args, "Bind")
    listener = await bind(channel, token, encrypted, terminator=args.terminator)
    print("hosting", args.service, flush=True)
    async with asyncio.TaskGroup() as group:
        for _ in range(args.count) if args.count else itertools.count():
            group.create_task(serve(await listener.accept(), args.mode))
    await listener.close()
    await channel.close()


def main() -> int:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--trace", action="store_true", help="print every channel frame on stderr")
    commands = top.add_subparsers(dest="command", required=True)
    cmd = commands.add_parser("enroll", help="turn an enrollment JWT into an identity file")
    cmd.add_argument("jwt")
    cmd.add_argument("out")
    cmd = commands.add_parser("services", help="list the services this identity may use")
    cmd.add_argument("identity")
    for name, text in (("dial", "connect stdin/stdout to a service"), ("host", "host a service")):
        cmd = commands.add_parser(name, help=text)
        cmd.add_argument("identity")
        cmd.add_argument("service")
        cmd.add_argument("--terminator", default="", help="address one host instance by this name")
        if name == "dial":
            cmd.add_argument("--app-data", default="", help="bytes handed to the host")
        else:
            cmd.add_argument("--mode", choices=("echo", "reject", "silent"), default="echo")
            cmd.add_argument("--count", type=int, default=0, help="stop after this many connections")
    args = top.parse_args()
    try:
        if args.command == "enroll":
            with open(args.jwt) as f:
                enroll(f.read(), args.out)
        elif args.command == "services":
            ctrl = Controller(Identity(args.identity))
            ctrl.login()
            for s in ctrl.services():
                print(s["id"], s["name"], ",".join(s["permissions"]), "e2e" if s["encryptionRequired"] else "plain")
        else:
            asyncio.run(run_dial(args) if args.command == "dial" else run_host(args))
    except (EdgeError, OSError, asyncio.TimeoutError) as e:
        print(f"edge_client: {e or type(e).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
