"""curl as the client: access → overlay → share → an origin that records to the byte."""

import gzip
import hashlib
import re
import subprocess
import threading

import pytest

from programs import ANSWER, environment
from raw_http import CHUNKED, FIN, OK, RST, Cut, may_be_cut, message, reply
from third_party import run, version_of

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BODY = bytes(range(256)) * 4096


@pytest.fixture(autouse=True)
def version(peer_version):
    peer_version(version_of("curl", "--version"))


def row(what):
    return pytest.mark.matrix("client", "curl", what)


def curl(*arguments, **options):
    return run("curl", "-sS", "--max-time", ANSWER, *arguments, **options)


@pytest.fixture
def started():
    """A curl that the test goes on talking to; ended with the test."""
    processes = []

    def start(*arguments):
        processes.append(
            subprocess.Popen(
                ["curl", "-sS", "--max-time", str(ANSWER), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "file"
    made.write_bytes(BODY)
    return made


@row("upload with Expect: 100-continue, the body comes only behind the 100")
def test_a_body_waits_for_the_100(access, origin, file):
    early = []

    def script(request, peer):
        early.append(peer.unread())
        peer.send(CONTINUE)
        peer.body(request)
        peer.send(OK)

    origin.script = script
    waits = ("-H", "Expect: 100-continue", "--expect100-timeout", str(ANSWER))
    assert curl(*waits, "-T", file, f"http://{access}/late").stdout == b"ok"
    request = origin.one()
    assert early == [b""]
    assert (request.method, request.body) == ("PUT", BODY)


@row("upload with Expect: 100-continue, refused: no body is sent")
def test_a_refusal_instead_of_the_100(access, origin, file):
    refusal = message("HTTP/1.1 401 Unauthorized", "Content-Length: 4", body=b"who?")
    origin.script = may_be_cut(lambda request, peer: (peer.send(refusal), peer.body(request)))
    waits = ("-H", "Expect: 100-continue", "--expect100-timeout", str(ANSWER))
    assert curl(*waits, "-T", file, f"http://{access}/no").stdout == b"who?"
    assert origin.wait(1)[0].body == b""


@row("upload from a pipe (-T -), chunked: what is written arrives before more is")
def test_an_upload_from_a_pipe_streams(access, origin, started):
    client = started("-T", "-", f"http://{access}/pipe")
    client.stdin.write(b"first ")
    client.stdin.flush()
    (request,) = origin.wait(1)
    assert request.wait_body(6) == b"first "
    answer, errors = client.communicate(b"second", timeout=ANSWER)
    assert (client.returncode, answer) == (0, b"ok"), errors
    assert request.wait_complete().body == b"first second"
    assert (request.framing, request.value("expect")) == ("chunked", "100-continue")


@row("upload answered before its end (413)")
def test_an_early_answer_to_an_upload(access, origin, started):
    large = message("HTTP/1.1 413 Content Too Large", "Content-Length: 5", "Connection: close", body=b"large")
    origin.script = may_be_cut(
        lambda request, peer: (peer.send(CONTINUE), peer.send(large), peer.body(request))
    )
    # curl looks for an answer only while there is something to send.
    client = started("-w", "%{http_code}", "-T", "-", f"http://{access}/much")
    with pytest.raises(BrokenPipeError):
        while True:
            client.stdin.write(BODY)
    assert client.stdout.read() == b"large413"


@row("upload aborted: the target sees it")
def test_an_aborted_upload(access, origin, started):
    cut = threading.Event()

    def script(request, peer):
        with pytest.raises(Cut):
            peer.body(request)
        cut.set()

    origin.script = script
    client = started("-H", "Expect:", "-T", "-", f"http://{access}/abort")
    client.stdin.write(b"first ")
    client.stdin.flush()
    origin.wait(1)[0].wait_body(6)
    client.kill()
    assert cut.wait(ANSWER)
    assert not origin.wait(1)[0].complete


@row("download aborted: the target sees it")
def test_an_aborted_download(access, origin, started):
    ended = threading.Event()
    origin.script = reply(CHUNKED, b"5\r\nfirst\r\n", lambda _, peer: (peer.rest(), ended.set()))
    client = started("-N", f"http://{access}/abort")
    assert client.stdout.read(5) == b"first"
    client.kill()
    assert ended.wait(ANSWER)


@row("download that streams (-N): what is sent arrives before more is")
def test_a_download_streams(access, origin, started):
    gate = threading.Event()
    origin.script = reply(CHUNKED, b"5\r\nfirst\r\n", gate, b"3\r\nend\r\n0\r\n\r\n")
    client = started("-N", f"http://{access}/")
    assert client.stdout.read(5) == b"first"
    gate.set()
    assert client.communicate(timeout=ANSWER)[0] == b"end"


@row("trailers")
def test_trailers(access, origin):
    end = b"0\r\nX-Checksum: abc\r\n\r\n"
    origin.script = reply(CHUNKED.replace(b"OK\r\n", b"OK\r\nTrailer: X-Checksum\r\n"), b"2\r\nhi\r\n", end)
    asked = ("-H", "TE: trailers", "-H", "Connection: TE")
    said = curl("-i", *asked, f"http://{access}/").stdout
    assert said.endswith(b"\r\n\r\nhiX-Checksum: abc\r\n")
    assert origin.one().value("te") == "trailers"


@row("HEAD: length and no body, on a connection that is used again")
def test_head(access, origin):
    origin.script = lambda request, peer: peer.send(
        message("HTTP/1.1 200 OK", "Content-Length: 1234", "ETag: \"x\"")
        if request.method == "HEAD"
        else OK
    )
    url = f"http://{access}/"
    done = curl("-v", "-I", url, "--next", "-sSv", url)
    assert b"Content-Length: 1234" in done.stdout
    assert b'ETag: "x"' in done.stdout
    assert done.stdout.endswith(b"ok")
    assert b"Re-using existing connection" in done.stderr


@row("ranges, and a download that is resumed (-C)")
def test_ranges(access, origin, tmp_path):
    def script(request, peer):
        first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", request.value("range")).groups()
        part = BODY[int(first) : int(last) + 1 if last else None]
        where = f"Content-Range: bytes {first}-{int(first) + len(part) - 1}/{len(BODY)}"
        length = f"Content-Length: {len(part)}"
        peer.send(message("HTTP/1.1 206 Partial Content", where, length, body=part))

    origin.script = script
    url = f"http://{access}/file"
    assert curl("-r", "250-1299", url).stdout == BODY[250:1300]
    partial = tmp_path / "partial"
    partial.write_bytes(BODY[:100_000])
    curl("-C", "-", "-o", partial, url)
    assert partial.read_bytes() == BODY
    assert [request.value("range") for request in origin.wait(2)] == ["bytes=250-1299", "bytes=100000-"]


@row("HTTP/1.0: a chunked answer comes until close")
def test_http_1_0(access, origin):
    origin.script = reply(CHUNKED, b"4\r\nbody\r\n0\r\n\r\n")
    done = curl("-i", "--http1.0", f"http://{access}/", f"http://{access}/")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.startswith(b"body")
    assert len(origin.wait(2)) == 2


@row("--compressed: the coding is the target's")
def test_compressed(access, origin):
    packed = gzip.compress(BODY)
    fields = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}")
    origin.script = reply(message("HTTP/1.1 200 OK", *fields, body=packed))
    assert curl("--compressed", f"http://{access}/").stdout == BODY
    assert "gzip" in origin.one().value("accept-encoding")


@row("a form with a file (-F)")
def test_a_form(access, origin, file):
    assert curl("-F", "name=value", "-F", f"file=@{file}", f"http://{access}/form").stdout == b"ok"
    request = origin.one()
    assert BODY in request.body
    assert len(request.body) == request.length
    assert request.value("content-type").startswith("multipart/form-data; boundary=")


@row("a redirect, a POST and cookies over one connection")
def test_redirects_and_cookies(access, origin):
    def script(request, peer):
        peer.body(request)
        if request.target == "/login":
            fields = ("Location: /home", "Set-Cookie: a=1", "Set-Cookie: b=2; Path=/", "Content-Length: 0")
            peer.send(message("HTTP/1.1 303 See Other", *fields))
        else:
            peer.send(OK)

    origin.script = script
    done = curl("-v", "-L", "-c", "/dev/null", "-d", "user=me", f"http://{access}/login")
    login, home = origin.wait(2)
    assert (login.body, home.method) == (b"user=me", "GET")
    assert sorted(home.value("cookie").split("; ")) == ["a=1", "b=2"]
    assert b"Re-using existing connection" in done.stderr


@row("a target to the letter (--path-as-is)")
def test_the_target_to_the_letter(access, origin):
    target = "/a/../b//c;d?x=%2F&y=[1]&z={}"
    curl("-g", "--path-as-is", f"http://{access}{target}")
    assert origin.one().target == target


@row("40 transfers in parallel (-Z)")
def test_parallel(access, origin, tmp_path):
    def body(target):
        return hashlib.sha256(target.encode()).hexdigest().encode() * 1000

    origin.script = lambda request, peer: peer.send(
        message("HTTP/1.1 200 OK", "Content-Length: 64000", body=body(request.target))
    )
    wanted = [f"/{number}" for number in range(40)]
    many = ("-Z", "--parallel-max", "40", "--create-dirs", "-o", tmp_path / "#1")
    curl(*many, f"http://{access}/[0-39]")
    assert sorted(request.target for request in origin.wait(40)) == sorted(wanted)
    for target in wanted:
        assert (tmp_path / target[1:]).read_bytes() == body(target)


@row("a cut answer is an error, not an end")
@pytest.mark.parametrize(
    ("head", "end"),
    [(CHUNKED + b"a\r\nfive", RST), (message("HTTP/1.1 200 OK", "Content-Length: 9", body=b"five"), FIN)],
    ids=["chunked", "length"],
)
def test_a_cut_answer(access, origin, head, end):
    origin.script = reply(head, end)
    done = subprocess.run(
        ["curl", "-sS", f"http://{access}/"], capture_output=True, timeout=ANSWER, env=environment()
    )
    assert done.returncode in (18, 56), done  # a partial file, or a reset


@row("as a proxy (-x): the host of the URL is asked, CONNECT is refused")
def test_as_a_proxy(access, origin):
    assert curl("-x", access, "http://other.test/path?q").stdout == b"ok"
    request = origin.one()
    assert (request.target, request.value("host")) == ("/path?q", "other.test")
    refused = curl("-p", "-x", access, "http://other.test/", code=56)
    assert b"405" in refused.stderr
    assert len(origin.wait(1)) == 1
