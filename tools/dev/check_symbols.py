#!/usr/bin/env python3
"""Checks that the archives of deciding code are pure: they ask the outside for no DPDK, clock, socket, file, thread
or random symbol.

Usage: check_symbols.py ARCHIVE...   exit 0: clean; 1: violations, one per line as archive: symbol.
"""
import re
import subprocess
import sys

IMPURE = re.compile(
    r"^(rte_\w+"  # DPDK
    r"|clock_\w+|gettimeofday|time|times|timer_\w+|timerfd_\w+|nanosleep|usleep|sleep|localtime\w*|gmtime\w*"
    r"|_ZNSt6chrono\w*clock3nowEv"
    r"|socket|socketpair|bind|connect|listen|accept4?|send(to|msg|mmsg)?|recv(from|msg|mmsg)?|getaddrinfo|poll|ppoll|select|epoll_\w+|eventfd\w*"
    r"|open(64|at|at64)?|creat(64)?|read|write|pread(64)?|pwrite(64)?|fopen(64)?|fread|fwrite|fputs|puts|printf|fprintf|mmap(64)?|unlink|rename|fsync|fdatasync"
    r"|_ZNSt\d+basic_(i|o)?(fstream|filebuf)\w*|_ZSt4c(out|err|in|log)"
    r"|pthread_(create|join|mutex\w*|cond\w*)|_ZNSt6thread\w+|syscall|fork|vfork|execv\w*"
    r"|rand|rand_r|srand|random|srandom|drand48|getrandom|getentropy|arc4random\w*|_ZNSt13random_device\w+|RAND_bytes|randombytes\w*"
    r"|environ|getenv|secure_getenv)$")


def undefined(archive):
    out = subprocess.run(["nm", "-u", "--without-symbol-versions", archive], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line.strip().startswith(("U ", "w "))}


def main():
    found = [f"{archive}: {symbol}" for archive in sys.argv[1:] for symbol in sorted(undefined(archive)) if IMPURE.match(symbol)]
    print("\n".join(found) if found else f"symbols: {len(sys.argv) - 1} archives are pure")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
