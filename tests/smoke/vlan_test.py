#!/usr/bin/env python3
"""Both networks on one wire, as VLANs 10 and 20 of one device: media, the limiter and the kernel's side, with tshark on the trunk.

    caller -- switch's access port of VLAN 10 --+
                                                +-- trunk [t0] -- [d0] dataplane
    callee -- switch's access port of VLAN 20 --+
"""
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import dataplane_test  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402

OUT_VLAN, IN_VLAN = 10, 20
# Sends Ethernet frames, given in hexadecimal, from an interface.
RAW = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    s.send(bytes.fromhex(frame))
"""


def trunk(the_lab):
    the_lab.namespace("switch")
    the_lab.link("caller", "c0", "switch", "s0")
    the_lab.link("callee", "e0", "switch", "s1")
    the_lab.link("switch", "t0", "wire", "d0")
    switch(the_lab)


def switch(the_lab):
    process = the_lab.start("switch", [gateway.PYTHON, gateway.SUPPORT / "access_port.py", "s0", f"t0={OUT_VLAN}", "s1", f"t0={IN_VLAN}"], ns="switch")
    lab.wait_for(lambda: "ready" in process.output(), 20, "the switch")


class Vlan(dataplane_test.Media):
    test_control_plane_killed_two_hundred_times_costs_no_packet = None  # knows nothing of VLANs

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab, trunk)
        device = gateway.af_packet(0, "d0")
        cls.dataplane = gateway.Dataplane(cls.lab, devices=(f"{device},vlan={OUT_VLAN}", f"{device},vlan={IN_VLAN}"))

    def drops(self):
        return self.dataplane.legs()["drops"]

    def test_ports_say_their_vlan(self):
        self.assertIn(f"port in: {gateway.af_packet(0, 'd0')}, VLAN {IN_VLAN} (", self.dataplane.process.output())

    def test_the_kernel_answers_pings_in_its_vlan(self):
        self.lab.run_in("caller", "ping", "-c", "2", "-i", "0.2", "-W", "2", gateway.OUTSIDE)
        self.lab.run_in("callee", "ping", "-c", "2", "-i", "0.2", "-W", "2", gateway.INSIDE6)
        # The other network's address on this VLAN is answered by the gateway as a host, but not by way of the other VLAN.
        unreachable = self.lab.run_in("caller", "ping", "-c", "1", "-W", "1", gateway.CALLEE, check=False)
        self.assertNotEqual(unreachable.returncode, 0, "the gateway is no router")

    def test_every_frame_has_the_tag_of_its_network(self):
        capture = self.lab.dir / "trunk.pcap"
        sniffer = self.lab.start("sniffer", ["tcpdump", "-U", "-i", "t0", "-w", str(capture)], ns="switch")
        lab.wait_for(lambda: "listening" in sniffer.output(), 20, "tcpdump")
        self.talk(gateway.CALLER, "PCMU", gateway.CALLEE, "PCMA")
        sniffer.stop()
        fields = ["-T", "fields", "-e", "vlan.id", "-e", "ip.src", "-e", "ip.dst", "-e", "ip.checksum.status", "-e", "udp.checksum.status"]
        lines = lab.run("tshark", "-r", capture, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y", "udp and not icmp", *fields).stdout.splitlines()
        seen = [line.split("\t") for line in lines]
        self.assertGreaterEqual(len(seen), 100)
        for vlan, source, target, ip_checksum, udp_checksum in seen:
            outside = gateway.CALLER in (source, target)
            self.assertEqual(vlan, str(OUT_VLAN if outside else IN_VLAN), f"{source} > {target}")
            self.assertEqual((ip_checksum, udp_checksum), ("1", "1"), f"{source} > {target}")

    def test_frames_of_no_port_are_counted_and_go_nowhere(self):
        mac = self.lab.run_in("gw", "cat", "/sys/class/net/ifgw-out/address").stdout.strip().replace(":", "")
        arp = "0001080006040001" + "020000000001" + "0a010042" + "000000000000" + "0a010001"
        untagged = "ffffffffffff020000000001" + "0806" + arp
        other = "ffffffffffff020000000001" + "8100" + struct.pack(">H", 30).hex() + "0806" + arp
        to_us = mac + "020000000001" + "8100" + struct.pack(">H", OUT_VLAN + 1).hex() + "0800" + "45" + "00" * 30
        before = self.drops()["unknown_vlan"]
        self.lab.run_in("switch", gateway.PYTHON, "-c", RAW, "t0", untagged, other, to_us)
        lab.wait_for(lambda: self.drops()["unknown_vlan"] - before == 3, 10, "three frames counted")
        neighbours = self.lab.run_in("gw", "ip", "neigh").stdout
        self.assertNotIn("10.1.0.66", neighbours, "the kernel has not heard of them")

    def test_a_priority_inside_the_tag_is_no_matter(self):
        legs = self.dataplane.call(f"{gateway.CALLER}:4000", "PCMU", f"{gateway.CALLEE}:4002", "PCMU")
        before = self.drops()["unknown_media_port"]
        mac = self.lab.run_in("gw", "cat", "/sys/class/net/ifgw-out/address").stdout.strip().replace(":", "")
        # A UDP datagram without checksum to a media port that no leg has: known to be media, so the tag was understood.
        port = int(legs["a"].rsplit(":", 1)[1]) + 1000
        udp = struct.pack(">HHHH", 4000, port, 8 + 12, 0) + b"\x80" + bytes(11)
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + bytes([10, 1, 0, 2, 10, 1, 0, 1])
        total = sum(struct.unpack(">10H", header))
        total = (total & 0xFFFF) + (total >> 16)
        header = header[:10] + struct.pack(">H", ~total & 0xFFFF) + header[12:]
        frame = mac + "020000000001" + "8100" + struct.pack(">H", 5 << 13 | OUT_VLAN).hex() + "0800" + (header + udp).hex()
        self.lab.run_in("switch", gateway.PYTHON, "-c", RAW, "t0", frame)
        lab.wait_for(lambda: self.drops()["unknown_media_port"] - before == 1, 10, "the datagram classified as media")


if __name__ == "__main__":
    lab.isolate()
    tap.main()
