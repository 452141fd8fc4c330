"""Raw requests on whose reading two servers might not agree.

A case is a name and its bytes. In them @@@@@ stands for the case's token of five bytes, which is also
the usual body: where it turns up tells whose bytes a message was made of. What follows a case on its
connection is the suite's business (test_differential.py).
"""

from itertools import product

TOKEN = b"@@@@@"
CHUNKS = b"5\r\n@@@@@\r\n0\r\n\r\n"


def text(value):
    return value if isinstance(value, bytes) else value.encode("latin-1")


def request(*fields, line="POST /@@@@@ HTTP/1.1", host="Host: a.test", body=b""):
    lines = [line, *([host] if host is not None else []), *fields, "", ""]
    return b"\r\n".join(text(part) for part in lines) + text(body)


def get(*fields, **options):
    return request(*fields, **({"line": "GET /@@@@@ HTTP/1.1"} | options))


LENGTHS = [
    "5", "05", "005", "+5", "-5", "0x5", "5.0", "5e0", "5 ", " 5", "\t5", "5\t", "5;", "5,", ",5", "5,5",
    "5, 5", "5,6", "5 5", "5\x0b", "\x0c5", "5\x00", "", " ", "five", "0", "00", "1", "4", "6", "\xd9\xa5",
    "18446744073709551621", "9223372036854775813", "4294967301", "99999999999999999999999999",
    "5\r\n ", "\r\n 5", "5\r\n\t,5", '"5"', "(5)", "5%20", "5\xa0",
]  # fmt: skip

CODINGS = [
    "chunked", "Chunked", "CHUNKED", "xchunked", "chunkedx", "chunked ", " chunked", "\tchunked", "chunked\t",
    "chunked,", ",chunked", "chunked, chunked", "identity", "gzip", "gzip, chunked", "chunked, gzip",
    "chunked, identity", "identity, chunked", "chunked;q=1", "chunked;", "\x0bchunked", "chunked\x0c",
    "chunked\x00", '"chunked"', "'chunked'", "chun ked", "chunked\xa0", "\xefchunked", "", " ", "cow", "x",
    "trailers", "chunked\r\n ", "\r\n chunked", "identity\r\n , chunked", "chunked#", "(chunked)",
    "chunKed\xcc\x8a", "[chunked]", "chunked chunked",
]  # fmt: skip

LENGTH_PAIRS = ["5/5", "5/6", "6/5", "5/0", "0/5", "5/+5", "5/05", "5/x", "x/5", "5/", "/5", "5/5,5"]
CODING_PAIRS = [
    "chunked/chunked", "chunked/identity", "identity/chunked", "chunked/x", "x/chunked", "gzip/chunked",
    "chunked/", "/chunked", "chunked/gzip",
]  # fmt: skip

# How a field may be spelled so that some reader takes it for another.
SPELLINGS = [
    ("space-before-colon", "{n} : {v}"), ("tab-before-colon", "{n}\t: {v}"), ("no-space", "{n}:{v}"),
    ("space-in-front", " {n}: {v}"), ("tab-in-front", "\t{n}: {v}"), ("no-colon", "{n} {v}"),
    ("equals", "{n}= {v}"), ("double-colon", "{n}:: {v}"), ("empty-name-before", ": x\r\n{n}: {v}"),
    ("nul-in-name", "{n}\x00: {v}"), ("quoted-name", '"{n}": {v}'), ("underscore", "{u}: {v}"),
    ("bare-cr-before", "X: y\r{n}: {v}"), ("bare-lf-before", "X: y\n{n}: {v}"),
    ("bare-cr-behind", "{n}: {v}\rX: y"), ("bare-lf-behind", "{n}: {v}\nX: y"),
    ("vt-in-front", "\x0b{n}: {v}"), ("high-byte-name", "{n}\xff: {v}"), ("lf-cr", "X: y\n\r{n}: {v}"),
    ("folded-behind-another", "X: y\r\n {n}: {v}"), ("cr-cr-lf", "X: y\r\r\n{n}: {v}"),
    ("delete", "{n}\x7f: {v}"), ("at-sign", "{n}@: {v}"), ("fold-before-colon", "{n}\r\n : {v}"),
]  # fmt: skip

