#!/usr/bin/env python3
"""What the dataplane's main thread does beside the packets, behind the system call filter: its timer, and the neighbours
that the kernel knows."""
import json
import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402

# A datagram to port 5060 of TARGET from each of COUNT strangers behind the caller; then prints, of the answers heard
# within SECONDS, how many strangers got one by which MAC address. The kernel makes the IP checksum.
STRANGERS = """
import collections, json, socket, struct, sys, time
target, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
wire.bind(("c0", 0))
wire.setblocking(False)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
body = b"OPTIONS sip:x SIP/2.0"
heard = collections.defaultdict(set)
def hear():
    while True:
        try:
            frame = wire.recv(2048)
        except BlockingIOError:
            return
        if frame[12:14] == b"\\x08\\x00" and frame[26:30] == socket.inet_aton(target) and frame[30] == 100:
            heard[frame[0:6].hex(":")].add(frame[30:34])
for i in range(count):
    udp = struct.pack(">HHHH", 5060, 5060, 8 + len(body), 0) + body
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, struct.pack(">I", (100 << 24) + i + 1), socket.inet_aton(target))
    s.sendto(head + udp, (target, 0))
    if i % 10 == 0:
        time.sleep(0.001)
        hear()
end = time.monotonic() + seconds
while time.monotonic() < end and sum(map(len, heard.values())) < count:
    time.sleep(0.01)
    hear()
print(json.dumps({mac: len(strangers) for mac, strangers in heard.items()}))
"""


class Base(unittest.TestCase):
    OPTIONS = ()

    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        gateway.Network(self.lab)
        self.dataplane = gateway.Dataplane(self.lab, *self.OPTIONS)
        self.assertIn("system call filter: on", self.dataplane.process.output())

    def neighbour(self, address):
        """The gateway's entry, as ip neigh shows it."""
        return self.lab.run_in("gw", "ip", "neigh", "show", address).stdout.strip()


class EverySecond(Base):
    def test_ports_show_what_went_through_them(self):
        control = gateway.ControlPlane(self.lab, gateway.basic_config())
        port = lambda: next(row for row in control.ctl("port show")["rows"] if row["name"] == "out")  # noqa: E731
        before = port()
        self.lab.run_in("caller", "ping", "-c", "50", "-i", "0.01", gateway.OUTSIDE)
        moved = lambda: {key for key in ("rx_packets", "tx_packets") if port()[key] >= before[key] + 50}  # noqa: E731
        lab.wait_for(lambda: moved() == {"rx_packets", "tx_packets"}, 10, "50 pings and their answers are counted")

    def test_a_client_that_says_nothing_is_let_go(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.settimeout(10)  # its limit is a second
            silent.connect(self.dataplane.SOCKET)
            self.assertEqual(silent.recv(1), b"", "hung up")
        self.assertIn("a client connected and said nothing", self.dataplane.process.output())


class ByHand(Base):
    """A party that does not answer ARP, and the operator's static entry for it."""

    OPTIONS = ("--max-legs", "16")  # the 17th destination makes one forgotten

    def setUp(self):
        super().setUp()
        mac = lambda ns, interface: self.lab.run_in(ns, "cat", f"/sys/class/net/{interface}/address").stdout.strip()  # noqa: E731
        self.set_by_hand = ("lladdr", mac("callee", "e0"), "dev", "ifgw-in", "nud")
        self.lab.run_in("callee", "ip", "neigh", "replace", gateway.INSIDE, "lladdr", mac("gw", "ifgw-in"), "nud", "permanent", "dev", "e0")
        self.lab.run_in("callee", "ip", "link", "set", "e0", "arp", "off")

    def expect_kept(self, kind):
        self.lab.run_in("gw", "ip", "neigh", "replace", gateway.CALLEE, *self.set_by_hand, kind)
        before = self.neighbour(gateway.CALLEE)
        remote_a, remote_b = f"{gateway.CALLER}:4000", f"{gateway.CALLEE}:4002"
        legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMU")
        with gateway.Start(self.lab) as together:
            b = gateway.start_rtp(self.lab, "b", "callee", remote_b, legs["b"], 0, 1, *together.options)
            a = gateway.start_rtp(self.lab, "a", "caller", remote_a, legs["a"], 0, 1, *together.options)
        self.assertGreater(len(gateway.rtp_result(b)["packets"]), 30)
        self.assertGreater(len(gateway.rtp_result(a)["packets"]), 30)
        self.assertEqual(self.neighbour(gateway.CALLEE), before)
        self.assertIn("managed", self.neighbour(gateway.CALLER), "what the gateway asked for itself")
        self.dataplane.tool("clear")
        self.dataplane.route("replace", "100.0.0.0/8", "via", "10.1.0.77")  # nobody
        self.dataplane.tool("roam", "100.0.0.1:4000", 40)
        lab.wait_for(lambda: not self.neighbour(gateway.CALLER), 10, "the neighbours of the call are forgotten")
        self.assertEqual(self.neighbour(gateway.CALLEE), before)

    def test_permanent_entry_serves_a_call_and_stays(self):
        self.expect_kept("permanent")

    def test_entry_without_arp_serves_a_call_and_stays(self):
        self.expect_kept("noarp")

    def test_entry_that_becomes_permanent_while_it_is_used_stays(self):
        self.lab.run_in("callee", "ip", "link", "set", "e0", "arp", "on")
        self.dataplane.call(f"{gateway.CALLER}:4000", "PCMU", f"{gateway.CALLEE}:4002", "PCMU")
        lab.wait_for(lambda: "managed" in self.neighbour(gateway.CALLEE), 10, "the gateway's own entry")
        self.dataplane.tool("clear")
        self.expect_kept("permanent")


class Failover(Base):
    MANY = 7000  # strangers; a worker is told of 4096 at a time

    def test_all_behind_a_router_follow_when_its_mac_address_changes(self):
        self.dataplane.route("add", "100.0.0.0/8", "via", gateway.CALLER)
        answerer = self.lab.start("answerer", [self.dataplane.build / "tests/smoke/plane_tool", self.dataplane.SOCKET, "answer", "10000000"])
        lab.wait_for(lambda: "answering" in answerer.output(), 10, "the answerer attached")
        ask = lambda: json.loads(self.lab.run_in("caller", gateway.PYTHON, "-c", STRANGERS, gateway.OUTSIDE, self.MANY, 5, timeout=60).stdout)  # noqa: E731
        # The first time next hops are looked for, which may cost an answer.
        lab.wait_for(lambda: sum(ask().values()) == self.MANY, 60, "all are answered")
        self.lab.run_in("caller", "sysctl", "-q", "-w", "net.ipv4.conf.c0.arp_notify=1")
        self.lab.run_in("caller", "ip", "link", "set", "c0", "address", "02:00:00:00:be:ef")
        lab.wait_for(lambda: ask() == {"02:00:00:00:be:ef": self.MANY}, 15, "all are answered at the new address", interval=0)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
