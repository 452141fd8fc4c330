"""Servers that people run, behind a share: nginx, apache2, Node's http. The client is httpx or raw."""

import contextlib
import gzip
import hashlib
import os
import tempfile
import threading
import zlib
from pathlib import Path

import httpx
import pytest

from programs import ANSWER
from raw_http import CHUNKED, Client, message, reply
from third_party import NGINX_READY, start_nginx, start_on_free_port, version_of

SMALL = b"a small file\n" * 8
PACKED = gzip.compress(SMALL)
TAKES_GZIP = {"Accept-Encoding": "gzip"}
LARGE = hashlib.sha256(b"large").digest() * (2 * 1024 * 1024)  # 64 MiB

APACHE = """
ServerRoot {folder}
ServerName files.test
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog /dev/stderr
LogLevel notice
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dav_module /usr/lib/apache2/modules/mod_dav.so
LoadModule dav_fs_module /usr/lib/apache2/modules/mod_dav_fs.so
{user}
DocumentRoot {folder}/files
DavLockDB {folder}/files/put/lock
<Directory {folder}/files>
  Require all granted
</Directory>
<Directory {folder}/files/put>
  Dav On
</Directory>
"""

# In /squeezed/ nginx compresses files, in /live/ what our recording origin streams through it.
NGINX = """
server {{
  listen unix:{folder}/nginx.sock;
  root {folder}/files;
  location / {{
    gzip_static on;
    gzip_proxied any;
  }}
  location /put/ {{
    dav_methods PUT;
    client_max_body_size 0;
  }}
  location /squeezed/ {{
    alias {folder}/files/;
    gzip on;
    gzip_comp_level 1;
    gzip_proxied any;
    gzip_types *;
  }}
  location /live/ {{
    proxy_pass {origin};
    proxy_http_version 1.1;
    proxy_buffering off;
    gzip on;
    gzip_proxied any;
    gzip_types *;
    gzip_min_length 0;
  }}
}}
"""


def write_files(folder):
    files = folder / "files"
    files.mkdir()
    (files / "small").write_bytes(SMALL)
    (files / "large").write_bytes(LARGE)
    (files / "packed").write_bytes(SMALL)
    (files / "packed.gz").write_bytes(PACKED)
    (files / "put").mkdir()
    # apache2 serves as somebody else.
    (files / "put").chmod(0o777)
    return folder


def nginx(programs, folder, origin):
    running = start_nginx(programs, folder, NGINX.format(folder=folder, origin=origin))
    running.wait_line(NGINX_READY)
    return running, f"unix:{folder}/nginx.sock"


def apache(programs, folder, _):
    # As root it wants another user for the processes that serve.
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    unixd = Path("/usr/lib/apache2/modules/mod_unixd.so")
    if unixd.exists():
        user = f"LoadModule unixd_module {unixd}\n{user}"

    def start(port):
        config = folder / "apache.conf"
        config.write_text(APACHE.format(folder=folder, port=port, user=user))
        return programs.program("apache2", "-f", config, "-DFOREGROUND", title="apache2")

    port, running = start_on_free_port(start, "resuming normal operations", "could not bind|AH00072")
    return running, f"http://127.0.0.1:{port}"


class Served:
    """A running server's access, and the folder that it serves."""

    def __init__(self, address, files):
        self.url = f"http://{address}"
        self.address = address
        self.files = files


@pytest.fixture(scope="module")
def served(standing_pair, standing, recorder):
    """A Served for a name; started when asked for.

    Their files are not in pytest's folder: that is closed to the user under whom apache2 serves, and
    each run of pytest that starts closes it again.
    """
    alpha, beta = standing_pair
    made = {}

    def server(name):
        if name not in made:
            folder = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="simplon-")))
            folder.chmod(0o755)
            start = {"nginx": nginx, "apache2": apache}[name]
            running, target = start(standing, write_files(folder), recorder.url)
            folders.callback(running.end)
            beta.share(target, name)
            made[name] = Served(alpha.access(name), folder / "files")
        return made[name]

    with contextlib.ExitStack() as folders:
        yield server


VERSIONS = {
    "nginx": lambda: version_of("nginx", "-v"),
    "apache2": lambda: version_of("apache2", "-v"),
    "Node http": lambda: version_of("node", "--version"),
}


def sum_of(data):
    return hashlib.sha256(data).hexdigest()


