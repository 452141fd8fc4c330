"""A browser's own clients through access, overlay and share: Chromium's websocket, EventSource and
fetch, and what the origin sees of one that stops in the middle.

Nothing is timed: an origin sends its next part when the page has confirmed the last, by a request
of its own, so that a part that is held back anywhere in between never comes.
"""

import contextlib
import hashlib
import queue
import random
import threading

import pytest
import websockets.sync.server as websockets
from websockets.exceptions import ConnectionClosed

from browser import chromium, finished, in_page, sandbox_report, start_in_page
from programs import ANSWER
from raw_http import CHUNKED, FIN, OK, RST, message

PAGE = b"""<!doctype html>
<meta charset="utf-8">
<title>as it came</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<body><img src="/picture.svg"><script src="/script.js"></script>
<form method="post" action="/form"><input name="text"><button>send</button></form>
"""
BARE = b'<!doctype html><title>bare</title><link rel="icon" href="data:,"><body>'
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" width="31" height="17"></svg>'
NOT_FOUND = message("HTTP/1.1 404 Not Found", "Content-Length: 0")
EVENT_STREAM = message(
    "HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"
)
BLOCK = bytes(65536)
# More than all buffers between page and origin hold, so that nothing of that size ends by itself.
LARGE = 256 << 20


@pytest.fixture(scope="module")
def browser():
    with chromium() as context:
        yield context


@pytest.fixture
def version(browser, peer_version):
    peer_version(browser.browser.version)


@pytest.fixture
def page(browser, version):
    opened = browser.new_page()
    yield opened
    opened.close()


class Site:
    """Scripts by path; what nobody wrote one for is not found, and a request may also be told."""

    def __init__(self, origin, address):
        self.url = f"http://{address}"
        self.told = queue.Queue()  # the bodies of POST /told
        self.ended = queue.Queue()  # what the scripts saw at the end
        self.scripts = {"/": whole(BARE, "text/html"), "/told": self._told}
        origin.script = self._script

    def _script(self, request, peer):
        path = request.target.partition("?")[0]
        self.scripts.get(path, not_found)(request, peer)

    def _told(self, request, peer):
        peer.body(request)
        peer.send(OK)
        self.told.put(request.body.decode())

    def next_told(self):
        return self.told.get(timeout=ANSWER)

    def how_ended(self):
        return self.ended.get(timeout=ANSWER)


def not_found(request, peer):
    peer.body(request)
    peer.send(NOT_FOUND)


def whole(body, kind, *fields):
    def script(request, peer):
        peer.body(request)
        length = f"Content-Length: {len(body)}"
        peer.send(message("HTTP/1.1 200 OK", f"Content-Type: {kind}", length, *fields, body=body))

    return script


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def flood(peer):
    """Chunks without end; how the connection ended."""
    try:
        while True:
            peer.send(chunk(BLOCK))
    except (ConnectionResetError, BrokenPipeError):
        return RST


@pytest.fixture
def site(origin, access):
    return Site(origin, access)


@pytest.fixture
def opened(page, site):
    """The page of the site, which does nothing yet."""
    page.goto(site.url)
    return page


def test_the_browser_is_sandboxed(browser):
    said = sandbox_report(browser)
    assert "You are adequately sandboxed." in said, said


@pytest.mark.matrix("client", "Chromium", "a page with script, style sheet, picture and form")
def test_a_page_with_its_parts_and_a_form(page, site):
    site.scripts |= {
        "/": whole(PAGE, "text/html"),
        "/style.css": whole(b"body { color: rgb(1, 2, 3) }", "text/css"),
        "/script.js": whole(b"window.ran = document.title;", "text/javascript"),
        "/picture.svg": whole(PICTURE, "image/svg+xml"),
    }
    posted = queue.Queue()

    def form(request, peer):
        peer.body(request)
        posted.put(request.body)
        peer.send(message("HTTP/1.1 303 See Other", "Location: /thanks", "Content-Length: 0"))

    site.scripts |= {"/form": form, "/thanks": whole(b"<title>thanks</title>", "text/html")}
    page.goto(site.url)
    assert page.evaluate("window.ran") == "as it came"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
    assert page.evaluate("document.images[0].naturalWidth") == 31
    page.fill("input", "Zürich & more")
    page.click("button")
    page.wait_for_url(site.url + "/thanks")
    assert page.title() == "thanks"
    assert posted.get(timeout=ANSWER) == b"text=Z%C3%BCrich+%26+more"