LINES = [
    "POST  /@@@@@ HTTP/1.1", "POST /@@@@@  HTTP/1.1", "POST\t/@@@@@ HTTP/1.1", "POST /@@@@@\tHTTP/1.1",
    " POST /@@@@@ HTTP/1.1", "POST /@@@@@ HTTP/1.1 ", "POST /@@@@@ HTTP/1.1\t", "POST /@@@@@", "POST",
    "POST /@@@@@ HTTP/1.1 x", "POST /@@@@@ x HTTP/1.1", "POST /@@@@@ HTTP/2.0", "POST /@@@@@ HTTP/0.9",
    "POST /@@@@@ HTTP/1.2", "POST /@@@@@ HTTP/1.10", "POST /@@@@@ HTTP/01.1", "POST /@@@@@ HTTP/1,1",
    "POST /@@@@@ http/1.1", "POST /@@@@@ HTTP 1.1", "POST /@@@@@ HTTP/1", "POST /@@@@@ HTTPS/1.1",
    "POST /@@@@@ HTTP/1.1\x00", "POST /@@@@@\x00 HTTP/1.1", "POST /@@@@@\x7f HTTP/1.1", "post /@@@@@ HTTP/1.1",
    "PO ST /@@@@@ HTTP/1.1", "PO(ST /@@@@@ HTTP/1.1", "P\x00ST /@@@@@ HTTP/1.1", "/@@@@@ HTTP/1.1",
    "POST @@@@@ HTTP/1.1", "POST * HTTP/1.1", "POST //@@@@@ HTTP/1.1", "POST /../@@@@@ HTTP/1.1",
    "POST /%2e%2e/@@@@@ HTTP/1.1", "POST /@@@@@?a=b&c HTTP/1.1", "POST /@@@@@#x HTTP/1.1",
    "POST /@@@@@\xe4 HTTP/1.1", "POST /@@@@@%00 HTTP/1.1", "POST /@@@@@%zz HTTP/1.1", "POST /@@@@@;x HTTP/1.1",
    "POST \\@@@@@ HTTP/1.1", "POST /@@@@@|x HTTP/1.1", 'POST /@@@@@"x" HTTP/1.1', "POST /@@@@@<x> HTTP/1.1",
    "POST /@@@@@\r HTTP/1.1", "POST /@@@@@ HTTP/1.1\r", "\r\nPOST /@@@@@ HTTP/1.1", "\nPOST /@@@@@ HTTP/1.1",
    "\r\n\r\nPOST /@@@@@ HTTP/1.1", "\rPOST /@@@@@ HTTP/1.1", "x\r\nPOST /@@@@@ HTTP/1.1",
    "M-SEARCH /@@@@@ HTTP/1.1", "PURGE /@@@@@ HTTP/1.1", "TRACE /@@@@@ HTTP/1.1", "CONNECT a.test:80 HTTP/1.1",
    "CONNECT /@@@@@ HTTP/1.1", "OPTIONS * HTTP/1.1", "OPTIONS /@@@@@ HTTP/1.1", "GET a.test:80 HTTP/1.1",
]  # fmt: skip

ABSOLUTE = [
    ("same", "http://a.test/@@@@@", "Host: a.test"), ("other", "http://b.test/@@@@@", "Host: a.test"),
    ("no-host", "http://b.test/@@@@@", None), ("user", "http://u@b.test/@@@@@", "Host: b.test"),
    ("port", "http://b.test:81/@@@@@", "Host: b.test"), ("upper", "HTTP://B.TEST/@@@@@", "Host: b.test"),
    ("no-path", "http://b.test", "Host: b.test"), ("query", "http://b.test?@@@@@", "Host: b.test"),
    ("empty", "http:///@@@@@", "Host: a.test"), ("https", "https://a.test/@@@@@", "Host: a.test"),
    ("ftp", "ftp://a.test/@@@@@", "Host: a.test"), ("no-slashes", "http:a.test/@@@@@", "Host: a.test"),
    ("backslash", "http:\\\\a.test\\@@@@@", "Host: a.test"), ("space", "http://a .test/@@@@@", "Host: a.test"),
    ("at-in-path", "http://a.test/@b.test/@@@@@", "Host: a.test"),
]  # fmt: skip

