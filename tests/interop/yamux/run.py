#!/usr/bin/env python3
"""Simplon's sessions against hashicorp's yamux: each side as yamux client and as server, and each
side driving the other. Exits with 77, and says why, where the Go side cannot be built.

    run.py SIMPLON_PEER WORK_FOLDER

What the driver asks, one line at the start of a stream, and what the responder does:
    echo      sends back all it reads, then ends its direction
    count     reads to the end, then answers with "SIZE CRC32\\n"
    send N    sends N bytes of the pattern, then ends its direction
    reset     resets the stream
    hold      answers "held\\n" and waits for the stream's failure
    outcome   answers with the failure of the last held stream
    bye       sends a go-away, then answers "ok\\n"
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent / "go"
SKIPPED = 77
OLDEST = (1, 20)  # what yamux v0.1.2 asks for
LIMIT = 60  # seconds for a run that takes two


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def build_go_peer(work):
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not go:
        skip("Go is not installed")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    version = subprocess.run([go, "version"], env=environment, capture_output=True, text=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", version)
    if not found or tuple(map(int, found.groups())) < OLDEST:
        skip(f"Go is older than {OLDEST[0]}.{OLDEST[1]}: {version.strip() or 'unknown'}")
    fetched = subprocess.run([go, "mod", "download"], cwd=HERE, env=environment, capture_output=True, text=True)
    if fetched.returncode != 0:
        skip(f"the module of yamux cannot be fetched: {fetched.stderr.strip()}")
    peer = work / "yamux_go_peer"
    subprocess.run([go, "build", "-o", peer, "."], cwd=HERE, env=environment, check=True)
    return peer


def run(listener, connector):
    """Both commands end with 0 within the limit."""
    listening = subprocess.Popen([*listener, "listen"], stdout=subprocess.PIPE, text=True)
    try:
        port = listening.stdout.readline().split()[-1]
        connecting = subprocess.Popen([*connector, port], stdout=subprocess.DEVNULL)
        try:
            return connecting.wait(LIMIT) == 0 and listening.wait(LIMIT) == 0
        finally:
            connecting.kill()
    except subprocess.TimeoutExpired:
        print(f"no end within {LIMIT} s")
        return False
    finally:
        listening.kill()
        listening.stdout.close()


def main():
    simplon, work = sys.argv[1], Path(sys.argv[2])
    go = build_go_peer(work)
    failures = 0
    for title, listener, connector in (
        ("Simplon, client, drives Go, server", [go], [simplon, "-drive"]),
        ("Simplon, server, drives Go, client", [simplon, "-drive"], [go]),
        ("Go, client, drives Simplon, server", [simplon], [go, "-drive"]),
        ("Go, server, drives Simplon, client", [go, "-drive"], [simplon]),
    ):
        began = time.monotonic()
        good = run(listener, connector)
        print(f"{'passed' if good else 'FAILED'} in {time.monotonic() - began:.1f} s: {title}", flush=True)
        failures += not good
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