@pytest.mark.matrix("client", "Chromium", "a file saved as a download, whole")
def test_a_download_is_whole(opened, site):
    data = random.Random(4).randbytes(4 << 20)
    attachment = "Content-Disposition: attachment; filename=data.bin"
    site.scripts["/data.bin"] = whole(data, "application/octet-stream", attachment)
    with opened.expect_download() as waited:
        opened.evaluate("() => { location = '/data.bin' }")
    saved = waited.value.path().read_bytes()
    assert hashlib.sha256(saved).digest() == hashlib.sha256(data).digest()
    assert opened.title() == "bare", "the page stays"


# Websocket


class Echo:
    """The `websockets` library as a server that sends back what it gets, and serves a page."""

    def __init__(self):
        self.closed = queue.Queue()  # of the test at work
        self.server = websockets.serve(
            self.serve, "127.0.0.1", 0, process_request=self.page, max_size=None
        )
        port = self.server.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def page(self, connection, request):
        if "Upgrade" in request.headers:
            return None
        response = connection.respond(200, BARE.decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "text/html"
        return response

    def serve(self, connection):
        closed = self.closed
        with contextlib.suppress(ConnectionClosed):  # which is how a code such as 4001 is told
            for received in connection:
                if received == "close, please":
                    connection.close(4002, "as asked")
                else:
                    connection.send(received)
        seen, sent = connection.protocol.close_rcvd, connection.protocol.close_sent
        closed.put((seen, sent, connection.protocol.close_rcvd_then_sent))

    def end(self):
        self.server.shutdown()
        self.thread.join(ANSWER)


@pytest.fixture(scope="module")
def echo():
    server = Echo()
    yield server
    server.end()


@pytest.fixture
def echoing(standing_pair, echo, page):
    """A page at a websocket server, with `socket` open and what `socket` said kept."""
    alpha, beta = standing_pair
    if "browser-echo" not in beta.tunnels():
        beta.share(echo.url, "browser-echo")
    echo.closed = queue.Queue()
    page.goto(f"http://{alpha.access('browser-echo')}/")
    in_page(
        page,
        """() => new Promise((opened, failed) => {
          window.socket = new WebSocket(`ws://${location.host}/echo`);
          socket.binaryType = "arraybuffer";
          socket.onopen = opened;
          socket.onerror = () => failed(new Error("the websocket failed"));
          window.ended = new Promise(done => socket.onclose = ({code, reason, wasClean}) =>
            done([code, reason, wasClean]));
        })""",
    )
    yield page
    in_page(page, "() => { socket.close(); return ended; }")


SEND_TEXT = """text => new Promise(done => {
  socket.onmessage = event => done(event.data);
  socket.send(text);
})"""
SEND_BYTES = """size => new Promise((done, failed) => {
  const sent = new Uint8Array(size).map((_, at) => at * 31 + (at >> 8));
  socket.onmessage = event => {
    const got = new Uint8Array(event.data);
    done([got.length, got.every((byte, at) => byte === sent[at])]);
  };
  socket.send(sent);
})"""


@pytest.mark.matrix("client", "Chromium", "websocket: text there and back")
def test_websocket_text(echoing):
    for text in ("hello", "", "Grüße, 世界 🌍", "long " * 100_000):
        assert in_page(echoing, SEND_TEXT, text) == text


@pytest.mark.matrix("client", "Chromium", "websocket: bytes there and back")
def test_websocket_bytes(echoing):
    for size in (0, 1, 125, 126, 65535, 65536, 4 << 20):
        assert in_page(echoing, SEND_BYTES, size) == [size, True]


@pytest.mark.matrix("client", "Chromium", "websocket: the page's close code, seen by both")
def test_websocket_closed_by_the_page(echoing, echo):
    assert in_page(echoing, SEND_TEXT, "hello") == "hello"
    closed = in_page(echoing, "() => { socket.close(4001, 'enough'); return ended; }")
    assert closed == [4001, "enough", True]
    seen, sent, seen_first = echo.closed.get(timeout=ANSWER)
    assert (seen.code, seen.reason, sent.code, seen_first) == (4001, "enough", 4001, True)


@pytest.mark.matrix("client", "Chromium", "websocket: the server's close code, seen by both")
def test_websocket_closed_by_the_server(echoing, echo):
    closed = in_page(echoing, "() => { socket.send('close, please'); return ended; }")
    assert closed == [4002, "as asked", True]
    seen, sent, seen_first = echo.closed.get(timeout=ANSWER)
    assert (seen.code, sent.code, seen_first) == (4002, 4002, False)


# EventSource


@pytest.mark.matrix("client", "Chromium", "EventSource: event by event, each confirmed first")
def test_events_come_one_by_one(opened, site):
    def events(request, peer):
        peer.send(EVENT_STREAM)
        for number in range(20):
            peer.send(chunk(b"data: event %d\n\n" % number))
            assert site.next_told() == f"event {number}"
        site.ended.put(peer.end())

    site.scripts["/events"] = events
    got = in_page(
        opened,
        """count => new Promise(done => {
          const got = [], source = new EventSource("/events");
          source.onmessage = async event => {
            got.push(event.data);
            if (got.length === count) source.close();
            await fetch("/told", {method: "POST", body: event.data});
            if (got.length === count) done(got);
          };
        })""",
        20,
    )
    assert got == [f"event {number}" for number in range(20)]
    assert site.how_ended() in (FIN, RST), "close() reaches the origin"


@pytest.mark.matrix("client", "Chromium", "EventSource: comes back with the last event's id")
def test_events_go_on_where_they_were_cut(opened, site):
    def events(request, peer):
        last = int(request.value("last-event-id") or 0)
        peer.send(EVENT_STREAM, chunk(b"retry: 1\nid: %d\ndata: number %d\n\n" % (last + 1, last)))
        assert site.next_told() == f"number {last}"
        peer.close()

    site.scripts["/events"] = events
    got = in_page(
        opened,
        """() => new Promise(done => {
          const got = [], source = new EventSource("/events");
          source.onmessage = async event => {
            got.push(event.data);
            if (got.length === 3) source.close();
            await fetch("/told", {method: "POST", body: event.data});
            if (got.length === 3) done(got);
          };
        })""",
    )
    assert got == ["number 0", "number 1", "number 2"]


# fetch

READ_PARTS = """async () => {
  const parts = [], reader = (await fetch("/stream")).body.getReader();
  for (let part; !(part = await reader.read()).done;) {
    parts.push(new TextDecoder().decode(part.value));
    await fetch("/told", {method: "POST", body: parts.at(-1)});
  }
  return parts;
}"""


@pytest.mark.matrix("client", "Chromium", "fetch: a streamed response, read part by part")
def test_a_streamed_response_is_read_part_by_part(opened, site):
    parts = [f"part {number}" for number in range(20)]

    def stream(request, peer):
        peer.send(CHUNKED)
        for part in parts:
            peer.send(chunk(part.encode()))
            assert site.next_told() == part
        peer.send(b"0\r\n\r\n")

    site.scripts["/stream"] = stream
    assert in_page(opened, READ_PARTS) == parts


@pytest.mark.matrix("client", "Chromium", "fetch: a response that is cut is an error, not an end")
def test_a_cut_response_is_an_error(opened, site):
    def stream(request, peer):
        peer.send(CHUNKED, chunk(b"part"))
        assert site.next_told() == "part"
        peer.close()

    site.scripts["/stream"] = stream
    said = in_page(opened, f"() => ({READ_PARTS})().catch(error => error.name)")
    assert said == "TypeError"


@pytest.mark.matrix("client", "Chromium", "fetch: an aborted upload is cut at the origin")
def test_an_aborted_upload_is_cut(opened, site):
    begun = threading.Event()
    aborted = threading.Event()

    def upload(request, peer):
        peer.exactly(len(BLOCK))
        begun.set()
        assert aborted.wait(ANSWER)
        size = len(BLOCK) + len(peer.rest())
        site.ended.put((request.length, size, peer.ended))

    site.scripts["/upload"] = upload
    start_in_page(
        opened,
        """size => {
          window.controller = new AbortController();
          const body = new Blob(Array(size >> 20).fill(new Uint8Array(1 << 20)));
          return fetch("/upload", {method: "POST", body, signal: controller.signal})
            .then(() => "answered", error => error.name);
        }""",
        LARGE,
    )
    assert begun.wait(ANSWER)
    opened.evaluate("controller.abort()")
    assert finished(opened) == "AbortError"
    aborted.set()
    length, size, how = site.how_ended()
    assert length == LARGE
    assert size < LARGE
    assert how in (FIN, RST)


@pytest.mark.matrix("client", "Chromium", "fetch: an upload of 64 MiB, whole")
def test_an_upload_is_whole(opened, site):
    size = 64 << 20

    def upload(request, peer):
        site.ended.put((request.length, peer.digest(request.length)))
        peer.send(OK)

    site.scripts["/upload"] = upload
    status = in_page(
        opened,
        """async size => {
          const block = new Uint8Array(1 << 20).map((_, at) => at * 31 + (at >> 8));
          const body = new Blob(Array(size >> 20).fill(block));
          return (await fetch("/upload", {method: "POST", body})).status;
        }""",
        size,
    )
    assert status == 200
    block = bytes((at * 31 + (at >> 8)) & 255 for at in range(1 << 20))
    assert site.how_ended() == (size, hashlib.sha256(block * (size >> 20)).digest())


# A page that goes

BEGIN_DOWNLOAD = """async () => {
  window.reader = (await fetch("/download")).body.getReader();
  return (await reader.read()).value.length > 0;
}"""


def close_in_download(browser, site, then):
    """How the download ended at the origin, which sent a part and does `then`."""

    def download(request, peer):
        peer.send(CHUNKED, chunk(BLOCK))
        site.ended.put(then(peer))

    site.scripts["/download"] = download
    page = browser.new_page()
    page.goto(site.url)
    assert in_page(page, BEGIN_DOWNLOAD)
    assert site.ended.empty()
    page.close()
    return site.how_ended()


@pytest.mark.matrix("client", "Chromium", "a page closed in a download at rest: the origin sees it")
def test_a_page_closed_while_a_download_rests(browser, version, site):
    # Within the time of a client that has ended its side, as a browser's end looks like.
    assert close_in_download(browser, site, lambda peer: peer.end()) in (FIN, RST)


@pytest.mark.matrix("client", "Chromium", "a page closed in a full download: the origin sees it")
def test_a_page_closed_while_a_download_is_full(browser, version, site):
    assert close_in_download(browser, site, flood) == RST


@pytest.mark.matrix("client", "Chromium", "a page left in a full download: the origin sees it")
def test_a_page_left_in_the_middle_of_a_download(opened, site):
    def download(request, peer):
        peer.send(CHUNKED)
        site.ended.put(flood(peer))

    site.scripts |= {"/download": download, "/next": whole(BARE, "text/html")}
    assert in_page(opened, BEGIN_DOWNLOAD)
    opened.goto(site.url + "/next")
    assert site.how_ended() == RST
