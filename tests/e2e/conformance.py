"""What a test says to the conformance table (tests/conformance/table.py).

    @pytest.mark.matrix("client", "curl", "uploads with 100-continue")
    def test_…(peer_version):
        peer_version("7.88.1")

marks a test as one row of the matrix: a third party's program, as client or as target, and what it
did. The row's result is the test's own. `summary("autobahn", rows)` leaves a whole section.
"""

import json
import os
import re
from pathlib import Path

FOLDER = Path(os.environ.get("SIMPLON_BUILD_DIR", "build/release")).resolve() / "conformance"


def record_row(item, report):
    """Called for each phase of each test; writes the row of a marked one."""
    mark = item.get_closest_marker("matrix")
    if mark is None or (report.when != "call" and report.passed):
        return
    side, peer, what = mark.args
    result = report.outcome
    if report.skipped and isinstance(report.longrepr, tuple):
        result += ": " + report.longrepr[2].removeprefix("Skipped: ")
    row = {
        "side": side,
        "peer": peer,
        "version": dict(item.user_properties).get("peer_version", ""),
        "what": what,
        "result": result.upper() if report.failed else result,
    }
    name = re.sub(r"[^a-z0-9]+", "-", f"{side} {peer} {what}".lower()).strip("-")
    folder = FOLDER / "matrix.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(row))


def summary(section, rows):
    """Leaves a section of the table: rows of [what, result]."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{section}.json").write_text(json.dumps({"rows": rows}))
