"""The table says what the results say: python3 tests/conformance/table_test.py"""

import json
import tempfile
import unittest
from pathlib import Path

import engine
import table

UNIT = '<testsuite><testcase name="{name}" status="{status}"/></testsuite>'
E2E = '<testsuites><testsuite><testcase name="{name}">{inside}</testcase></testsuite></testsuites>'


class TableTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "e2e").mkdir()
        (self.folder / "matrix.d").mkdir()

    def unit(self, name="Behaviour04.Refuses", status="run"):
        (self.folder / "unit.xml").write_text(UNIT.format(name=name, status=status))

    def end_to_end(self, name="test_04_refuses", inside=""):
        (self.folder / "e2e" / "x.xml").write_text(E2E.format(name=name, inside=inside))

    def row(self, number=4):
        return table.build_page(self.folder)[1][number]

    def test_needs_a_test_in_memory_and_one_end_to_end(self):
        self.assertEqual(self.row().result, "NOT SHOWN in memory")
        self.unit()
        self.assertEqual(self.row().result, "NOT SHOWN end to end")
        self.end_to_end()
        self.assertEqual(self.row().result, "passed")
        self.assertEqual(self.row(5).result, "NOT SHOWN in memory")

    def test_a_failure_of_any_test_fails_the_behaviour(self):
        self.unit(status="fail")
        self.end_to_end()
        self.assertEqual(self.row().result, "FAILED")
        self.unit()
        self.end_to_end(inside="<failure/>")
        self.assertEqual(self.row().result, "FAILED")

    def test_a_skipped_test_shows_nothing(self):
        self.unit()
        self.end_to_end(inside="<skipped/>")
        self.assertEqual(self.row().result, "NOT SHOWN end to end")

    def test_one_failing_parameter_fails_its_test(self):
        self.unit()
        (self.folder / "e2e" / "x.xml").write_text(
            "<testsuite>"
            '<testcase name="test_04_refuses[a]"/>'
            '<testcase name="test_04_refuses[b]"><failure/></testcase>'
            '<testcase name="test_04_refuses[c]"><skipped/></testcase>'
            "</testsuite>"
        )
        self.assertEqual(self.row().end_to_end, {"test_04_refuses": "failed"})

    def test_tests_on_openziti_have_a_column_and_fail_the_behaviour_too(self):
        def results(*openziti):
            self.unit()
            cases = '<testcase name="test_04_a[x]"/><testcase name="test_04_b"/>' + "".join(openziti)
            (self.folder / "e2e" / "x.xml").write_text(f"<testsuite>{cases}</testsuite>")
            return self.row()

        first = '<testcase name="test_04_a[openziti-x]"/>'
        self.assertEqual((results().openziti, self.row().result), ("0 of 2", "passed"))
        self.assertEqual((results(first).openziti, self.row().result), ("1 of 2", "passed"))
        second = '<testcase name="test_04_b[openziti]">{}</testcase>'
        self.assertEqual(results(first, second.format("")).openziti, "all")
        bad = results(first, second.format("<failure/>"))
        self.assertEqual((bad.openziti, bad.result), ("FAILED", "FAILED"))
        skipped = results(first, second.format('<skipped message="only there"/>'))
        self.assertEqual((skipped.openziti, skipped.result), ("1 of 2", "passed"))
        self.assertIn("- `test_04_b`: only there\n", table.build_page(self.folder)[0])

    def cell(self, **changes):
        row = {"side": "client", "peer": "curl", "version": "7.88.1", "what": "x"}
        (self.folder / "matrix.d" / "a.json").write_text(
            json.dumps(row | {"result": "passed"} | changes)
        )
        return table.build_page(self.folder)[0]

    def test_versions_and_skipped_rows_are_no_difference(self):
        page = self.cell()
        self.assertEqual(table.differences(page, self.cell(version="8.1.0")), [])
        skipped = self.cell(version="", result="skipped: no curl")
        self.assertEqual(table.differences(page, skipped), [])
        self.assertEqual(table.differences(skipped, page), [])

    def test_a_skipped_suite_is_no_difference(self):
        def page(**rows):
            (self.folder / "autobahn.json").write_text(json.dumps({"rows": list(rows.items())}))
            return table.build_page(self.folder)[0]

        whole = page(suite="autobahntestsuite 25.10.1", section="16 cases", differ="0")
        skipped = page(**dict.fromkeys(("suite", "section", "differ"), "skipped: no Python 2.7"))
        self.assertEqual(table.differences(skipped, whole), [])
        self.assertEqual(table.differences(whole, skipped), [])

    def test_another_result_is_a_difference(self):
        page = self.cell()
        self.assertEqual(len(table.differences(page, self.cell(result="FAILED"))), 2)
        self.assertEqual(len(table.differences(page, self.cell(what="another thing"))), 2)

    def whole(self, **changes):
        """A run of the whole of Autobahn's version 1 by engine e1."""
        return {"date": "2026-01-02", "engine": "e1", "suite": "1", "different": {}} | changes

    def test_a_whole_run_says_of_which_engine_it_is_and_may_be_of_an_earlier_one(self):
        whole = self.whole(cases={"1": 16}, directly={"OK": 16})
        now, later = (table.whole_autobahn_part(whole, "1", engine) for engine in ("e1", "e2"))
        self.assertIn("2026-01-02, of engine e1: the same as this page's, e1.", now)
        self.assertIn("2026-01-02, of engine e1: **another one than** this page's, e2.", later)
        self.assertEqual(table.differences(now, later), [])

    def test_an_engine_is_named_by_its_sources(self):
        for name, text in (("lib/http/a.cpp", "1"), ("lib/overlay/x/b.hpp", "2"), ("lib/net/c.txt", "3")):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        first = engine.fingerprint(self.folder)
        (self.folder / "lib/net/c.txt").write_text("4")
        self.assertEqual(engine.fingerprint(self.folder), first)
        (self.folder / "lib/overlay/x/b.hpp").write_text("3")
        self.assertNotEqual(engine.fingerprint(self.folder), first)

    def test_a_whole_run_of_another_version_of_autobahn_is_none(self):
        whole = self.whole(cases={"1": 16, "9": 54}, directly={"OK": 70})
        page = table.whole_autobahn_part(whole, "1", "e1")
        self.assertIn("70 cases, 70 as directly, 0 differ", page)
        self.assertNotRegex(page, "FAILED|NOT RUN")
        self.assertIn("| NOT RUN |", table.whole_autobahn_part(whole, "2", "e1"))
        self.assertIn("| NOT RUN |", table.whole_autobahn_part(None, "2", "e1"))

    def test_a_case_of_autobahn_that_differs_is_a_failure_of_its_section(self):
        whole = self.whole(cases={"1": 16, "12": 90}, directly={"OK": 106}, different={"12.1.3": {}})
        page = table.whole_autobahn_part(whole, "1", "e1")
        self.assertIn("| section 12 | 90 | FAILED: 12.1.3 |", page)
        self.assertIn("| section 1 | 16 | each as directly |", page)


if __name__ == "__main__":
    unittest.main()
