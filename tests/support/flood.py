#!/usr/bin/env python3
"""Sends OPTIONS requests from one address at a steady rate, whatever comes back, and counts the answers.

Usage: flood.py SOURCE TARGET RATE SECONDS [PORT]      prints {"sent": n, "answered": n}
"""
import json
import socket
import sys
import time


def main():
    source, target, rate, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    target_port = int(sys.argv[5]) if len(sys.argv) > 5 else 5060
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    host, uri = (f"[{source}]", f"[{target}]") if family == socket.AF_INET6 else (source, target)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((source, 0))
    sock.setblocking(False)
    port = sock.getsockname()[1]
    count, start, sent, answered = int(rate * seconds), time.monotonic(), 0, 0
    last = start  # when something was sent or heard: it ends after a second of silence
    while sent < count or time.monotonic() < last + 1:
        if sent < count and time.monotonic() >= start + sent / rate:
            message = (f"OPTIONS sip:{uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{port}x{sent};rport\r\nMax-Forwards: 70\r\n"
                       f"From: <sip:flood@example.com>;tag={sent}\r\nTo: <sip:gateway@example.com>\r\nCall-ID: flood-{port}-{sent}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            sock.sendto(message.encode(), (target, target_port))
            sent += 1
            last = time.monotonic()
        try:
            if sock.recv(4096).startswith(b"SIP/2.0 200"):
                answered += 1
                last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.0003)
    print(json.dumps({"sent": sent, "answered": answered}))


main()