HOSTS = [
    None, "Host:", "Host: ", "Host: a.test\r\nHost: a.test", "Host: a.test\r\nHost: b.test",
    "Host: a.test\r\nhost: b.test", "Host: a.test, b.test", "Host: a.test b.test", "Host: a.test:x",
    "Host: a.test:99999", "Host: a.test:", "Host: a.test:80", "Host: :80", "Host: u@a.test", "Host: a.test/x",
    "Host: a.test?x", "Host: a.test#x", "Host: [::1]", "Host: [::1", "Host: ::1", "Host: a\x00.test",
    "Host: a_b.test", "Host: -a.test", "Host: a..test", "Host: .", "Host: a.test.", "Host : a.test",
    " Host: a.test", "Host: http://a.test", "Host: a.test\r\n b.test", "Host: \xe4.test", "Host: a%2etest",
    "Host: 'a.test'", "Host: a\\b.test", "Host: a.test\t",
]  # fmt: skip

# The line in front of "@@@@@\r\n0\r\n\r\n": five bytes follow.
CHUNK_LINES = [
    "5", "05", "0000000005", "5 ", " 5", "\t5", "5\t", "+5", "-5", "0x5", "5x", "x5", "5h", "5.0", "5,5", "5\x00",
    "\x005", "5\r", "\r5", "5\x0b", "", "g", "5;", "5;a", "5;a=b", '5;a="b"', '5;a="\r"', "5;a=\x00", "5;\r",
    "5 ;a", "5; a = b", '5;a="b', '5;a="\\"";b', "5;;", "5;=", "5a5", "00000000000000005", "10000000000000005",
    "100000005", "ffffffffffffffff", "8000000000000005", "5" * 20, "0" * 40 + "5", "5;" + "x" * 64, "#5", "5:5",
    "5;a\nb", "5\n", "\n5", "5;a=b\r\n ", "\xd9\xa5",
]  # fmt: skip

CHUNK_ENDS = [
    ("no-crlf-behind-data", b"5\r\n@@@@@0\r\n\r\n"), ("lf-behind-data", b"5\r\n@@@@@\n0\r\n\r\n"),
    ("cr-behind-data", b"5\r\n@@@@@\r0\r\n\r\n"), ("lf-lines", b"5\n@@@@@\n0\n\n"),
    ("lf-size-line", b"5\n@@@@@\r\n0\r\n\r\n"), ("lf-last-line", b"5\r\n@@@@@\r\n0\n\r\n"),
    ("lf-end", b"5\r\n@@@@@\r\n0\r\n\n"), ("short-data", b"6\r\n@@@@@\r\n0\r\n\r\n"),
    ("long-data", b"4\r\n@@@@@\r\n0\r\n\r\n"), ("junk-behind-data", b"5\r\n@@@@@xx\r\n0\r\n\r\n"),
    ("double-zero", b"5\r\n@@@@@\r\n00\r\n\r\n"), ("zero-with-extension", b"5\r\n@@@@@\r\n0;x\r\n\r\n"),
    ("zero-space", b"5\r\n@@@@@\r\n0 \r\n\r\n"), ("two-chunks", b"2\r\n@@\r\n3\r\n@@@\r\n0\r\n\r\n"),
    ("zero-only", b"0\r\n\r\n"), ("minus-zero", b"5\r\n@@@@@\r\n-0\r\n\r\n"), ("cr-end", b"5\r\n@@@@@\r\n0\r\r\n"),
]  # fmt: skip

TRAILERS = [
    "X-Trail: 1", "Content-Length: 5", "Transfer-Encoding: chunked", "Host: b.test", "Authorization: x", "Bad Name: x",
    "X-Trail : 1", " X: 1", "X: 1\r\n folded", "X: \x00", "NoColon", ": x", "X: 1\nY: 2", "X: 1\rY: 2", "Connection: close",
    "Trailer: x", "Set-Cookie: a=b", "X-Forwarded-For: 1.2.3.4", "Cookie: a=b", "Expect: 100-continue",
    "Content-Encoding: gzip", "TE: x",
]  # fmt: skip

SMUGGLED = b"GET /smuggled-@@@@@ HTTP/1.1\r\nHost: a.test\r\n\r\n"

