#!/usr/bin/env python3
"""Prints the failed and skipped cases of a meson JUnit report, then the closing line: N passed, N failed[, N skipped].

Usage: count_tests.py testlog.junit.xml     exit 1: some case failed, or none ran.
"""
import sys
import xml.etree.ElementTree as ET


def main():
    passed, failed, skipped = 0, [], []
    for suite in ET.parse(sys.argv[1]).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = f'{suite.get("name")}: {case.get("name")}'
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(name)
            elif case.find("skipped") is not None:
                reason = case.find("skipped").get("message") or (case.find("skipped").text or "").strip()
                skipped.append(f"{name} ({reason or 'see its output'})")
            else:
                passed += 1
    for name in skipped:
        print(f"SKIPPED {name}")
    for name in failed:
        print(f"FAILED  {name}")
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
