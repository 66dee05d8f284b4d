#!/usr/bin/env python3
"""The judge of instruction counts: what it reads out of a dump, and what it lets pass.

Usage: baselines_test.py ROOT
"""
import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(sys.argv.pop(1))
LOADER = importlib.machinery.SourceFileLoader("baselines", str(ROOT / "tools/dev/baselines"))
SPEC = importlib.util.spec_from_loader("baselines", LOADER)
baselines = importlib.util.module_from_spec(SPEC)
LOADER.exec_module(baselines)

# Two functions of ours, a library's, and calls between them, whose lines tell what the other side cost.
DUMP = """version: 1
desc: Trigger: Client Request: PCMU > opus
positions: line
events: Ir

ob=(1) {program}
fl=(1) a.cc
fn=(1) ours
0 100
+3 20
cob=(2) /usr/lib/libopus.so.0
cfn=(2) encode
calls=4 0
0 5000
* 7
fn=(3) ours too
0 30

ob=(2)
fn=(2)
0 5000
cob=(1)
cfn=(3)
calls=1 0
0 30
"""


class Baselines(unittest.TestCase):
    def test_counts_only_what_the_program_itself_executed(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder).resolve() / "counted"
            program.touch()
            dump = pathlib.Path(folder) / "out.1"
            dump.write_text(DUMP.format(program=program))
            self.assertEqual(baselines.own_instructions(dump, str(program)), ("PCMU > opus", 157))

    def test_two_percent_pass_and_more_does_not(self):
        wrong, notes = baselines.judge({"a": 102.0, "b": 102.1, "c": 97.0}, {"a": 100.0, "b": 100.0, "c": 100.0})
        self.assertEqual([line.split(":")[0] for line in wrong], ["b"])
        self.assertEqual([line.split(":")[0] for line in notes], ["c"])

    def test_what_has_no_baseline_or_no_count_is_wrong(self):
        wrong, _ = baselines.judge({"new": 1.0}, {"gone": 1.0})
        self.assertEqual(len(wrong), 2)


unittest.main()
