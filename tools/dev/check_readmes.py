#!/usr/bin/env python3
"""Checks that each folder says in a README.md what lives there, what does not, and where to start reading.

Usage: check_readmes.py ROOT      exit 0: clean; 1: folders without one, one per line.
"""
import os
import pathlib
import sys

# Their folders mirror others, or hold data only: one page for all of them.
COVERED_BY_PARENT = ["tests/unit", "tests/fuzz"]


def violations(root):
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(("build", ".", "__pycache__")))
        path = pathlib.Path(folder).relative_to(root).as_posix()
        if any(path.startswith(parent + "/") for parent in COVERED_BY_PARENT):
            continue
        if files and "README.md" not in files:
            yield f"{path}: no README.md"


def main():
    found = list(violations(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "readmes: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
