#!/usr/bin/env python3
"""Prints which tests of a meson run failed and why, then which were skipped in one line, then the closing line: N passed, N failed.

Usage: count_tests.py LOGS     the folder of testlog.json and testlog.junit.xml; exit 1: some test failed, or none ran.

meson's JUnit report has the single cases, but calls a program that ran out of time a pass, knows nothing of the cases that a
script did not come to, and takes over what an earlier run of a GoogleTest program left. What became of each program is in
testlog.json: one that went wrong counts as one failure at least.
"""
import collections
import datetime
import itertools
import json
import pathlib
import sys
import xml.etree.ElementTree as ET

GOOD = ("OK", "EXPECTEDFAIL", "SKIP")
WHY_LINES = 8  # of what a failed case said last
Case = collections.namedtuple("Case", "name outcome reason")  # outcome: "passed", "failed", "skipped"; reason: of GoogleTest's failures, of skips


def case_of(element):
    skipped = element.find("skipped")
    failure = element.find("failure") if element.find("failure") is not None else element.find("error")
    if failure is not None:
        return Case(element.get("name"), "failed", failure.get("message", ""))
    if skipped is None:
        return Case(element.get("name"), "passed", "")
    return Case(element.get("name"), "skipped", skipped.get("message") or (skipped.text or "").strip() or element.findtext("system-out", "").strip())


def older(suite, started):
    """Whether GoogleTest wrote this before the program was started. Its time is local, cut to milliseconds."""
    stamp = suite.get("timestamp")
    return stamp is not None and datetime.datetime.fromisoformat(stamp).timestamp() < started - 0.001


def cases_of(program, suites):
    """What the report says about one program of several cases: "PROJECT.PROGRAM" (TAP), or "PROJECT.PROGRAM.SUITE" (GoogleTest)."""
    found = []
    for suite in suites:
        _, _, name = suite.get("name").partition(".")
        if (name == program["name"] or name.startswith(program["name"] + ".")) and not older(suite, program["starttime"]):
            found += [case_of(element) for element in suite.iter("testcase")]
    return found


def judge(program, suites):
    cases = cases_of(program, suites)
    if program["result"] not in GOOD:
        return cases if any(case.outcome == "failed" for case in cases) else [*cases, Case(program["result"], "failed", "")]
    outcome = "skipped" if program["result"] == "SKIP" else "passed"
    return cases or [Case("as a whole", outcome, "")]


def why(program, case):
    """The last lines that a failed case said: what follows its line of a TAP script, otherwise all that the program printed."""
    said = (case.reason or program.get("stdout", "") + "\n" + program.get("stderr", "")).splitlines()
    if f"not ok {case.name}" in said:
        said = list(itertools.takewhile(lambda line: line.startswith("#"), said[said.index(f"not ok {case.name}") + 1:]))
    return [line.removeprefix("# ") for line in said if line.strip()][-WHY_LINES:]


def main():
    logs = pathlib.Path(sys.argv[1])
    programs, suites = [], []
    try:
        programs = [json.loads(line) for line in (logs / "testlog.json").read_text().splitlines()]
        suites = list(ET.parse(logs / "testlog.junit.xml").getroot().iter("testsuite"))
    except FileNotFoundError as error:
        print(f"No results: {error.filename} is missing")
    by_outcome = collections.defaultdict(list)
    for program in programs:
        for case in judge(program, suites):
            by_outcome[case.outcome].append((program, case))
    for program, case in by_outcome["failed"]:
        print(f'FAILED {program["name"]}: {case.name}')
        for line in why(program, case):
            print(f"    {line}")
    if by_outcome["skipped"]:
        skips = (f'{program["name"]}: {case.name}' + (f" ({case.reason})" if case.reason else "") for program, case in by_outcome["skipped"])
        print(f'{len(by_outcome["skipped"])} skipped: {"; ".join(skips)}')
    print(f'{len(by_outcome["passed"])} passed, {len(by_outcome["failed"])} failed')
    return 1 if by_outcome["failed"] or not by_outcome["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
