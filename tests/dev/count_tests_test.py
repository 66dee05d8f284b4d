#!/usr/bin/env python3
"""The closing lines of a test run, of a small project whose tests go wrong in every way that meson knows.

Usage: count_tests_test.py ROOT
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

COUNT = pathlib.Path(sys.argv.pop(1)) / "tools/dev/count_tests.py"
OLD_REPORT = """<testsuites><testsuite name="Old" timestamp="2020-01-01T00:00:00.000">
<testcase name="one"/><testcase name="two"/></testsuite></testsuites>"""
NEW_REPORT = """import datetime, sys
open("{name}.xml", "w").write('<testsuites><testsuite name="New" timestamp="' + datetime.datetime.now().isoformat(timespec="milliseconds") + '">'
  '<testcase name="good"/><testcase name="absent"><skipped message="no card here"/></testcase>{more}</testsuite></testsuites>')
sys.exit({status})"""
# Program: (its text, meson's protocol).
PROGRAMS = {
    "good": ("", "exitcode"),
    "bad": ("raise SystemExit('the disk is full')", "exitcode"),
    "absent": ("raise SystemExit(77)", "exitcode"),
    "endless": ("import time\ntime.sleep(60)", "exitcode"),
    "tap_good": ("print('1..2\\nok 1 - a\\nok 2 - b # SKIP no kernel')", "tap"),
    "tap_dies": ("print('1..5\\nok 1 - a\\nok 2 - b', flush=True)\nraise SystemExit(3)", "tap"),
    "tap_bad": ("print('1..3\\nok 1 - a\\nnot ok 2 - b\\n# 3 is not 4\\nok 3 - c\\n# of c')\nraise SystemExit(1)", "tap"),
    "tap_endless": ("import time\nprint('1..2\\nok 1 - a', flush=True)\ntime.sleep(60)", "tap"),
    "gtest_good": (NEW_REPORT.format(name="gtest_good", more="", status=0), "gtest"),
    "gtest_bad": (NEW_REPORT.format(name="gtest_bad", more='<testcase name="bad"><failure message="5 is not 6"/></testcase>', status=1), "gtest"),
    "gtest_crash": ("import os\nos.abort()", "gtest"),
}


class Closing(unittest.TestCase):
    def run_project(self, *names):
        """What is said after meson has run these programs."""
        with tempfile.TemporaryDirectory() as folder:
            source, build = pathlib.Path(folder) / "source", pathlib.Path(folder) / "build"
            source.mkdir()
            lines = ["project('small')", "python = find_program('python3')"]
            for name in names:
                text, protocol = PROGRAMS[name]
                (source / f"{name}.py").write_text(text)
                lines.append(f"test('{name}', python, args: files('{name}.py'), protocol: '{protocol}', timeout: {1 if 'endless' in name else 60})")
            (source / "meson.build").write_text("\n".join(lines) + "\n")
            subprocess.run(["meson", "setup", build, source], check=True, capture_output=True)
            (build / "gtest_crash.xml").write_text(OLD_REPORT)
            subprocess.run(["meson", "test", "-C", build], capture_output=True, check=False)
            return self.count(build / "meson-logs")

    def count(self, logs):
        done = subprocess.run([sys.executable, COUNT, logs], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def test_all_is_well(self):
        self.assertEqual(self.run_project("good"), (0, ["1 passed, 0 failed"]))

    def test_skips_are_said_before_the_closing_line_with_their_reasons(self):
        status, lines = self.run_project("good", "absent", "tap_good", "gtest_good")
        self.assertEqual((status, lines[-1]), (0, "3 passed, 0 failed"))
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith("3 skipped: "), lines)
        for part in ("absent: as a whole", "b (no kernel)", "absent (no card here)"):
            self.assertIn(part, lines[0])

    def test_a_program_that_runs_out_of_time_has_failed(self):
        status, lines = self.run_project("good", "endless", "tap_endless")
        self.assertEqual((status, lines[-1]), (1, "2 passed, 2 failed"))
        self.assertEqual(sum("TIMEOUT" in line for line in lines), 2)

    def test_a_script_that_dies_half_way_has_failed_once_more_than_its_cases(self):
        status, lines = self.run_project("tap_dies", "tap_bad")
        self.assertEqual((status, lines[-1]), (1, "4 passed, 2 failed"))

    def test_failures_are_said_with_their_reasons(self):
        _, lines = self.run_project("bad", "tap_bad", "gtest_bad")
        for name, reason in (("FAILED bad: FAIL", "the disk is full"), ("2 - b", "3 is not 4"), (": bad", "5 is not 6")):
            (at,) = [i for i, line in enumerate(lines) if line.startswith("FAILED") and line.endswith(name)]
            self.assertEqual(lines[at + 1], f"    {reason}")
        self.assertEqual(len(lines), 8, lines)  # nothing of other cases; what was skipped, and the closing line

    def test_what_an_earlier_run_left_is_not_counted(self):
        status, lines = self.run_project("bad", "gtest_bad", "gtest_crash")
        self.assertEqual((status, lines[-1]), (1, "1 passed, 3 failed"))

    def test_no_results_are_not_a_success(self):
        with tempfile.TemporaryDirectory() as folder:
            status, lines = self.count(folder)
        self.assertEqual((status, lines[-1]), (1, "0 passed, 0 failed"))


unittest.main()
