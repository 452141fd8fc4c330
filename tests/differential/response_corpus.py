"""Raw responses on whose reading two clients might not agree.

A case is a name, its bytes, how the connection goes on, and what a client may make of it: the body
that it may take for the whole, or None where nothing may look complete. @@@@@ is the case's token.
"""

from dataclasses import dataclass

CLOSE = "FIN"  # the origin ends the connection behind the bytes
RESET = "RST"  # it resets it
KEEP = "keep"  # it stays open, and what came too much would be the next response's beginning
LATE = "late"  # LEFTOVER comes once the client has its answer

LEFTOVER = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nLEFTOVER!"

BODY = b"@@@@@"
CHUNKS = b"5\r\n@@@@@\r\n0\r\n\r\n"


@dataclass
class Case:
    name: str
    raw: bytes
    then: str = CLOSE
    body: bytes | None = None
    method: bytes = b"GET"  # of the request that it answers
    version: bytes = b"1.1"


def text(value):
    return value if isinstance(value, bytes) else value.encode("latin-1")


def response(*fields, line="HTTP/1.1 200 OK", body=b""):
    return b"\r\n".join(text(part) for part in (line, *fields, "", "")) + text(body)


LENGTHS_REFUSED = [
    "+5", "-5", "0x5", "5.0", "5;", "5 5", "5,6", "5\x0b", "5\x00", "", "five", "5e0", "\xd9\xa5",
    "18446744073709551621", "9223372036854775813", "99999999999999999999999999", '"5"', ",5", "5,",
]  # fmt: skip
CODINGS_REFUSED = [
    "xchunked", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked;q=1", "",
    "\x0bchunked", "chunked\x00", '"chunked"', "chun ked", "chunked,", "chunked, identity", "x",
]  # fmt: skip
CHUNK_LINES_REFUSED = [
    "+5", "-5", "0x5", "5x", "g", "", "5.0", "5\x00", "\r5", "5\r", "00000000000000005", "10000000000000005",
    "ffffffffffffffff", "5" * 20, "5 5", "5,5", "5\n", "5;a\nb", "#5",
]  # fmt: skip
LINES_REFUSED = [
    "HTTP/1.1 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 x", "HTTP/1.1 -200 OK", "HTTP/1.1", "200 OK",
    "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "http/1.1 200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200\x00 OK", "HTTP/1.1  200 OK",
    "ICY 200 OK", " HTTP/1.1 200 OK", "HTTP/1.1 200 O\x00K", "GET / HTTP/1.1", "",
]  # fmt: skip
FIELDS_REFUSED = [
    "X\x00: y", "X: y\x00z", "NoColon", ": empty", "X: y\rContent-Length: 0", "X y: z", "\xff: y", "X: y\r\r\nZ: a",
]  # fmt: skip


