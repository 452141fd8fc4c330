"""Frames of an edge channel: one header of 20 bytes, headers by number, a body; all little-endian."""

import struct

# Content types.
HELLO, RESULT, LATENCY = 0, 2, 3
CONNECT, STATE_CONNECTED, STATE_CLOSED, DATA, DIAL, DIAL_SUCCESS, DIAL_FAILED = range(60783, 60790)
BIND, UNBIND = 60790, 60791
UPDATE_BIND, HEALTH = 60794, 60795
INSPECT, INSPECTED, BIND_SUCCESS = 60798, 60799, 60800
TOKEN_UPDATED, TOKEN_REFUSED, UPDATE_TOKEN = 60801, 60802, 60803
CONNECT_V2 = 60806

# Headers.
CHANNEL_ID, REPLY_FOR, SUCCESS, VERSION, ROUTER_ID, REFLECTED = 0, 1, 2, 4, 8, 128
CONN, TOKEN, KEY, COST, PRECEDENCE, INSTANCE, CALLER = 1000, 1002, 1003, 1004, 1005, 1006, 1008
FLAGS, APP_DATA, ROUTER_CONN, HEALTHY, CODE = 1010, 1011, 1012, 1013, 1014
LISTENER, CONN_TYPE, CAN_INSPECT, CAN_BIND_SUCCESS, MARKER, CIRCUIT = 1021, 1022, 1023, 1024, 1025, 1026
STICKINESS, POSTURE, ERROR, DIALER_ID, DIALER_NAME = 1027, 1032, 1033, 1034, 1035

FIN = 1

MAGIC = b"\x03\x06\x09\x0c"
HEAD = struct.Struct("<4siiII")
FIELD = struct.Struct("<iI")
MAX_HEADERS = 64 * 1024
MAX_BODY = 4 * 1024 * 1024


class Malformed(Exception):
    """Bytes that are no frame: the channel ends."""


def u32(value):
    return struct.pack("<I", value & 0xFFFFFFFF)


class Frame:
    __slots__ = ("kind", "headers", "body", "sequence")

    def __init__(self, kind, headers=None, body=b"", sequence=0):
        self.kind = kind
        self.headers = headers or {}
        self.body = body
        self.sequence = sequence

    def number(self, header, default=None):
        """A u32 header's value."""
        raw = self.headers.get(header)
        return struct.unpack("<I", raw)[0] if raw is not None and len(raw) == 4 else default

    def truth(self, header):
        return self.headers.get(header) == b"\1"

    def text(self, header):
        return self.headers.get(header, b"").decode(errors="replace")

    def encode(self):
        fields = b"".join(FIELD.pack(key, len(value)) + value for key, value in self.headers.items())
        head = HEAD.pack(MAGIC, self.kind, self.sequence, len(fields), len(self.body))
        return b"".join((head, fields, self.body))


async def read_frame(reader, max_headers=MAX_HEADERS, max_body=MAX_BODY):
    magic, kind, sequence, headers_size, body_size = HEAD.unpack(await reader.readexactly(HEAD.size))
    if magic != MAGIC:
        raise Malformed(f"magic {magic.hex()}")
    if headers_size > max_headers or body_size > max_body:
        raise Malformed(f"headers of {headers_size} bytes, body of {body_size}")
    raw = await reader.readexactly(headers_size)
    body = await reader.readexactly(body_size)
    headers, at = {}, 0
    while at < headers_size:
        if at + FIELD.size > headers_size:
            raise Malformed("half a header")
        key, size = FIELD.unpack_from(raw, at)
        at += FIELD.size
        if at + size > headers_size:
            raise Malformed("a header beyond the headers")
        headers[key] = raw[at : at + size]
        at += size
    return Frame(kind, headers, body, sequence)
