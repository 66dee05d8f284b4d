#!/usr/bin/env python3
"""A wire that does harm: passes every frame between two interfaces of one namespace; RTP that enters at IF_A is lost, doubled,
swapped and delayed by a seeded plan. Other packets, and the way back, are left alone. The parties see no hop: addresses and
ports stay.

Usage: impair.py IF_A IF_B REPORT.json [--seed N] [--loss P] [--duplicate P] [--swap P] [--jitter MS]
P is a part of all, 0..1. A packet that is swapped leaves behind its successor. Jitter is uniform, 0..MS; packets do not
overtake each other by it.
Prints "ready"; on SIGTERM writes the report: by SSRC (as text) the RTP numbers that left, in order ("passed"), and those that were
"lost", "swapped" and "doubled".
"""
import argparse
import heapq
import json
import pathlib
import random
import select
import signal
import socket
import struct
import sys
import time

RTP_AT = 14 + 20 + 8


def rtp_of(frame):
    """(SSRC, number) of an RTP packet in IPv4, else None."""
    if len(frame) < RTP_AT + 12 or frame[12:14] != b"\x08\x00" or frame[14] != 0x45 or frame[23] != 17:
        return None
    first, second, number, _, ssrc = struct.unpack_from("!BBHII", frame, RTP_AT)
    if first >> 6 != 2 or 192 <= second <= 223:
        return None
    return str(ssrc), number


class Harm:
    """Decides per packet; `now` in seconds, frames come back from due()."""

    def __init__(self, args):
        self.random, self.args = random.Random(args.seed), args
        self.waiting, self.count = [], 0
        self.held = {}  # SSRC: a packet that waits for its successor
        self.free_at = 0.0  # jitter keeps the order
        self.report = {}

    def take(self, frame, now):
        rtp = rtp_of(frame)
        if rtp is None:
            return self.put(now, frame, None)
        told = self.report.setdefault(rtp[0], {"passed": [], "lost": [], "swapped": [], "doubled": []})
        # Always as many draws, so that one harm's plan does not depend on another's.
        loss, duplicate, swap, jitter = (self.random.random() for _ in range(4))
        before = self.held.pop(rtp[0], None)
        if loss < self.args.loss:
            told["lost"].append(rtp[1])
        elif before is None and swap < self.args.swap:
            self.held[rtp[0]] = (frame, rtp)
        else:
            self.free_at = max(self.free_at, now + jitter * self.args.jitter / 1000)
            self.put(self.free_at, frame, rtp)
            if duplicate < self.args.duplicate:
                told["doubled"].append(rtp[1])
                self.put(self.free_at, frame, rtp)
        if before is not None:
            # Without a successor on the wire, it was no swap.
            if told["lost"][-1:] != [rtp[1]]:
                told["swapped"].append(before[1][1])
            self.free_at = max(self.free_at, now)
            self.put(self.free_at, *before)

    def put(self, when, frame, rtp):
        self.count += 1
        heapq.heappush(self.waiting, (when, self.count, frame, rtp))

    def due(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            _, _, frame, rtp = heapq.heappop(self.waiting)
            if rtp:
                self.report[rtp[0]]["passed"].append(rtp[1])
            yield frame


def received(sock):
    """What has come since, but for what this program sent itself."""
    while True:
        try:
            frame, address = sock.recvfrom(65535)
        except BlockingIOError:
            return
        if address[2] != socket.PACKET_OUTGOING:
            yield frame


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("interfaces", nargs=2)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    for harm in ("loss", "duplicate", "swap", "jitter"):
        parser.add_argument(f"--{harm}", type=float, default=0.0)
    args = parser.parse_args()
    sockets = []
    for name in args.interfaces:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind((name, 0))
        sock.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex(name), 1, 0, b""))  # SOL_PACKET, PACKET_ADD_MEMBERSHIP: promiscuous
        sock.setblocking(False)
        sockets.append(sock)
    inside, outside = sockets
    harm = Harm(args)

    def end(*_):
        args.report.write_text(json.dumps(harm.report))
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        select.select(sockets, [], [], max(0.0, harm.waiting[0][0] - time.monotonic()) if harm.waiting else None)
        for frame in received(inside):
            harm.take(frame, time.monotonic())
        for frame in harm.due(time.monotonic()):
            outside.send(frame)
        for frame in received(outside):
            inside.send(frame)


if __name__ == "__main__":
    main()
