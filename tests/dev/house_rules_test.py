#!/usr/bin/env python3
"""The house-rule checkers must catch a deliberate violation of every rule, and pass clean code.

Usage: house_rules_test.py ROOT CXX
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
CXX = sys.argv[2:]
LAYERS = ROOT / "tools/dev/check_layers.py"
READMES = ROOT / "tools/dev/check_readmes.py"
SYMBOLS = ROOT / "tools/dev/check_symbols.py"
HEADERS = ["codecs/base/x.h", "dataplane/api/x.h", "dataplane/engine/x.h", "dataplane/nodes/x.h", "dataplane/main/x.h", "controlplane/core/x.h",
           "controlplane/sip/x.h", "controlplane/main/x.h", "dataplane/engine/pair_probe.h", "controlplane/admin/x.h", "controlplane/adapters/x.h", "codecs/wire/x.h"]

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
    ("dataplane/engine/a.cc", "#include <opus/opus.h>", True),
    ("codecs/audio/a.cc", "#include <opus/opus.h>", False),
    ("codecs/base/a.cc", "#include <bctoolbox/exception.hh>", True),
    ("controlplane/sip/message/a.cc", "#include <bctoolbox/exception.hh>", True),
    ("controlplane/core/a.cc", "#include <openssl/ssl.h>", True),
    ("controlplane/adapters/a.cc", "#include <openssl/ssl.h>", False),
    ("controlplane/witness/a.cc", "#include <sodium.h>", True),
    ("codecs/base/a.cc", '#include "x.h"', True),
    ("tools/ifgw/a.cc", '#include "controlplane/core/x.h"', True),
    ("tools/ifgw/a.cc", '#include "dataplane/engine/pair_probe.h"', False),
    ("tools/ifgw/a.cc", '#include "dataplane/engine/x.h"', True),
    ("tools/ifgw-verify/a.cc", '#include "dataplane/engine/pair_probe.h"', True),
    ("surprise/a.cc", "", True),
]
# (source of a file in an archive, must be caught)
SOURCES = [
    ("int f(int x) { return x + 1; }", False),
    ("#include <time.h>\nlong f() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec; }", True),
    ("#include <chrono>\nlong f() { return std::chrono::steady_clock::now().time_since_epoch().count(); }", True),
    ("#include <sys/socket.h>\nint f() { return socket(1, 1, 0); }", True),
    ("#include <fstream>\nvoid f() { std::ofstream(\"x\") << 1; }", True),
    ("#include <cstdio>\nint f(char* b, int n) { return std::snprintf(b, 9, \"%d\", n); }", False),
    ("#include <memory>\n#include <sstream>\nauto f(int n) { std::ostringstream s; s << n; return std::make_shared<std::string>(s.str()); }", False),
    ("#include <cstdio>\nvoid f(int n) { std::fprintf(stderr, \"%d\", n); }", True),
    ("#include <cstdio>\nvoid f(std::FILE* o, int n) { std::fprintf(o, \"%d\", n); }", True),
    ("#include <cstdio>\nvoid f(int n) { std::printf(\"%d\", n); }", True),
    ("#include <cstdio>\nvoid f(std::FILE* o) { std::fputc('x', o); }", True),
    ("#include <cstdio>\nvoid f(std::FILE* o) { std::fputs(\"x\", o); }", True),
    ("#include <cstdio>\nvoid f() { std::puts(\"x\"); }", True),
    ("#include <cstdio>\nvoid f() { std::perror(\"x\"); }", True),
    ("#include <cstdarg>\n#include <cstdio>\nvoid f(std::FILE* o, va_list v) { std::vfprintf(o, \"%d\", v); }", True),
    ("#include <stdio.h>\nvoid f(int n) { dprintf(2, \"%d\", n); }", True),
    ("#include <iostream>\nvoid f() { std::cout << 1; }", True),
    ("#include <fcntl.h>\nint f(int d) { return fcntl(d, F_GETFL); }", True),
    ("#include <fcntl.h>\nint f(const char* n) { return open(n, O_RDONLY); }", True),
    ("#include <sys/ioctl.h>\nint f(int d) { return ioctl(d, 0); }", True),
    ("#include <sys/stat.h>\nint f(const char* n) { struct stat s; return stat(n, &s); }", True),
    ("#include <unistd.h>\nint f(int d) { char c[9]; return static_cast<int>(read(d, c, 9)); }", True),
    ("#include <filesystem>\nbool f() { return std::filesystem::exists(\"/\"); }", True),
    ("#include <thread>\nvoid f() { std::thread([] {}).join(); }", True),
    ("#include <mutex>\nvoid f(std::mutex& m) { std::lock_guard lock(m); }", True),
    ("#include <condition_variable>\nvoid f(std::condition_variable& c) { c.notify_one(); }", True),
    ("#include <mutex>\n#include <condition_variable>\nvoid f(std::condition_variable& c, std::unique_lock<std::mutex>& l) { c.wait(l); }", True),
    ("#include <pthread.h>\nint f(pthread_rwlock_t* l) { return pthread_rwlock_rdlock(l); }", True),
    ("#include <semaphore.h>\nint f(sem_t* s) { return sem_wait(s); }", True),
    ("#include <sched.h>\nint f() { return sched_yield(); }", True),
    ("#include <chrono>\nlong f() { return std::chrono::system_clock::now().time_since_epoch().count(); }", True),
    ("#include <time.h>\nlong f() { return time(nullptr); }", True),
    ("#include <time.h>\nint f(time_t t) { return localtime(&t)->tm_hour; }", True),
    ("#include <cstdlib>\nconst char* f() { return std::getenv(\"HOME\"); }", True),
    ("#include <csignal>\nint f() { return std::raise(1); }", True),
    ("#include <sys/random.h>\nlong f(char* b) { return getrandom(b, 9, 0); }", True),
    ("#include <random>\nunsigned f() { return std::random_device{}(); }", True),
    ("#include <cstdlib>\nint f() { return std::rand(); }", True),
    ('extern "C" int rte_eal_init(int, char**);\nint f() { return rte_eal_init(0, nullptr); }', True),
]
# (folder an object lies in, symbol it asks for, must be caught)
PLACES = [
    ("dataplane/nodes", "rte_pktmbuf_clone", False),
    ("dataplane/runtime", "rte_eal_init", False),
    ("dataplane/main", "rte_eal_init", False),
    ("dataplane/engine", "rte_pktmbuf_clone", True),
    ("dataplane/engine", "per_lcore_rte_errno", True),
    ("controlplane/adapters", "rte_ring_create", True),
    ("tools/ifgw", "rte_eal_init", True),
    ("controlplane/sip/message", "belle_sip_uri_parse", False),
    ("controlplane/sip", "belle_sip_uri_parse", True),
    ("controlplane/main", "bctbx_set_log_level", True),
    ("controlplane/core", "ortp_init", True),
    ("controlplane/council", "ms_filter_new", True),
    ("controlplane/adapters", "SSL_new", False),
    ("controlplane/sip", "SSL_new", True),
    ("controlplane/witness", "EVP_DigestInit_ex", True),
    ("controlplane/witness", "crypto_sign_detached", True),
    ("codecs/crypto", "crypto_sign_detached", False),
    ("controlplane/core", "memcpy", False),
]
# (files, must be caught)
FOLDERS = [
    (["README.md", "bench/README.md", "bench/a.cc"], False),
    (["README.md", "bench/a.cc"], True),
    (["README.md", "tools/docs/README.md", "tools/docs/adr/0001-x.md"], True),
    (["README.md", "tests/unit/README.md", "tests/unit/codecs/base/a.cc"], False),
    (["README.md", "tests/unit/a.cc"], True),
    (["README.md", "tests/sim/README.md", "tests/sim/deep/a.cc"], True),
    (["README.md", "build-x/a.cc", ".ci/run"], False),
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
    for files, must_catch in FOLDERS:
        with tempfile.TemporaryDirectory() as folder:
            for name in files:
                target = pathlib.Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("")
            results.append(check(f"folders of {files}", run(sys.executable, READMES, folder), must_catch))
    for source, must_catch in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            cc, obj, archive = (pathlib.Path(folder) / name for name in ("a.cc", "a.o", "a.a"))
            cc.write_text(source + "\n")
            builds = [["-O1", "-U_FORTIFY_SOURCE"]]
            if re.search(r"printf|read\(|open\(|stat\(|fcntl", source):  # as distributions build: checked variants, large files
                builds.append(["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-D_FILE_OFFSET_BITS=64"])
            for options in builds:
                archive.unlink(missing_ok=True)
                made = run(*CXX, "-std=c++20", *options, "-c", cc, "-o", obj)
                assert made.returncode == 0, made.stderr
                assert run("ar", "rcs", archive, obj).returncode == 0
                results.append(check(f"{source} {options}", run(sys.executable, SYMBOLS, "pure", archive), must_catch))
    for folder, symbol, must_catch in PLACES:
        with tempfile.TemporaryDirectory() as build:
            target = pathlib.Path(build) / folder / "x.p"
            target.mkdir(parents=True)
            made = run("sh", "-c", f"printf '.globl f\\nf: call {symbol}\\n.section .note.GNU-stack\\n' | as -o {target}/a.o -")
            assert made.returncode == 0, made.stderr
            results.append(check(f"{folder}: {symbol}", run(sys.executable, SYMBOLS, "only-here", build), must_catch))
    print(f"{sum(results)} of {len(results)} cases as expected")
    return 0 if all(results) else 1


sys.exit(main())
