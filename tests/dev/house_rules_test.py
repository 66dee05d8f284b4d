#!/usr/bin/env python3
"""The house-rule checkers must catch a deliberate violation of every rule, and pass clean code.

Usage: house_rules_test.py ROOT CXX
"""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
CXX = sys.argv[2:]
LAYERS = ROOT / "tools/dev/check_layers.py"
SYMBOLS = ROOT / "tools/dev/check_symbols.py"
HEADERS = ["codecs/base/x.h", "dataplane/api/x.h", "dataplane/engine/x.h", "dataplane/nodes/x.h", "dataplane/main/x.h", "controlplane/core/x.h",
           "controlplane/sip/x.h", "controlplane/main/x.h", "controlplane/admin/x.h", "controlplane/adapters/x.h", "codecs/wire/x.h"]

# (file, include line, must be caught)
INCLUDES = [
    ("codecs/base/a.cc", '#include "codecs/wire/x.h"', True),
    ("codecs/wire/a.cc", '#include "codecs/base/x.h"', False),
    ("codecs/wire/a.cc", '#include "dataplane/api/x.h"', True),
    ("dataplane/api/a.cc", '#include "dataplane/engine/x.h"', True),
    ("dataplane/engine/a.cc", '#include "dataplane/nodes/x.h"', True),
    ("dataplane/engine/a.cc", "#include <rte_mbuf.h>", True),
    ("dataplane/nodes/a.cc", "#include <rte_mbuf.h>", False),
    ("dataplane/nodes/a.cc", '#include "controlplane/core/x.h"', True),
    ("dataplane/runtime/a.cc", '#include "dataplane/main/x.h"', True),
    ("controlplane/core/a.cc", '#include "controlplane/sip/x.h"', True),
    ("controlplane/core/a.cc", '#include "dataplane/api/x.h"', False),
    ("controlplane/core/a.cc", "#include <rte_eal.h>", True),
    ("controlplane/sip/a.cc", "#include <belle-sip/belle-sip.h>", True),
    ("controlplane/sip/message/a.cc", "#include <belle-sip/belle-sip.h>", False),
    ("controlplane/sip/a.cc", '#include "dataplane/api/x.h"', True),
    ("controlplane/adapters/a.cc", '#include "dataplane/engine/x.h"', True),
    ("controlplane/adapters/a.cc", '#include "controlplane/main/x.h"', True),
    ("controlplane/core/a.cc", "#include <ortp/ortp.h>", True),
    ("controlplane/core/a.cc", "#include <mediastreamer2/msfilter.h>", True),
    ("codecs/base/a.cc", "#include <bctoolbox/exception.hh>", True),
    ("codecs/base/a.cc", '#include "x.h"', True),
    ("tools/ifgw/a.cc", '#include "controlplane/core/x.h"', True),
    ("surprise/a.cc", "", True),
]
# (source of a file in an archive, must be caught)
SOURCES = [
    ("int f(int x) { return x + 1; }", False),
    ("#include <time.h>\nlong f() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec; }", True),
    ("#include <chrono>\nlong f() { return std::chrono::steady_clock::now().time_since_epoch().count(); }", True),
    ("#include <sys/socket.h>\nint f() { return socket(1, 1, 0); }", True),
    ("#include <fstream>\nvoid f() { std::ofstream(\"x\") << 1; }", True),
    ("#include <cstdio>\nvoid f(int n) { std::fprintf(stderr, \"%d\", n); }", True),
    ("#include <iostream>\nvoid f() { std::cout << 1; }", True),
    ("#include <thread>\nvoid f() { std::thread([] {}).join(); }", True),
    ("#include <random>\nunsigned f() { return std::random_device{}(); }", True),
    ("#include <cstdlib>\nint f() { return std::rand(); }", True),
    ('extern "C" int rte_eal_init(int, char**);\nint f() { return rte_eal_init(0, nullptr); }', True),
]


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def check(name, result, must_catch):
    ok = (result.returncode == 1 if must_catch else result.returncode == 0)
    if not ok:
        print(f"FAIL {name}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return ok


def main():
    results = []
    for path, line, must_catch in INCLUDES:
        with tempfile.TemporaryDirectory() as folder:
            for name in HEADERS + [path]:
                target = pathlib.Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(line + "\n" if name == path else "")
            results.append(check(f"{path}: {line}", run(sys.executable, LAYERS, folder), must_catch))
    for source, must_catch in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            cc, obj, archive = (pathlib.Path(folder) / name for name in ("a.cc", "a.o", "a.a"))
            cc.write_text(source + "\n")
            assert run(*CXX, "-std=c++20", "-O1", "-c", cc, "-o", obj).returncode == 0, source
            assert run("ar", "rcs", archive, obj).returncode == 0
            results.append(check(source, run(sys.executable, SYMBOLS, archive), must_catch))
    print(f"{sum(results)} of {len(results)} cases as expected")
    return 0 if all(results) else 1


sys.exit(main())
