#!/usr/bin/env python3
"""One party's RTP, 20 ms G.711: sends a tone (or a WAV) and records what comes back. For smoke tests and the demo.

Usage: rtp_peer.py LOCAL REMOTE PAYLOAD_TYPE SECONDS [--tone HZ | --wav FILE] [--ssrc N] [--linger S]
                   [--go FILE] [--until FILE] --out FILE.json
With --go it begins once that file exists, with --until it stops sending early, once that one does.
Prints "ready" once its socket is bound. FILE.json: sent, packets [[time_ns, seq, timestamp, pt, marker, ssrc]], and
audio: base64 of all received payloads in order of arrival.
"""
import argparse
import base64
import json
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import audio  # noqa: E402

FRAME = 160


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("local", type=endpoint)
    parser.add_argument("remote", type=endpoint)
    parser.add_argument("payload_type", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--tone", type=float, default=440.0)
    parser.add_argument("--wav")
    parser.add_argument("--ssrc", type=int, default=0x1F6)
    parser.add_argument("--linger", type=float, default=0.3)
    parser.add_argument("--go", type=pathlib.Path)
    parser.add_argument("--until", type=pathlib.Path)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()

    frames = int(args.seconds * 50)
    signal = audio.read_wav(args.wav) if args.wav else audio.tone(args.tone, args.seconds)
    codes = audio.encode(args.payload_type, signal)
    codes += codes[-1:] * (frames * FRAME - len(codes))
    sock = socket.socket(socket.AF_INET6 if ":" in args.local[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(args.local)
    print("ready", flush=True)

    packets, heard = [], bytearray()
    while args.go and not args.go.exists():
        time.sleep(0.001)
    start = time.monotonic()
    end = start + args.seconds + args.linger
    sent = 0
    while True:
        now = time.monotonic()
        if sent < frames and now >= start + sent * 0.02:
            header = struct.pack("!BBHII", 0x80, args.payload_type | (0x80 if sent == 0 else 0), sent & 0xFFFF, sent * FRAME, args.ssrc)
            sock.sendto(header + codes[sent * FRAME:(sent + 1) * FRAME], args.remote)
            sent += 1
            if args.until and args.until.exists():
                frames, end = sent, now + args.linger
            continue
        if now >= end:
            break
        sock.settimeout(max(0.0001, min(end, start + sent * 0.02 if sent < frames else end) - now))
        try:
            data = sock.recv(2048)
        except (TimeoutError, BlockingIOError):
            continue
        _, second, sequence, timestamp, ssrc = struct.unpack("!BBHII", data[:12])
        packets.append([time.clock_gettime_ns(time.CLOCK_REALTIME), sequence, timestamp, second & 127, second >> 7, ssrc])
        heard += data[12:]
    pathlib.Path(args.out).write_text(json.dumps({"sent": sent, "packets": packets, "audio": base64.b64encode(heard).decode()}))


main()
