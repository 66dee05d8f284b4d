#!/usr/bin/env python3
"""Sets up calls in rtpengine over its NG protocol (bencode over UDP), as a SIP proxy would: an offer of PCMU from the caller,
an answer of the codec asked for from the callee. The counterpart of plane_tool's "calls".

Usage: ng_calls.py NG_ADDRESS:PORT call PREFIX CALLER:PORT CALLEE:PORT CODEC COUNT     further calls use ports 2, 4 ... higher
       ng_calls.py NG_ADDRESS:PORT delete PREFIX COUNT
"call" prints [[WHERE_THE_CALLER_SENDS, WHERE_THE_CALLEE_SENDS], ...] as JSON.
"""
import json
import os
import re
import socket
import sys

NAMES = {"PCMU": "PCMU", "PCMA": "PCMA", "G722": "G722", "G729": "G729", "opus": "opus/48000/2"}
SDP = "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP {type}\r\na=rtpmap:{type} {name}\r\na=ptime:20\r\na=sendrecv\r\n"


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data, at=0):
    """The value that begins at `at`, and where the next begins."""
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in b"ld":
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = decode(data, at)
            items.append(item)
        return (items if kind == b"l" else {key: items[i * 2 + 1] for i, key in enumerate(items[::2])}), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end].decode(), end


class Ng:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        self.socket.connect(address)
        self.count = 0

    def ask(self, command, **fields):
        """Its answer; SystemExit when it refuses, or says nothing for 5 s."""
        self.count += 1
        cookie = b"%d_%d" % (os.getpid(), self.count)  # it answers one that it knows with what it said then
        self.socket.send(cookie + b" " + encode({"command": command, **fields}))
        got = b""
        while got != cookie:
            got, _, body = self.socket.recv(65536).partition(b" ")
        answer = decode(body)[0]
        if answer["result"] not in ("ok", "pong"):
            sys.exit(f"rtpengine refused {command}: {answer}")
        return answer

    def call(self, name, caller, callee, codec):
        """Where the caller and where the callee send to."""
        wanted = {"codec": {"mask": ["PCMU"], "transcode": [NAMES[codec].split("/", maxsplit=1)[0]]}} if codec != "PCMU" else {}
        common = {"call-id": name, "from-tag": "caller"}
        offered = self.ask("offer", **common, **wanted, direction=["outside", "inside"], ICE="remove", sdp=SDP.format(host=caller[0], port=caller[1], type=0, name="PCMU/8000"))["sdp"]
        kind = self.payload_type(offered, codec)
        mapping = NAMES[codec] if "/" in NAMES[codec] else NAMES[codec] + "/8000"
        answered = self.ask("answer", **common, **{"to-tag": "callee"}, ICE="remove", sdp=SDP.format(host=callee[0], port=callee[1], type=kind, name=mapping))["sdp"]
        if self.payload_type(answered, "PCMU") != 0:
            sys.exit(f"rtpengine's answer has no PCMU:\n{answered}")
        return endpoint(answered), endpoint(offered)

    @staticmethod
    def payload_type(sdp, codec):
        fixed = {"PCMU": 0, "PCMA": 8, "G722": 9, "G729": 18}
        mapped = re.search(rf"a=rtpmap:(\d+) {codec}/", sdp, re.IGNORECASE)
        types = list(map(int, re.search(r"m=audio \d+ \S+ ([\d ]+)", sdp).group(1).split()))
        kind = int(mapped.group(1)) if mapped else fixed.get(codec)
        if kind not in types:
            sys.exit(f"rtpengine does not offer {codec}:\n{sdp}")
        return kind


def endpoint(sdp):
    host = re.search(r"c=IN IP4 (\S+)", sdp).group(1)
    return f"{host}:{re.search(r'm=audio ([0-9]+)', sdp).group(1)}"


def parse(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main():
    ng, verb, prefix = Ng(parse(sys.argv[1])), sys.argv[2], sys.argv[3]
    if verb == "delete":
        for i in range(int(sys.argv[4])):
            ng.ask("delete", **{"call-id": f"{prefix}-{i}", "from-tag": "caller", "delete-delay": 0})
        return
    (caller, caller_port), (callee, callee_port), codec, count = parse(sys.argv[4]), parse(sys.argv[5]), sys.argv[6], int(sys.argv[7])
    print(json.dumps([ng.call(f"{prefix}-{i}", (caller, caller_port + 2 * i), (callee, callee_port + 2 * i), codec) for i in range(count)]))


if __name__ == "__main__":
    main()
