#!/usr/bin/env python3
"""Checks the rules that a compiler does not: which layer includes which, where the big libraries
may appear, and the house rules that a search can see. Prints each breach as file:line: what.

    tests/structure.py [ROOT]
"""

import os
import re
import sys
from pathlib import Path

# Layer -> the layers it may include (ARCHITECTURE.md). `proto` is the generated API headers.
LAYERS = {
    "base": {"base"},
    "net": {"base", "net"},
    "http": {"base", "net", "http"},
    "overlay": {"base", "net", "overlay"},
    "tunnel": {"base", "net", "http", "overlay", "tunnel"},
    "agent": {"base", "net", "http", "overlay", "tunnel", "agent", "proto"},
    "ctl": {"base", "ctl", "proto"},
    "ctl/test": {"base", "net", "http", "overlay", "tunnel", "ctl", "proto"},
}
ENROLLMENT = re.compile(r"overlay/(embedded/enroll\w*|membership)\.hpp$")

# What may be included -> the files that may do so.
LIBRARIES = {
    "OpenSSL": (r"openssl/", r"lib/net/tls\w*\.|lib/overlay/(embedded|ziti)/(identity|enroll|certificate)\w*\."),
    "SQLite": (r"sqlite3\.h", r"lib/base/database\w*\."),
    "gRPC": (r"grpc(pp)?(\+\+)?/|grpcpp/|.*\.grpc\.pb\.h", r"(agent|ctl)/"),
    "Protobuf": (r"google/protobuf/", r"(agent|ctl|lib/overlay/embedded)/"),
    "the link's messages": (r"simplon/link/v1/", r"lib/overlay/embedded/"),
    "the API's messages": (r"simplon/v1/", r"(agent|ctl)/"),
    "Beast": (r"boost/beast", r"lib/http/|lib/overlay/ziti/rest|ctl/test/|cmake/boost\.cpp"),
    "all of Asio": (r"boost/asio\.hpp", r"(?!)"),
}

MAX_LINES = 600
LINE_LIMITED = {".cpp", ".hpp", ".py", ".sh", ".proto", ".cmake"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
SLEEP = re.compile(r"sleep_for|sleep_until|time\.sleep\(|asyncio\.sleep\(|\bu?sleep\(|\bsleep [0-9.]")
DETACHED = re.compile(r"asio::detached|,\s*detached\s*\)")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
DISABLED = re.compile(r"pytest\.mark\.xfail|\bDISABLED_")


def sources(root):
    for folder in ("agent", "cmake", "ctl", "deploy", "lib", "proto", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix in LINE_LIMITED and "node_modules" not in path.parts:
                yield path.relative_to(root)


def layer_of(path):
    parts = path.parts
    if parts[0] == "lib":
        return parts[1]
    if parts[:2] == ("ctl", "test"):
        return "ctl/test"
    return parts[0] if parts[0] in ("agent", "ctl") else None


def check_include(path, included):
    """The breach of this include, or None."""
    for library, (what, where) in LIBRARIES.items():
        if re.match(what, included) and path.parts[0] != "tests" and not re.match(where, str(path)):
            return f"{library} may not be included here ({included})"
    layer = layer_of(path)
    if layer is None:
        return None
    first = included.split("/", 1)[0]
    wanted = "proto" if included.startswith("simplon/v1/") else first
    if wanted not in {"proto", "base", "net", "http", "overlay", "tunnel", "agent", "ctl"}:
        return None  # a system header, or a neighbour in the same folder
    if "/" not in included or wanted in LAYERS[layer]:
        return None
    if layer == "ctl" and ENROLLMENT.match(included):
        return None
    return f"layer {layer} may not include {included}"


def check_file(root, path):
    text = (root / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield MAX_LINES, f"{len(lines)} lines; at most {MAX_LINES}"
    cpp = path.suffix in (".cpp", ".hpp")
    if path.suffix == ".hpp":
        if "#pragma once" not in lines:
            yield 1, "no #pragma once"
        if not lines or not lines[0].startswith("//"):
            yield 1, "a header opens with what it is and who owns it"
    checks_itself = path.name in ("structure.py", "structure_test.py")
    for number, line in enumerate(lines, 1):
        if cpp and (match := INCLUDE.match(line)):
            if breach := check_include(path, match.group(1)):
                yield number, breach
        if checks_itself:
            continue
        if path.parts[0] == "tests" and SLEEP.search(line):
            yield number, "a test waits for an event, it does not sleep"
        if path.parts[0] == "tests" and DISABLED.search(line):
            yield number, "a test that does not run"
        if cpp and DETACHED.search(line) and not path.parts[0] == "tests":
            yield number, "net::spawn, not detached: detached swallows exceptions"
        if UNFINISHED.search(line):
            yield number, "unfinished by its own words"


def check_tree(root):
    """Every breach under root as (path, line, text)."""
    for path in sources(root):
        for line, breach in check_file(root, path):
            yield path, line, breach
        if path.parts[:2] == ("tests", "unit") and path.suffix == ".cpp" and len(path.parts) > 3:
            mirrored = path.parts[2]
            if not (root / "lib" / mirrored).is_dir() and not (root / mirrored).is_dir():
                yield path, 1, f"tests/unit mirrors the layers; there is no {mirrored}"
    architecture = root / "ARCHITECTURE.md"
    if architecture.exists():
        count = len(architecture.read_text(encoding="utf-8").splitlines())
        if count > 200:
            yield Path("ARCHITECTURE.md"), 200, f"{count} lines; at most 200"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)) + "/..")
    breaches = list(check_tree(root.resolve()))
    for path, line, breach in breaches:
        print(f"{path}:{line}: {breach}")
    print(f"structure: {len(breaches)} breaches" if breaches else "structure: as it should be")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
