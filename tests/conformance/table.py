#!/usr/bin/env python3
"""Makes docs/conformance.md from what the tests of a build tree left behind.

    table.py BUILD_DIR            writes BUILD_DIR/conformance.md and fails unless every behaviour
                                  has a passing test in memory and one end to end, nothing failed,
                                  and docs/conformance.md says the same
    table.py BUILD_DIR --write    also makes that the committed page

Reads, below BUILD_DIR/conformance/: unit.xml (of ctest), e2e/*.xml (of pytest), matrix.d/*.json,
autobahn.json and differential-*.json; and tests/autobahn/whole.json, which `tests/autobahn/run.sh
--write` leaves. A machine may lack a peer (say, a Python 2.7 for Autobahn): its rows say "skipped"
with the reason, and that alone is no difference to the committed page.
"""

import argparse
import json
import re
import sys
import xml.etree.ElementTree as xml
from collections import defaultdict
from pathlib import Path

from engine import fingerprint

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "conformance.md"
AUTOBAHN = HERE.parent / "autobahn"

HEADING = """# What the HTTP engine shows, and who says so

Made by `tests/conformance/table.py` from the results of `tests/run.sh`; not edited by hand. CI makes
it anew and fails where it differs.
"""


class Row:
    """A behaviour and the results of the tests that are named after it."""

    def __init__(self, number, text, source):
        self.number = int(number)
        self.text = text
        self.source = source
        self.memory = {}
        self.end_to_end = {}
        self.on_openziti = {}

    @property
    def result(self):
        found = [*self.memory.values(), *self.end_to_end.values(), *self.on_openziti.values()]
        if "failed" in found:
            return "FAILED"
        for kind, tests in (("in memory", self.memory), ("end to end", self.end_to_end)):
            if "passed" not in tests.values():
                return f"NOT SHOWN {kind}"
        return "passed"

    @property
    def openziti(self):
        """Which of its tests end to end passed on OpenZiti, too."""
        passed = sum(result == "passed" for result in self.on_openziti.values())
        if "failed" in self.on_openziti.values():
            return "FAILED"
        return f"{passed} of {len(self.end_to_end)}" if passed < len(self.end_to_end) else "all"


def read_behaviours():
    lines = (HERE / "behaviours.tsv").read_text().splitlines()
    return {row.number: row for row in (Row(*line.split("\t")) for line in lines)}


def outcome(case):
    """Of a <testcase> of either program."""
    tags = {child.tag for child in case}
    if tags & {"failure", "error"} or case.get("status") == "fail":
        return "failed"
    if "skipped" in tags or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def read_results(folder, behaviours):
    """Returns why tests were not run on OpenZiti, by their names."""
    reasons = {}
    unit = folder / "unit.xml"
    cases = list(xml.parse(unit).iter("testcase")) if unit.exists() else []
    for case in cases:
        if found := re.fullmatch(r"Behaviour(\d\d)\.\w+", case.get("name")):
            behaviours[int(found.group(1))].memory[case.get("name")] = outcome(case)
    for file in sorted((folder / "e2e").glob("*.xml")):
        for case in xml.parse(file).iter("testcase"):
            # Of a parametrised test, one line; the worst counts.
            name = case.get("name").split("[")[0]
            if found := re.fullmatch(r"test_(\d\d)_\w+", name):
                row = behaviours[int(found.group(1))]
                # The parameter that overlays.py gives comes first; there is none on the embedded one.
                elsewhere = re.search(r"\[openziti[]-]", case.get("name"))
                tests = row.on_openziti if elsewhere else row.end_to_end
                order = ["failed", "passed", "skipped"]
                tests[name] = min(tests.get(name, "skipped"), outcome(case), key=order.index)
                if elsewhere and (skipped := case.find("skipped")) is not None:
                    reasons[name] = skipped.get("message")
    return reasons


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def names(tests):
    marks = {"passed": "", "failed": " FAILED", "skipped": " (skipped)"}
    return "<br>".join(f"`{name}`{marks[result]}" for name, result in sorted(tests.items()))


def behaviours_part(behaviours, reasons):
    rows = [
        (
            *(row.number, row.text, row.source),
            *(names(row.memory), names(row.end_to_end), row.openziti, row.result),
        )
        for row in behaviours.values()
    ]
    whys = "".join(f"- `{name}`: {why}\n" for name, why in sorted(reasons.items()))
    passed = sum(row.result == "passed" for row in behaviours.values())
    return (
        f"\n## Behaviours\n\n{passed} of {len(rows)} pass, each over streams in memory and end to end"
        " (client → access → embedded overlay → share → origin, real processes). The same tests run on"
        " an OpenZiti network, a stand-in for one in CI: how many of those end to end pass there, too,"
        " is in its column. What does not lead through two agents does not run there.\n\n"
        + table(("", "behaviour", "from", "in memory", "end to end", "OpenZiti", "result"), rows)
        + (f"\nOn the embedded overlay only:\n\n{whys}" if whys else "")
    )


def load(file):
    return json.loads(file.read_text()) if file.exists() else None


def matrix_part(folder):
    cells = [load(file) for file in sorted((folder / "matrix.d").glob("*.json"))]
    groups = defaultdict(list)
    for each in cells:
        groups[each["side"]].append(each)
    out = "\n## Clients and servers\n\nThrough access and share, by programs that others wrote.\n"
    for side in ("client", "target"):
        rows = [
            (each["peer"], each["version"], each["what"], each["result"])
            for each in sorted(groups[side], key=lambda each: (each["peer"], each["what"]))
        ]
        out += f"\n### As {side}\n\n" + table((side, "version", "what it does", "result"), rows)
    return out


