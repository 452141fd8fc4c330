"""Servers that people run, behind a share: nginx, apache2, Node's http. The client is httpx or raw."""

import contextlib
import gzip
import hashlib
import os
import tempfile
from pathlib import Path

import httpx
import pytest

from programs import ANSWER
from raw_http import Client, message
from third_party import NGINX_READY, start_nginx, start_on_free_port, version_of

SMALL = b"a small file\n" * 8
PACKED = gzip.compress(SMALL)
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
{user}
DocumentRoot {folder}/files
<Directory {folder}/files>
  Require all granted
</Directory>
"""


def write_files(folder):
    files = folder / "files"
    files.mkdir()
    (files / "small").write_bytes(SMALL)
    (files / "large").write_bytes(LARGE)
    (files / "packed").write_bytes(SMALL)
    (files / "packed.gz").write_bytes(PACKED)
    return folder


def nginx(programs, folder):
    running = start_nginx(
        programs,
        folder,
        "gzip_static on; gzip_proxied any;"
        f"server {{ listen unix:{folder}/nginx.sock; root {folder}/files; }}",
    )
    running.wait_line(NGINX_READY)
    return running, f"unix:{folder}/nginx.sock"


def apache(programs, folder):
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


@pytest.fixture(scope="module")
def served(standing_pair, standing):
    """host:port of an access to each server; started when asked for.

    Their files are not in pytest's folder: that is closed to the user under whom apache2 serves, and
    each run of pytest that starts closes it again.
    """
    alpha, beta = standing_pair
    made = {}

    def address(name):
        if name not in made:
            folder = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="simplon-")))
            folder.chmod(0o755)
            start = {"nginx": nginx, "apache2": apache}[name]
            running, target = start(standing, write_files(folder))
            folders.callback(running.end)
            beta.share(target, name)
            made[name] = alpha.access(name)
        return made[name]

    with contextlib.ExitStack() as folders:
        yield address


VERSIONS = {
    "nginx": lambda: version_of("nginx", "-v"),
    "apache2": lambda: version_of("apache2", "-v"),
    "Node http": lambda: version_of("node", "--version"),
}


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
    url = f"http://{served(name)}/small"
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
    answer = httpx.get(f"http://{served(name)}/large", timeout=ANSWER)
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(LARGE).digest()


@both("many requests on one connection, pipelined")
def test_one_connection(served, name):
    with Client(served(name)) as client:
        client.send(message("GET /small HTTP/1.1", "Host: files.test") * 20)
        for _ in range(20):
            assert client.final().body == SMALL


@pytest.mark.matrix("target", "nginx", "compressed bytes pass as they are")
def test_compression_is_the_targets(served):
    with httpx.stream(
        "GET", f"http://{served('nginx')}/packed", headers={"Accept-Encoding": "gzip"}
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert b"".join(answer.iter_raw()) == PACKED


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
    assert answer.text == hashlib.sha256(LARGE).hexdigest()
