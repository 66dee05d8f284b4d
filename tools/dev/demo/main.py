#!/usr/bin/env python3
"""The demo's chapters, each a real run of the real programs in a laboratory of network namespaces."""
import argparse
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tests/support")]
import chapter_call  # noqa: E402
import chapter_codecs  # noqa: E402
import lab  # noqa: E402

CHAPTERS = {"call": chapter_call.run, "codecs": chapter_codecs.run}


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description="Watch real calls cross the gateway.")
    parser.add_argument("chapter", nargs="?", choices=CHAPTERS, help="default: all")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave recordings, captures and logs there")
    args = parser.parse_args()
    if args.keep:
        args.keep = args.keep.absolute()
        args.keep.mkdir(parents=True, exist_ok=True)
    lab.isolate()
    good = True
    for name in [args.chapter] if args.chapter else CHAPTERS:
        started = time.monotonic()
        good &= CHAPTERS[name](args.keep)
        print(f"\nChapter \"{name}\" took {time.monotonic() - started:.1f} s.")
    sys.exit(0 if good else 1)


main()
