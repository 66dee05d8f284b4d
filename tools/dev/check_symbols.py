#!/usr/bin/env python3
"""Checks the house rules on what compiled code asks the outside for.

Usage: check_symbols.py pure ARCHIVE...    deciding code asks for no library of packets, clock, socket, file, thread, process,
                                           environment or random symbol
       check_symbols.py only-here BUILD    a library is asked only from the folders that may use it (table: check_layers.py)
exit 0: clean; 1: violations, one per line as archive or object: symbol, and why.
"""
import pathlib
import re
import subprocess
import sys

from check_layers import ONLY_IN, inside

IMPURE = {
    "DPDK": r"(per_lcore_|__)?rte_\w+",
    "clock": r"clock(_\w+)? gettimeofday times? ftime timer(fd)?_\w+ timespec_get nanosleep u?sleep alarm (local|gm)time\w* mktime tzset ctime\w* "
             r"_ZNSt6chrono\w*clock3nowEv",
    "socket": r"socket(pair)? bind connect listen accept4? shutdown [gs]etsockopt get(sock|peer)name send(to|msg|mmsg)? recv(from|msg|mmsg)? "
              r"get(addr|name)info gethostby\w+ getifaddrs res_\w+ p?poll p?select epoll_\w+ eventfd\w* signalfd inotify_\w+",
    "file": r"open(at2?)? creat close dup[23]? pipe2? readv? preadv?2? writev? pwritev?2? lseek fcntl ioctl flock lockf f?truncate fallocate "
            r"[fl]?stat fstatat statx f?access(at)? mkdir rmdir unlink(at)? rename(at2?)? link symlink readlink f?chmod f?chown umask f(data)?sync "
            r"realpath opendir readdir mkstemp tmpfile remove m(un)?map mprotect memfd_create shm_open "
            r"_ZNSt\d+basic_[io]?(fstream|filebuf)\w* _ZNK?St10filesystem\w+",
    "stdio": r"v?f?printf v?dprintf perror f?puts (f|_IO_)?putc(har)? (f|_IO_)?getc(har)? f?gets getline getdelim v?f?scanf std(in|out|err) "
             r"f(d|re)?open fclose fread fwrite fflush fseeko? ftello? rewind setv?buf popen pclose v?syslog "
             r"_ZSt[45]w?c(out|err|in|log)",
    "thread": r"pthread_\w+ sem_\w+ mtx_\w+ cnd_\w+ thrd_\w+ call_once sched_\w+ "
              r"_ZNSt6thread\w+ _ZNSt(3_V2)?\d+condition_variable\w+ _ZNSt28__atomic_futex\w+ _ZNSt13__future_base\w+ _ZSt1[15]__once_call\w*",
    "process": r"syscall v?fork exec\w+ posix_spawn\w* system wait(pid|id)? kill raise signal sigaction sigprocmask",
    "environment": r"environ (secure_)?getenv (set|put|unset)env",
    "random": r"rand(_r)? srand s?random(_r)? [dlmn]rand48 getrandom getentropy arc4random\w* RAND_\w+ randombytes\w* _ZNSt13random_device\w+",
}
IMPURE = {kind: re.compile("|".join(names.split())) for kind, names in IMPURE.items()}
# What the C library makes of a name: __printf_chk, __open64_2, __isoc99_scanf, stat64.
DRESSED = re.compile(r"(?:__(?:isoc\d+_)?)?(\w+?)(?:64)?(?:_chk|_2)?")


def undefined(path):
    """The symbols an archive or object takes from elsewhere, if only when they are there."""
    out = subprocess.run(["nm", "-u", "--without-symbol-versions", path], check=True, capture_output=True, text=True).stdout
    return sorted({line.split()[-1] for line in out.splitlines() if line.strip().startswith(("U ", "w "))})


def impure(archives):
    for archive in archives:
        for symbol in undefined(archive):
            bare = DRESSED.fullmatch(symbol)[1] if not symbol.startswith("_Z") else symbol
            for kind, names in IMPURE.items():
                if names.fullmatch(symbol) or names.fullmatch(bare):
                    yield f"{archive}: {symbol} ({kind})"


def out_of_place(build):
    """An object lies in the build directory where its target lies in the tree: FOLDER/TARGET.p/NAME.o"""
    for path in sorted(build.glob("*/**/*.p/*.o")):
        folder = path.parent.parent.relative_to(build).as_posix()
        for symbol in undefined(path):
            for _, names, folders in ONLY_IN:
                if names and names.match(symbol) and not any(inside(folder, allowed) for allowed in folders):
                    yield f"{path}: {symbol} may be used only in {', '.join(folders)}"


def main():
    rule, *args = sys.argv[1:]
    found = list(impure(args) if rule == "pure" else out_of_place(pathlib.Path(args[0])))
    print("\n".join(found) if found else f"symbols: {rule}: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
