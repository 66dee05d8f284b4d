"""An access port of a switch: untagged frames on one interface, frames of one VLAN on the other. The kernels of test machines
have no VLAN interfaces of their own.

Usage: access_port.py UNTAGGED TAGGED=VLAN [TAGGED=VLAN ...]: each UNTAGGED in turn with its TAGGED; runs until it is killed.
"""
import select
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
TP_STATUS_VLAN_VALID = 1 << 4


def packet_socket(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind((interface, 0))
    return s


def receive(s):
    """A frame as it was on the wire without its tag, and the VLAN of the tag, or None. The kernel keeps tags beside the bytes."""
    frame, ancillary, _, _ = s.recvmsg(65536, 256)
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return frame, tci & 0xFFF
    return frame, None


def main():
    ways = []  # (socket, handler)
    sockets = {}
    for untagged, trunk in zip(sys.argv[1::2], sys.argv[2::2]):
        tagged, _, vlan = trunk.partition("=")
        vlan = int(vlan)
        inside = packet_socket(untagged)
        outside = sockets.setdefault(tagged, packet_socket(tagged))
        ways.append((inside, outside, vlan))
    print("ready", flush=True)
    while True:
        for s in select.select([w[0] for w in ways] + list(sockets.values()), [], [])[0]:
            frame, seen = receive(s)
            for inside, outside, vlan in ways:
                if s is inside:
                    outside.send(frame[:12] + struct.pack(">HH", 0x8100, vlan) + frame[12:])
                elif s is outside and seen == vlan:
                    inside.send(frame)


if __name__ == "__main__":
    main()