def refused():
    """Nothing of these may look like a complete answer with status 200."""
    for value in LENGTHS_REFUSED:
        yield Case(f"length {value!r}", response(f"Content-Length: {value}", body=BODY))
    for value in CODINGS_REFUSED:
        yield Case(f"coding {value!r}", response(f"Transfer-Encoding: {value}", body=CHUNKS))
    for line in CHUNK_LINES_REFUSED:
        body = text(line) + b"\r\n@@@@@\r\n0\r\n\r\n"
        yield Case(f"chunk {line!r}", response("Transfer-Encoding: chunked", body=body))
    for line in LINES_REFUSED:
        yield Case(f"line {line!r}", response("Content-Length: 5", line=line, body=BODY))
    for field in FIELDS_REFUSED:
        yield Case(f"field {field!r}", response(field, "Content-Length: 5", body=BODY))
    both = ("Content-Length: 5", "Transfer-Encoding: chunked")
    yield Case("length and coding", response(*both, body=CHUNKS))
    yield Case("coding and length", response(*both[::-1], body=CHUNKS))
    yield Case("two codings", response(both[1], both[1], body=CHUNKS))
    yield Case("two lengths", response("Content-Length: 5", "Content-Length: 6", body=BODY))
    yield Case("coding in 1.0", response(both[1], line="HTTP/1.0 200 OK", body=CHUNKS))
    yield Case("unasked 101", response("Connection: Upgrade", "Upgrade: websocket", line="HTTP/1.1 101 x"))
    yield Case("interim without end", response(line="HTTP/1.1 100 Continue"))
    yield Case("nothing", b"")
    yield Case("fields behind an unasked 101", response("Connection: Upgrade", "Upgrade: h2c", line="HTTP/1.1 101 x") + LEFTOVER)
    yield Case("coding with a space before its colon, and length", response("Transfer-Encoding : chunked", both[0], body=CHUNKS))
    yield Case("folded coding, and length", response("Transfer-Encoding:\r\n chunked", both[0], body=CHUNKS))
    yield Case("fold behind the status line", response(" Content-Length: 5", body=BODY))
    yield Case("line feeds only", b"HTTP/1.1 200 OK\nContent-Length: 5\n\n@@@@@")
    yield Case("line feed behind a field", b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 5\r\n\r\n@@@@@")
    yield Case("body behind an interim response", response(both[0], line="HTTP/1.1 103 x", body=BODY) + LEFTOVER)
    yield Case("length and coding to HEAD", response(*both, body=CHUNKS), method=b"HEAD")
    yield Case("a request", b"GET /@@@@@ HTTP/1.1\r\nHost: a\r\n\r\n")


def cut():
    """Complete heads whose bodies end early."""
    chunked = "Transfer-Encoding: chunked"
    yield Case("cut length", response("Content-Length: 6", body=BODY))
    yield Case("cut length at once", response("Content-Length: 5"))
    for name, body in (
        ("at once", b""), ("in the size", b"5"), ("behind the size", b"5\r\n"), ("in the data", b"5\r\n@@@"),
        ("behind the data", b"5\r\n@@@@@"), ("behind the chunk", b"5\r\n@@@@@\r\n"), ("in the last size", b"5\r\n@@@@@\r\n0"),
        ("behind the last size", b"5\r\n@@@@@\r\n0\r\n"), ("in the last line end", b"5\r\n@@@@@\r\n0\r\n\r"),
        ("in a trailer", b"5\r\n@@@@@\r\n0\r\nX: y"), ("behind a trailer", b"5\r\n@@@@@\r\n0\r\nX: y\r\n"),
    ):  # fmt: skip
        yield Case(f"cut chunked {name}", response(chunked, body=body))
    yield Case("reset in a length", response("Content-Length: 6", body=BODY), RESET)
    yield Case("reset in chunks", response(chunked, body=b"5\r\n@@@@@\r\n"), RESET)
    yield Case("reset until close", response(body=BODY), RESET)
    for name, fields, body, then in (
        ("cut length to 1.0", "Content-Length: 6", BODY, CLOSE),
        ("cut chunks to 1.0", chunked, b"5\r\n@@@@@\r\n", CLOSE),
        ("bad chunk to 1.0", chunked, b"5\r\n@@@@@\r\nx\r\n", KEEP),
        ("reset until close to 1.0", "X: y", BODY, RESET),
    ):
        yield Case(name, response(fields, body=body), then, version=b"1.0")
    yield Case("cut head", b"HTTP/1.1 200 OK\r\nContent-Le")
    yield Case("no line end behind data", response(chunked, body=b"5\r\n@@@@@0\r\n\r\n"))
    yield Case("junk behind data", response(chunked, body=b"5\r\n@@@@@xx\r\n0\r\n\r\n"))
    yield Case("bad trailer", response(chunked, body=b"5\r\n@@@@@\r\n0\r\nbad trailer\r\n\r\n"))


def sound():
    """These are complete, whatever comes behind them."""
    length, chunked = "Content-Length: 5", "Transfer-Encoding: chunked"
    yield Case("plain", response(length, body=BODY), KEEP, BODY)
    yield Case("chunked", response(chunked, body=CHUNKS), KEEP, BODY)
    yield Case("until close", response(body=BODY), CLOSE, BODY)
    yield Case("1.0", response(length, line="HTTP/1.0 200 OK", body=BODY), CLOSE, BODY)
    yield Case("equal lengths", response(length, length, body=BODY), KEEP, BODY)
    yield Case("no reason", response(length, line="HTTP/1.1 200 ", body=BODY), KEEP, BODY)
    yield Case("extension", response(chunked, body=b"5;a=b\r\n@@@@@\r\n0\r\n\r\n"), KEEP, BODY)
    yield Case("trailer", response(chunked, body=b"5\r\n@@@@@\r\n0\r\nX: y\r\n\r\n"), KEEP, BODY)
    yield Case("framing in a trailer", response(chunked, body=b"5\r\n@@@@@\r\n0\r\nContent-Length: 9\r\n\r\n"), KEEP, BODY)
    yield Case("two chunks", response(chunked, body=b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), KEEP, b"hello")
    yield Case("interim first", response(line="HTTP/1.1 103 x") + response(length, body=BODY), KEEP, BODY)
    yield Case("space before colon", response("X : y", length, body=BODY), KEEP, BODY)
    yield Case("folded field", response("X: a\r\n b", length, body=BODY), KEEP, BODY)
    yield Case("chunks to 1.0", response(chunked, body=CHUNKS), KEEP, BODY, version=b"1.0")
    yield Case("until close to 1.0", response(body=BODY), CLOSE, BODY, version=b"1.0")
    yield Case("interim to 1.0", response(line="HTTP/1.1 103 x") + response(length, body=BODY), KEEP, BODY, version=b"1.0")
    yield Case("length to HEAD", response(length), KEEP, b"", b"HEAD")
    yield Case("coding to HEAD", response(chunked), KEEP, b"", b"HEAD")
    yield Case("body to HEAD", response(length, body=b"LEFTOVER"), KEEP, b"", b"HEAD")
    yield Case("chunks to HEAD", response(chunked, body=CHUNKS), KEEP, b"", b"HEAD")
    yield Case("response to HEAD and another", response(length) + LEFTOVER, KEEP, b"", b"HEAD")
    yield Case("late bytes behind a length", response(length, body=BODY), LATE, BODY)
    yield Case("late bytes behind chunks", response(chunked, body=CHUNKS), LATE, BODY)
    yield Case("late bytes behind 204", response(line="HTTP/1.1 204 x"), LATE, b"")
    yield Case("late bytes behind HEAD", response(length), LATE, b"", b"HEAD")
    yield Case("second response behind a length", response(length, body=BODY) + LEFTOVER, KEEP, BODY)
    yield Case("second response behind chunks", response(chunked, body=CHUNKS) + LEFTOVER, KEEP, BODY)
    yield Case("bytes behind a length", response(length, body=BODY + b"LEFTOVER"), KEEP, BODY)
    yield Case("bytes behind chunks", response(chunked, body=CHUNKS + b"LEFTOVER"), KEEP, BODY)
    yield Case("body behind 204", response(line="HTTP/1.1 204 x", body=b"LEFTOVER"), KEEP, b"")
    yield Case("length with 204", response(length, line="HTTP/1.1 204 x", body=b"LEFTOVER"), KEEP, b"")
    yield Case("chunks with 204", response(chunked, line="HTTP/1.1 204 x", body=CHUNKS), KEEP, b"")
    yield Case("body behind 304", response(length, line="HTTP/1.1 304 x", body=b"LEFTOVER"), KEEP, b"")
    yield Case("names framing", response("Connection: Content-Length", length, body=BODY), KEEP, BODY)
    yield Case("hop-by-hop", response("Connection: X-Hop", "X-Hop: 1", length, body=BODY), KEEP, BODY)


def responses():
    yield from refused()
    yield from cut()
    yield from sound()