def both(what):
    """A test of each server, a row each."""
    return pytest.mark.parametrize(
        "name",
        [
            pytest.param(name, marks=pytest.mark.matrix("target", name, what))
            for name in ("nginx", "apache2")
        ],
    )


@pytest.fixture(autouse=True)
def its_version(request, peer_version):
    peer_version(VERSIONS[request.node.get_closest_marker("matrix").args[1]]())


@both("conditional requests and ranges: 304, 206, 416")
def test_conditions_and_ranges(served, name):
    url = f"{served(name).url}/small"
    whole = httpx.get(url)
    assert (whole.status_code, whole.content) == (200, SMALL)
    same = httpx.get(url, headers={"If-None-Match": whole.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    part = httpx.get(url, headers={"Range": "bytes=2-6"})
    assert (part.status_code, part.content) == (206, SMALL[2:7])
    assert part.headers["content-range"] == f"bytes 2-6/{len(SMALL)}"
    assert httpx.get(url, headers={"Range": "bytes=9999-"}).status_code == 416
    head = httpx.head(url)
    assert (head.headers["content-length"], head.content) == (str(len(SMALL)), b"")


@both("a file of 64 MiB, whole")
def test_a_large_file(served, name):
    answer = httpx.get(f"{served(name).url}/large", timeout=ANSWER)
    assert sum_of(answer.content) == sum_of(LARGE)


def in_parts(data):
    """A body of unknown length: httpx sends it in chunks."""
    for at in range(0, len(data), 65536):
        yield data[at : at + 65536]


@both("uploads of 64 MiB, with a length and in chunks, whole")
def test_large_uploads(served, name):
    server = served(name)
    for file, body in (("counted", LARGE), ("chunked", in_parts(LARGE))):
        answer = httpx.put(f"{server.url}/put/{file}", content=body, timeout=ANSWER)
        assert answer.status_code == 201, answer.text
        assert sum_of((server.files / "put" / file).read_bytes()) == sum_of(LARGE)


@both("many requests on one connection, pipelined")
def test_one_connection(served, name):
    with Client(served(name).address) as client:
        client.send(message("GET /small HTTP/1.1", "Host: files.test") * 20)
        for _ in range(20):
            assert client.final().body == SMALL


@pytest.mark.matrix("target", "nginx", "compressed bytes pass as they are")
def test_compression_is_the_targets(served):
    with httpx.stream("GET", f"{served('nginx').url}/packed", headers=TAKES_GZIP) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert b"".join(answer.iter_raw()) == PACKED


@pytest.mark.matrix("target", "nginx", "compressed on the fly: each part is read before the next is sent")
def test_compression_on_the_fly(served, origin):
    gate = threading.Event()
    origin.script = reply(CHUNKED, b"6\r\nfirst \r\n", gate, b"6\r\nsecond\r\n0\r\n\r\n")
    unpack = zlib.decompressobj(wbits=31)
    with httpx.stream(
        "GET", f"{served('nginx').url}/live/", headers=TAKES_GZIP, timeout=ANSWER
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in answer.headers
        text = b""
        for part in answer.iter_raw():
            text += unpack.decompress(part)
            if text == b"first ":
                gate.set()
    assert (text, unpack.eof) == (b"first second", True)


@pytest.mark.matrix("target", "nginx", "a file of 64 MiB compressed on the fly, whole")
def test_a_large_file_compressed_on_the_fly(served):
    with httpx.stream("GET", f"{served('nginx').url}/squeezed/large", headers=TAKES_GZIP) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert "content-length" not in answer.headers
        total = hashlib.sha256()
        for part in answer.iter_bytes():
            total.update(part)
    assert total.hexdigest() == sum_of(LARGE)


@pytest.mark.matrix("target", "Node http", "chunks with a trailer, and an upload of 64 MiB")
def test_node(standing_pair, standing):
    alpha, beta = standing_pair
    running = standing.program("node", Path(__file__).with_name("files.js"), title="node")
    port = running.wait_line(r"listening on (\d+)").group(1)
    beta.share(f"http://127.0.0.1:{port}", "node")
    address = alpha.access("node")
    with Client(address) as client:
        answer = client.ask(message("GET / HTTP/1.1", "Host: a", "TE: trailers"))
        assert (answer.framing, answer.body) == ("chunked", b"first second")
        assert ("X-Sum", "12") in answer.trailers
    answer = httpx.put(f"http://{address}/", content=LARGE, timeout=ANSWER)
    assert answer.text == sum_of(LARGE)
