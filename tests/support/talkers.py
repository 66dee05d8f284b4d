#!/usr/bin/env python3
"""Many parties that talk at once, 20 ms PCMU each, from ports FIRST, FIRST + 2, ... of HOST, one to each REMOTE, until the file UNTIL
exists. Prints then how many packets each has sent. For smoke tests; what comes back is not read.

Usage: talkers.py HOST FIRST UNTIL REMOTE...
"""
import os
import socket
import struct
import sys
import time


def main():
    host, first, until, remotes = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    sockets = []
    for i, remote in enumerate(remotes):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((host, first + 2 * i))
        address, port = remote.rsplit(":", 1)
        sockets.append((s, (address, int(port))))
    start, sent = time.monotonic(), 0
    while not os.path.exists(until):
        for ssrc, (s, remote) in enumerate(sockets):
            s.sendto(struct.pack("!BBHII", 0x80, 0, sent & 0xFFFF, sent * 160, ssrc) + bytes((sent * 7 + j * j) & 0xFF for j in range(160)), remote)
        sent += 1
        time.sleep(max(0, start + sent * 0.02 - time.monotonic()))
    print(sent)


main()
