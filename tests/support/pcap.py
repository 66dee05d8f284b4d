"""Reads classic pcap files (as tcpdump writes them): RTP packets with their capture times, nothing more; and makes one, of a stream."""
import struct
from collections import namedtuple

Packet = namedtuple("Packet", "time_ns source destination sport dport payload")
Rtp = namedtuple("Rtp", "time_ns source destination sport dport payload_type marker sequence timestamp ssrc payload")

_MAGIC_NS = {0xA1B23C4D: 1, 0xA1B2C3D4: 1000}


def udp_packets(path):
    """UDP over IPv4 and IPv6 on Ethernet, in file order. A truncated last record (a killed tcpdump) ends the list."""
    data = path.read_bytes()
    if len(data) < 24:
        return []
    for order in "<>":
        scale = _MAGIC_NS.get(struct.unpack(order + "I", data[:4])[0])
        if scale:
            break
    else:
        raise ValueError(f"{path} is not a pcap file")
    packets, at = [], 24
    while at + 16 <= len(data):
        seconds, fraction, captured, _ = struct.unpack(order + "IIII", data[at:at + 16])
        frame = data[at + 16:at + 16 + captured]
        at += 16 + captured
        if len(frame) < captured:
            break
        kind = frame[12:14]
        if kind == b"\x08\x00" and frame[23] == 17:
            header = 14 + (frame[14] & 15) * 4
            source, destination = ".".join(map(str, frame[26:30])), ".".join(map(str, frame[30:34]))
        elif kind == b"\x86\xdd" and frame[20] == 17:
            header = 54
            source, destination = frame[22:38].hex(":", 2), frame[38:54].hex(":", 2)
        else:
            continue
        sport, dport, length = struct.unpack("!HHH", frame[header:header + 6])
        packets.append(Packet(seconds * 10**9 + fraction * scale, source, destination, sport, dport, frame[header + 8:header + length]))
    return packets


def rtp(packets):
    """Those that are RTP version 2 and not RTCP."""
    found = []
    for p in packets:
        if len(p.payload) < 12 or p.payload[0] >> 6 != 2 or 192 <= p.payload[1] <= 223:
            continue
        second, sequence, timestamp, ssrc = struct.unpack("!xBHII", p.payload[:12])
        skip = 12 + (p.payload[0] & 15) * 4
        found.append(Rtp(p.time_ns, p.source, p.destination, p.sport, p.dport, second & 0x7F, second >> 7, sequence, timestamp, ssrc, p.payload[skip:]))
    return found


def rtp_capture(payload_type, payloads, step):
    """The bytes of a capture of one stream: a packet each 20 ms, its time stamp `step` later. For players; checksums are left out."""
    out = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    for number, payload in enumerate(payloads):
        rtp_header = struct.pack("!BBHII", 0x80, payload_type | (0x80 if number == 0 else 0), number, number * step, 0x1F6)
        udp = struct.pack("!HHHH", 4000, 4000, 8 + len(rtp_header) + len(payload), 0) + rtp_header + payload
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), bytes(4))
        frame = bytes(12) + b"\x08\x00" + ip + udp
        out += struct.pack("<IIII", number // 50, number % 50 * 20_000, len(frame), len(frame)) + frame
    return bytes(out)
