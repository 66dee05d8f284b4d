#!/usr/bin/env python3
"""Checks the house rules on includes: which folder may include which (design: layers), and which library only where.

Usage: check_layers.py ROOT      exit 0: clean; 1: violations, one per line as file:line: what, and why.
"""
import pathlib
import re
import sys

BASE = ["codecs/base"]
CODECS = ["codecs/"]
CORE = ["controlplane/core/"]
# Longest matching folder wins. A folder may always include itself.
MAY_INCLUDE = {
    "codecs/base": [],
    "codecs/wire": BASE,
    "codecs/audio": BASE,
    "codecs/crypto": BASE,
    "dataplane/api": BASE,
    "dataplane/engine": CODECS + ["dataplane/api/"],
    "dataplane/nodes": CODECS + ["dataplane/api/", "dataplane/engine/"],
    "dataplane/runtime": CODECS + ["dataplane/api/", "dataplane/engine/", "dataplane/nodes/"],
    "dataplane/main": CODECS + ["dataplane/"],
    "controlplane/core": CODECS + ["dataplane/api/"],
    "controlplane/guard": CODECS + CORE,
    "controlplane/witness": CODECS + CORE,
    "controlplane/sip": CODECS + CORE,
    "controlplane/config": CODECS + CORE,
    "controlplane/admin": CODECS + CORE + ["dataplane/api/"],
    "controlplane/adapters": CODECS + ["controlplane/", "dataplane/api/"],
    "controlplane/main": CODECS + ["controlplane/", "dataplane/api/"],
    "tools": CODECS + ["controlplane/admin/", "controlplane/witness/", "tools/"],
    "tools/ifgw": CODECS + ["controlplane/admin/", "dataplane/engine/pair_probe.h", "tools/"],
    "bench": CODECS + ["dataplane/", "controlplane/", "bench/", "tests/support/", "tests/sim/"],
    "tests": [""],
}
NEVER = re.compile(r"^(dataplane|controlplane)/main/")  # nothing includes main/, but main/ itself
# Libraries and the only folders that may use them: headers (checked here), symbols (checked by check_symbols.py).
ONLY_IN = [
    (re.compile(r"^rte_"), re.compile(r"^(per_lcore_|__)?rte_"), ["dataplane/nodes", "dataplane/runtime", "dataplane/main", "bench", "tests"]),
    (re.compile(r"^(belle-sip|bctoolbox)/"), re.compile(r"^(belle_sip|bctbx)_"), ["controlplane/sip/message"]),
    (re.compile(r"^(ortp|mediastreamer2)/"), re.compile(r"^(ortp|rtp_session|ms_\w+?|ms2)_"), ["controlplane/council/engine"]),
    (re.compile(r"^openssl/"), re.compile(r"^(SSL|TLS|DTLS|BIO|X509|PEM|ERR|EVP|OPENSSL|RAND)_"), ["controlplane/adapters", "codecs/crypto", "tests"]),
    (re.compile(r"^sodium"), re.compile(r"^(sodium|crypto|randombytes)_"), ["codecs/crypto", "tests"]),
    (re.compile(r"^(opus|bcg729|speex)/|^(gsm|spandsp)\.h$"), re.compile(r"^(opus|gsm|speex|g72[26])_|^(init|close)?[Bb]cg729"),
     ["codecs/audio", "bench", "tests"]),
    (re.compile(r"^bctoolbox/exception\.hh"), None, []),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def inside(path, folder):
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def row_of(path):
    rows = [folder for folder in MAY_INCLUDE if inside(path, folder)]
    return max(rows, key=len) if rows else None


def violations(root):
    for source in sorted(root.rglob("*")):
        path = source.relative_to(root).as_posix()
        if source.suffix not in (".h", ".cc", ".def") or path.split("/")[0].startswith(("build", ".")):
            continue
        row = row_of(path)
        if row is None:
            yield f"{path}:1: lies in no layer of tools/dev/check_layers.py"
            continue
        for number, line in enumerate(source.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, name = match.groups()
            for pattern, _, folders in ONLY_IN:
                if pattern.match(name) and not any(inside(path, folder) for folder in folders):
                    yield f"{path}:{number}: <{name}> may be included only in {', '.join(folders) or 'no file'}"
            if kind == "<":
                continue
            if not (root / name).is_file():
                yield f'{path}:{number}: "{name}" is not a path from the root of the project'
            elif NEVER.match(name) and not inside(path, "/".join(name.split("/")[:2])) and not inside(path, "tests"):
                yield f'{path}:{number}: nothing includes main/ ("{name}")'
            elif not inside(name, row) and not any(name.startswith(allowed) for allowed in MAY_INCLUDE[row]):
                yield f'{path}:{number}: {row} may not include "{name}"'


def main():
    found = list(violations(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "layers: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