WEBSOCKET = (
    "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


def attacks():
    """Known ones, as the literature names them."""
    chunked, zero = "Transfer-Encoding: chunked", b"0\r\n\r\n"
    length = f"Content-Length: {len(zero + SMUGGLED)}"
    yield "cl.te", request(length, chunked, body=zero + SMUGGLED)
    yield "te.cl", request(chunked, "Content-Length: 4", body=b"31\r\n" + SMUGGLED + b"\r\n" + zero)
    for name, field in (
        ("te.te-second-unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
        ("te.te-space", "Transfer-Encoding : chunked"),
        ("te.te-tab", "Transfer-Encoding:\tchunked"),
        ("te.te-vertical-tab", "Transfer-Encoding:\x0bchunked"),
        ("te.te-newline", "X: X\nTransfer-Encoding: chunked"),
        ("te.te-fold", "Transfer-Encoding\r\n : chunked"),
        ("te.te-quoted", 'Transfer-Encoding: "chunked"'),
        ("te.te-nul", "Transfer-Encoding: chunked\x00"),
    ):
        yield name, request(field, length, body=zero + SMUGGLED)
    yield "cl.0-get", get(f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED)
    yield "0.cl-expect", request("Expect: 100-continue", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED)
    yield "0.cl-expect-odd", request("Expect: y 100-continue", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED)
    yield "te.0", request(chunked, body=b"31\r\n" + SMUGGLED + b"\r\n" + zero)
    yield "te.0-options", request(chunked, line="OPTIONS /@@@@@ HTTP/1.1", body=b"31\r\n" + SMUGGLED + b"\r\n" + zero)
    yield "extension-term-ext", request(chunked, body=b"5;\n@@@@@\r\n0\r\n\r\n" + SMUGGLED)
    yield "extension-cr", request(chunked, body=b"5;a\r@@@@@\r\n0\r\n\r\n" + SMUGGLED)
    yield "extension-ext-term", request(chunked, body=b"5\n;\r\n@@@@@\r\n0\r\n\r\n" + SMUGGLED)
    yield "spill-term", request(chunked, body=b"5\r\n@@@@@XX0\r\n\r\n" + SMUGGLED)
    yield "trailer-merge", request(chunked, "Trailer: Content-Length", body=b"0\r\nContent-Length: 49\r\n\r\n" + SMUGGLED)
    yield "head-with-body", request("Content-Length: 5", line="HEAD /@@@@@ HTTP/1.1", body=TOKEN)
    yield "delete-with-body", request("Content-Length: 5", line="DELETE /@@@@@ HTTP/1.1", body=TOKEN)
    yield "connection-names-length", request("Connection: Content-Length", "Content-Length: 5", body=TOKEN)
    yield "connection-names-coding", request("Connection: Transfer-Encoding", chunked, body=CHUNKS)
    yield "connection-names-host", request("Connection: Host", "Content-Length: 5", body=TOKEN)
    yield "hidden-in-value", request("X: \r\n\r\nGET /smuggled-@@@@@ HTTP/1.1", "Content-Length: 0")
    yield "header-injection", request("X: a\rContent-Length: 5", body=TOKEN)
    yield "funky-newline", request("X: a\x85Transfer-Encoding: chunked", "Content-Length: 5", body=TOKEN)
    yield "long-head", request("X: " + "x" * 70_000, "Content-Length: 5", body=TOKEN) + SMUGGLED
    yield "many-fields", request(*("X: y",) * 300, "Content-Length: 5", body=TOKEN) + SMUGGLED
    yield "many-connection-options", request("Connection: " + "x, " * 100 + "Content-Length", "Content-Length: 5", body=TOKEN)
    yield "long-target", request("Content-Length: 5", line=f"POST /@@@@@{'x' * 20_000} HTTP/1.1", body=TOKEN) + SMUGGLED
    yield "double-body", request("Content-Length: 5", "X: y", "content-length: 5", body=TOKEN)


def upgrades():
    h2c = ("HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", *h2c, body=preface)
    yield "h2c-connection-upgrade-only", get("Connection: Upgrade", "Upgrade: h2c", *h2c, body=preface)
    yield "h2c-odd-case", get("connection: uPGRADE, http2-settings", "uPGRADE: H2C", *h2c)
    yield "h2c-and-websocket", get("Upgrade: websocket, h2c", *WEBSOCKET, *h2c)
    yield "h2c-twice", get("Connection: Upgrade", "Upgrade: h2c", "Upgrade: h2c", *h2c)
    yield "h2c-post", request("Connection: Upgrade", "Upgrade: h2c", "Content-Length: 5", body=TOKEN)
    yield "upgrade-not-in-connection", get("Upgrade: h2c", *h2c)
    yield "upgrade-unknown", get("Connection: Upgrade", "Upgrade: tls/1.0")
    yield "websocket-post", request("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5", body=TOKEN)
    yield "websocket-then-get", get("Upgrade: websocket", *WEBSOCKET) + SMUGGLED
    chunked = ("Upgrade: websocket", *WEBSOCKET, "Transfer-Encoding: chunked")
    yield "websocket-with-chunks", get(*chunked, body=CHUNKS)
    yield "websocket-1.0", get("Connection: Upgrade", "Upgrade: websocket", line="GET /@@@@@ HTTP/1.0")


def pipelines():
    one = get()
    yield "two", one + get(line="GET /@@@@@/2 HTTP/1.1")
    yield "ten", b"".join(get(line=f"GET /@@@@@/{n} HTTP/1.1") for n in range(10))
    yield "body-then-get", request("Content-Length: 5", body=TOKEN) + one
    yield "chunked-then-get", request("Transfer-Encoding: chunked", body=CHUNKS) + one
    yield "get-then-bad", one + b"GET /@@@@@ HTTP/1.1\r\nHost a.test\r\n\r\n"
    yield "close-then-get", get("Connection: close") + one
    yield "empty-line-between", one + b"\r\n" + one
    yield "empty-lines-between", one + b"\r\n\r\n" + one
    yield "junk-between", one + b"\x00" + one
    yield "crlf-behind-body", request("Content-Length: 5", body=TOKEN + b"\r\n") + one
    yield "head-then-get", get(line="HEAD /@@@@@ HTTP/1.1") + one


def requests():
    """(name, bytes) of every case."""
    for value in LENGTHS:
        yield f"length {value!r}", request(f"Content-Length: {value}", body=TOKEN)
    for pair in LENGTH_PAIRS:
        first, second = pair.split("/")
        fields = (f"Content-Length: {first}", f"Content-Length: {second}")
        yield f"lengths {pair}", request(*fields, body=TOKEN)
    for value, length in product(CODINGS, ("none", "before", "behind")):
        fields = [f"Transfer-Encoding: {value}"]
        if length != "none":
            fields.insert(0 if length == "before" else 1, f"Content-Length: {len(CHUNKS)}")
        yield f"coding {value!r} length {length}", request(*fields, body=CHUNKS)
    for pair in CODING_PAIRS:
        first, second = pair.split("/")
        fields = (f"Transfer-Encoding: {first}", f"Transfer-Encoding: {second}")
        yield f"codings {pair}", request(*fields, body=CHUNKS)
    for (name, pattern), (field, value, body) in product(
        SPELLINGS,
        (("Content-Length", "5", TOKEN), ("Transfer-Encoding", "chunked", CHUNKS)),
    ):
        line = pattern.format(n=field, v=value, u=field.replace("-", "_"))
        yield f"spelling {name} {field}", request(line, body=body)
    for line in LINES:
        yield f"line {line!r}", request("Content-Length: 5", line=line, body=TOKEN)
    for name, target, host in ABSOLUTE:
        yield f"absolute {name}", get("X: @@@@@", line=f"GET {target} HTTP/1.1", host=host)
    for host in HOSTS:
        yield f"host {host!r}", get(host=host)
    for line in CHUNK_LINES:
        body = text(line) + b"\r\n@@@@@\r\n0\r\n\r\n"
        yield f"chunk {line!r}", request("Transfer-Encoding: chunked", body=body)
    for name, body in CHUNK_ENDS:
        yield f"chunk {name}", request("Transfer-Encoding: chunked", body=body)
    for line in TRAILERS:
        body = b"5\r\n@@@@@\r\n0\r\n" + text(line) + b"\r\n\r\n"
        yield f"trailer {line!r}", request("Transfer-Encoding: chunked", body=body)
    for version, fields in product(("1.0", "1.1"), ("Content-Length: 5", "Transfer-Encoding: chunked", "X: y")):
        body = CHUNKS if "chunked" in fields else TOKEN if "5" in fields else b""
        for connection in ("keep-alive", "close", "Keep-Alive, close", "x"):
            raw = request(fields, f"Connection: {connection}", line=f"POST /@@@@@ HTTP/{version}", body=body)
            yield f"version {version} {fields} {connection}", raw
    for group in (attacks, upgrades, pipelines):
        for name, raw in group():
            yield f"{group.__name__} {name}", raw