def summary_part(title, about, summary):
    """A title and rows of [what, result]; written by the suite that ran."""
    if summary is None:
        summary = [["the suite", "NOT RUN"]]
    return f"\n## {title}\n\n{about}\n\n" + table(("", "result"), summary)


OF_WHICH_RUN = "The run of the whole suite was on "  # opens the line that ages with every change


def of_which_run(whole, present):
    """When it was, and of which engine: no failure where that is an earlier one, but plain to see."""
    which = "the same as" if whole["engine"] == present else "**another one than**"
    return f"{OF_WHICH_RUN}{whole['date']}, of engine {whole['engine']}: {which} this page's, {present}."


def whole_autobahn_part(whole, pinned, present):
    """Of the run that is too long for every change; `pinned` is the suite's version that runs now,
    `present` the engine."""
    if whole is None or whole["suite"] != pinned:
        return "\n" + table(("", "result"), [[f"the whole of autobahntestsuite {pinned}", "NOT RUN"]])
    different = {case.split(".")[0] for case in whole["different"]}
    rows = [
        (
            f"section {section}",
            count,
            "FAILED: " + ", ".join(c for c in whole["different"] if c.split(".")[0] == section)
            if section in different
            else "each as directly",
        )
        for section, count in whole["cases"].items()
    ]
    total, other = sum(whole["cases"].values()), len(whole["different"])
    server = ", ".join(f"{count} {behavior}" for behavior, count in whole["directly"].items())
    return (
        f"\nThe whole suite ({whole['suite']}), limits and compression included, by"
        " `tests/autobahn/run.sh` (the nightly preset): "
        f"{total} cases, {total - other} as directly, {other} differ. Of the server itself the suite"
        f" says: {server}.\n\n{of_which_run(whole, present)} (An engine is named by the hash of its"
        " sources, `tests/conformance/engine.py`.)\n\n" + table(("the whole suite", "cases", "result"), rows)
    )


def pinned_autobahn():
    found = re.search(r"autobahntestsuite==(\S+)", (AUTOBAHN / "requirements.txt").read_text())
    return found.group(1)


def build_page(folder):
    behaviours = read_behaviours()
    reasons = read_results(folder, behaviours)
    page = HEADING + behaviours_part(behaviours, reasons) + matrix_part(folder)
    page += summary_part(
        "Websocket: Autobahn",
        "Every case through the tunnel, on the embedded overlay and on OpenZiti (a stand-in in CI),"
        " against the same server directly: same outcome, same close.",
        (load(folder / "autobahn.json") or {}).get("rows"),
    )
    page += whole_autobahn_part(load(AUTOBAHN / "whole.json"), pinned_autobahn(), fingerprint())
    for side in ("requests", "responses"):
        page += summary_part(
            f"Smuggling: the same {side} through Simplon, nginx and haproxy",
            "A recording origin behind each; see tests/differential.",
            (load(folder / f"differential-{side}.json") or {}).get("rows"),
        )
    return page, behaviours


def comparable(page):
    """Lines without what may differ between machines: versions, rows of what is not there, and how
    many cases an oracle of another version passes; nor of which engine the long run was."""
    lines = [re.sub(r"\d+(\.\d+)+\S*", "#", line) for line in page.splitlines()]
    lines = [
        re.sub(r"\d+", "#", line) if re.match(r"\| (forwarded|delivered|refused|others)", line) else line
        for line in lines
    ]
    return {
        line
        for line in lines
        if line.strip() and "skipped" not in line and not line.startswith(OF_WHICH_RUN)
    }


def differences(made, committed):
    """Lines that are only in one of them, but for rows that the other one skipped."""

    def key(line):
        cells = line.split(" | ")
        return (cells[0], cells[2] if len(cells) > 3 else "")

    def skipped(page):
        return {
            key(re.sub(r"\d+(\.\d+)+\S*", "#", line))
            for line in page.splitlines()
            if "skipped" in line
        }

    ours, theirs = comparable(made), comparable(committed)
    only_made = [line for line in ours - theirs if key(line) not in skipped(committed)]
    only_committed = [line for line in theirs - ours if key(line) not in skipped(made)]
    return sorted(f"+ {line}" for line in only_made) + sorted(f"- {line}" for line in only_committed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path, help="build tree in which the tests ran")
    parser.add_argument("--write", action="store_true", help="make it the committed page")
    options = parser.parse_args()
    page, behaviours = build_page(options.build / "conformance")
    (options.build / "conformance.md").write_text(page)
    problems = [
        f"behaviour {row.number}: {row.result}"
        for row in behaviours.values()
        if row.result != "passed"
    ]
    problems += [line for line in page.splitlines() if re.search(r"\| (FAILED|NOT RUN)", line)]
    if options.write:
        PAGE.write_text(page)
    committed = PAGE.read_text() if PAGE.exists() else ""
    if different := differences(page, committed):
        problems.append(f"{PAGE.name} is not what the tests say; run this with --write:")
        problems += different[:20]
    passed = sum(row.result == "passed" for row in behaviours.values())
    print(f"conformance: {passed} of {len(behaviours)} behaviours pass")
    for line in page.splitlines():
        if line.startswith(OF_WHICH_RUN):
            print(f"conformance: {line}")
    for problem in problems:
        print(f"conformance: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
