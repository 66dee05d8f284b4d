#!/usr/bin/env python3
"""The dataplane alone, with real packets: relaying, transcoding, injection, the limiter, and its control plane killed
two hundred times while two parties talk. The control plane here is tests/support/plane_tool.cc."""
import base64
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402

FLOOD = """
import socket, sys, time
count, rate, source, target = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
s = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind((source, 0))
s.setblocking(False)
start, sent, heard = time.monotonic(), 0, 0
while sent < count or time.monotonic() < start + count / rate + 0.5:
    if sent < count and time.monotonic() >= start + sent / rate:
        s.sendto(b"OPTIONS sip:x SIP/2.0 %d" % sent, (target, 5060))
        sent += 1
    try:
        s.recv(2048)
        heard += 1
    except BlockingIOError:
        time.sleep(0.0002)
print(heard)
"""

# TCP acknowledgements to port 5060 of TARGET, COUNT of them, each of another source. The kernel makes the IP checksum.
ACKS = """
import random, socket, struct, sys
target, count = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
tcp = struct.pack("!HHIIBBHHH", 4000, 5060, 1, 1, 5 << 4, 0x10, 1000, 0, 0)
for _ in range(count):
    source = struct.pack("!I", random.randrange(0x0B000000, 0x7F000000))
    s.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + source + socket.inet_aton(target) + tcp, (target, 0))
"""

# Both ends of one connection: lines that the client reads come back to it.
ECHO = """
import socket, sys
s = socket.create_server((sys.argv[1], 5060))
print("listening")
s, _ = s.accept()
while data := s.recv(100):
    s.sendall(data)
"""
CONNECTED = """
import socket, sys
s = socket.create_connection((sys.argv[1], 5060), 20)
for line in sys.stdin:
    s.sendall(line.encode())
    print(s.recv(100).decode())
"""


def flood(the_lab, ns, count, rate, source, target):
    return int(the_lab.run_in(ns, gateway.PYTHON, "-c", FLOOD, count, rate, source, target, timeout=60).stdout)


class Media(unittest.TestCase):
    OPTIONS, QUEUES = (), 1

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.dataplane = gateway.Dataplane(cls.lab, *cls.OPTIONS, queues=cls.QUEUES)

    def tearDown(self):
        self.dataplane.tool("clear")
        self.assertEqual(self.dataplane.legs()["in_use"], 0)

    def talk(self, address_a, codec_a, address_b, codec_b, seconds=1.0):
        """Both parties send a tone at once; returns what each heard."""
        types = {"PCMU": 0, "PCMA": 8}
        remote_a, remote_b = f"{address_a}:4000", f"{address_b}:4002"
        legs = self.dataplane.call(remote_a, codec_a, remote_b, codec_b)
        with gateway.Start(self.lab) as together:
            a = gateway.start_rtp(self.lab, "party_a", "caller", remote_a, legs["a"], types[codec_a], seconds, "--tone", 440, *together.options)
            b = gateway.start_rtp(self.lab, "party_b", "callee", remote_b, legs["b"], types[codec_b], seconds, "--tone", 620, *together.options)
        heard_a, heard_b = gateway.rtp_result(a), gateway.rtp_result(b)
        self.check(heard_a, types[codec_a], 620)
        self.check(heard_b, types[codec_b], 440)
        return heard_a, heard_b

    def check(self, heard, payload_type, frequency):
        # What comes while next hops are looked for may be lost; everything after it must arrive.
        packets = heard["packets"]
        self.assertGreater(len(packets), 30)
        sequence = [p[1] for p in packets]
        self.assertEqual(sequence, list(range(sequence[0], sequence[0] + len(sequence))), "a packet is missing or out of order")
        self.assertEqual({p[3] for p in packets}, {payload_type})
        signal = audio.decode(payload_type, base64.b64decode(heard["audio"]))
        self.assertAlmostEqual(audio.dominant_frequency(signal), frequency, delta=5)
        self.assertAlmostEqual(audio.rms(signal), 0.3 / 2**0.5, delta=0.01)

    def test_relay_ipv4(self):
        self.talk(gateway.CALLER, "PCMU", gateway.CALLEE, "PCMU")

    def test_transcode_ipv4(self):
        self.talk(gateway.CALLER, "PCMU", gateway.CALLEE, "PCMA")

    def test_relay_ipv6(self):
        self.talk(f"[{gateway.CALLER6}]", "PCMA", f"[{gateway.CALLEE6}]", "PCMA")

    def test_ipv4_to_ipv6_transcoded(self):
        self.talk(gateway.CALLER, "PCMA", f"[{gateway.CALLEE6}]", "PCMU")

    def test_injection_from_another_address_is_dropped_and_counted(self):
        remote_a, remote_b = f"{gateway.CALLER}:4000", f"{gateway.CALLEE}:4002"
        legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMU")
        before = self.dataplane.legs()["drops"]["wrong_media_source"]
        self.lab.address("caller", "c0", "10.1.0.66/24")
        b = gateway.start_rtp(self.lab, "victim", "callee", remote_b, legs["b"], 0, 1)
        intruder = gateway.start_rtp(self.lab, "intruder", "caller", "10.1.0.66:4000", legs["a"], 0, 0.5)
        wrong_port = gateway.start_rtp(self.lab, "wrong_port", "caller", f"{gateway.CALLER}:4010", legs["a"], 0, 0.5)
        gateway.rtp_result(intruder)
        gateway.rtp_result(wrong_port)
        self.assertEqual(gateway.rtp_result(b)["packets"], [])
        self.assertEqual(self.dataplane.legs()["drops"]["wrong_media_source"] - before, 50)

    def test_hosts_that_have_no_such_port_say_so(self):
        for caller, callee in ((gateway.CALLER, gateway.CALLEE), (f"[{gateway.CALLER6}]", f"[{gateway.CALLEE6}]")):
            remote_a, remote_b = f"{caller}:4000", f"{callee}:4002"
            legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMU")
            party = gateway.start_rtp(self.lab, "talker", "caller", remote_a, legs["a"], 0, 0.5)
            lab.wait_for(lambda: [leg["unreachable"] for leg in self.dataplane.legs()["legs"] if leg["remote"] == remote_b][0] >= 1, 10, f"an error of {callee}'s host")
            gateway.rtp_result(party)
            self.assertEqual([leg["unreachable"] for leg in self.dataplane.legs()["legs"] if leg["remote"] == remote_a], [0])

    def test_garbage_to_a_media_port_is_counted_not_sent(self):
        remote_a, remote_b = f"{gateway.CALLER}:4000", f"{gateway.CALLEE}:4002"
        legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMU")
        host, port = legs["a"].rsplit(":", 1)
        before = self.dataplane.legs()["drops"]
        self.lab.run_in("caller", gateway.PYTHON, "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("{gateway.CALLER}", 4000))
for payload in (b"", b"x", b"\\x80\\x00" + b"0" * 9, b"\\x40" + b"0" * 171, b"\\x8f\\x00" + b"0" * 20, b"\\x90\\x00" + b"0" * 10 + b"\\0\\0\\xff\\xff", b"\\xa0\\x00" + b"0" * 9 + b"\\xff"):
    s.sendto(payload, ("{host}", {port}))
s.sendto(b"\\x80\\x60" + b"0" * 170, ("{host}", {port}))
""")
        after = lab.wait_for(lambda: (lambda d: d if sum(d.values()) - sum(before.values()) >= 8 else None)(self.dataplane.legs()["drops"]), 5, "8 drops")
        self.assertEqual(after["malformed_rtp"] - before["malformed_rtp"], 7)
        self.assertEqual(after["unexpected_payload_type"] - before["unexpected_payload_type"], 1)

    def test_media_follows_a_neighbour_that_changes_its_mac(self):
        remote_a, remote_b = f"{gateway.CALLER}:4000", f"{gateway.CALLEE}:4002"
        legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMU")
        b = gateway.start_rtp(self.lab, "moving_b", "callee", remote_b, legs["b"], 0, 3)
        a = gateway.start_rtp(self.lab, "staying_a", "caller", remote_a, legs["a"], 0, 3)
        lab.wait_for(lambda: self.dataplane.legs()["legs"][0]["tx"] > 25, 10, "media flows")
        self.lab.run_in("callee", "sysctl", "-q", "-w", "net.ipv4.conf.e0.arp_notify=1")
        self.lab.run_in("callee", "ip", "link", "set", "e0", "address", "02:00:00:00:be:ef")
        heard = gateway.rtp_result(b)["packets"]
        gateway.rtp_result(a)
        # The wire drops what is under way to the old address; then it goes on.
        self.assertGreater(len(heard), 120)
        self.assertGreaterEqual(heard[-1][1], 140, "packets arrive until the end, at the new address")

    def through_a_router(self, *via):
        self.lab.run_in("callee", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        if "behind" not in vars(type(self)):  # a subclass has a lab of its own
            type(self).behind = self.lab.namespace("behind")
            self.lab.link("callee", "r0", "behind", "h0")
            self.lab.address("callee", "r0", "10.3.0.1/24")
            self.lab.address("behind", "h0", "10.3.0.2/24")
            self.lab.run_in("behind", "ip", "route", "add", "default", "via", "10.3.0.1")
        self.dataplane.route("replace", "10.3.0.0/24", "via", *via)
        remote_a, remote_b = f"{gateway.CALLER}:4000", "10.3.0.2:4002"
        legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMA")
        with gateway.Start(self.lab) as together:
            b = gateway.start_rtp(self.lab, "behind_b", "behind", remote_b, legs["b"], 8, 1, "--tone", 620, *together.options)
            a = gateway.start_rtp(self.lab, "front_a", "caller", remote_a, legs["a"], 0, 1, "--tone", 440, *together.options)
        heard_a, heard_b = gateway.rtp_result(a), gateway.rtp_result(b)
        self.check(heard_b, 8, 440)
        self.check(heard_a, 0, 620)

    def test_media_goes_through_a_router(self):
        self.through_a_router(gateway.CALLEE)

    def test_media_goes_through_a_router_known_by_its_ipv6_address(self):
        # It may have another MAC since the cases before; who asks for a neighbour says its own.
        self.lab.run_in("callee", "ping", "-c", "1", "-W", "10", gateway.INSIDE6)
        self.through_a_router("inet6", gateway.CALLEE6)

    def test_control_plane_killed_two_hundred_times_costs_no_packet(self):
        remote_a, remote_b = f"{gateway.CALLER}:4000", f"{gateway.CALLEE}:4002"
        legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMA")
        tool = [self.dataplane.build / "tests/smoke/plane_tool", self.dataplane.SOCKET, "churn"]
        seconds = 16
        b = gateway.start_rtp(self.lab, "talk_b", "callee", remote_b, legs["b"], 8, seconds, "--linger", "1")
        a = gateway.start_rtp(self.lab, "talk_a", "caller", remote_a, legs["a"], 0, seconds, "--linger", "1")
        rng = random.Random(3)
        kills = 0
        end = time.monotonic() + seconds - 1
        while kills < 200:
            churn = self.lab.start("churn", tool)
            if kills % 10 == 0:  # known to be in the middle of its work; the others die wherever they are
                begun = churn.output().count("churning")
                lab.wait_for(lambda: churn.output().count("churning") > begun or churn.output().count("churning") > kills // 10 or not churn.running(), 10, "churn began")
            time.sleep(rng.random() * 0.05)
            churn.stop(signal.SIGKILL)
            self.lab.processes.remove(churn)
            kills += 1
        self.assertLess(time.monotonic(), end, "the kills outlasted the call: make the call longer")
        heard_a, heard_b = gateway.rtp_result(a), gateway.rtp_result(b)
        self.check(heard_b, 8, 440)
        self.check(heard_a, 0, 440)
        self.assertEqual(len(heard_b["packets"]), heard_a["sent"], "packets from a to b were lost")
        state = self.dataplane.legs()
        self.assertEqual((state["corrupt_rings"], state["invalid_messages"]), (0, 0))
        self.assertGreaterEqual(state["attaches"], 100, "most of the killed ones had attached")
        ours = [leg for leg in state["legs"] if leg["local"] in (legs["a"], legs["b"])]
        self.assertEqual(len(ours), 2, "a new control plane reads the leg table")
        self.assertEqual(ours[0]["peer"], ours[1]["id"])


class MediaWithTwoWorkers(Media):
    """The same with two queues: the kernel spreads packets by its own hash, so they change hands inside."""

    OPTIONS, QUEUES = ("--workers", "2"), 2
    test_control_plane_killed_two_hundred_times_costs_no_packet = None  # once is enough: the rings are per worker


class Limiter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.dataplane = gateway.Dataplane(cls.lab)

    def answerer(self, count):
        process = self.lab.start("answerer", [self.dataplane.build / "tests/smoke/plane_tool", self.dataplane.SOCKET, "answer", count])
        lab.wait_for(lambda: "answering" in process.output() or not process.running(), 10, "the answerer attached")
        return process

    def test_of_a_flood_exactly_thirty_pass(self):
        answerer = self.answerer(1_000_000)
        self.assertEqual(flood(self.lab, "caller", 1000, 500, gateway.CALLER, gateway.OUTSIDE), 30)
        self.assertEqual(flood(self.lab, "callee", 40, 200, gateway.CALLEE6, gateway.INSIDE6), 30, "IPv6 counts by /64")
        answerer.stop()  # one control plane at a time
        self.assertEqual(self.dataplane.legs()["drops"]["source_limited"], 980)


SPOOF = """
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
target, body = sys.argv[1], b"OPTIONS sip:x SIP/2.0"
for i in range(int(sys.argv[2])):
    source = struct.pack(">I", (100 << 24) + i * 7 + 1)
    udp = struct.pack(">HHHH", 5060, 5060, 8 + len(body), 0) + body
    s.sendto(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, socket.inet_aton(target)) + udp, (target, 0))
    if i % 10 == 0:
        time.sleep(0.001)
"""


# Stands between a control plane and a dataplane and makes each believe that the other is one contract version later.
OTHER_VERSION = """
import os, socket, struct, sys
def later(message):  # magic and version come first in every version
    magic, version = struct.unpack_from("<QI", message)
    return struct.pack("<QI", magic, version + 1) + message[12:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
listener.listen()
print("listening", flush=True)
while True:
    control, _ = listener.accept()
    with control, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as plane:
        plane.connect(sys.argv[2])
        plane.sendall(later(control.recv(65536)))
        control.sendall(later(plane.recv(65536)))
"""


class TcpFlood(unittest.TestCase):
    PER_SECOND = 1000

    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        gateway.Network(self.lab)
        self.dataplane = gateway.Dataplane(self.lab, "--exception-pps", self.PER_SECOND)

    def at_the_kernel(self):
        return int(self.lab.run_in("gw", "cat", "/sys/class/net/ifgw-out/statistics/rx_packets").stdout)

    def test_packets_of_connections_that_do_not_exist_are_bounded(self):
        echo = self.lab.start("echo", [gateway.PYTHON, "-uc", ECHO, gateway.OUTSIDE], ns="gw")
        lab.wait_for(lambda: "listening" in echo.output(), 10, "listening")
        connected = self.lab.start("connected", [gateway.PYTHON, "-uc", CONNECTED, gateway.OUTSIDE], ns="caller", stdin=subprocess.PIPE)

        def say(text):
            connected.popen.stdin.write(text)
            connected.popen.stdin.flush()
            lab.wait_for(lambda: text.decode() in connected.output(), 20, f"{text} comes back")

        say(b"before\n")
        reached, started = self.at_the_kernel(), time.monotonic()
        count = 50_000
        self.lab.run_in("caller", gateway.PYTHON, "-c", ACKS, gateway.OUTSIDE, count, timeout=60)
        policed = lambda: self.dataplane.legs()["drops"]["signalling_tcp_policer"]  # noqa: E731
        seen = lab.wait_for(lambda: (lambda first: first if first == policed() else None)(policed()), 10, "the flood is over", interval=0.2)
        reached, seconds = self.at_the_kernel() - reached, time.monotonic() - started
        self.assertGreater(seen, 5 * self.PER_SECOND)
        self.assertLessEqual(reached, self.PER_SECOND * (seconds + 0.1) + 50, "but for a few of ARP")
        say(b"after\n")


class Versions(unittest.TestCase):
    def test_planes_of_different_contract_versions_refuse_each_other_and_say_why(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            dataplane = gateway.Dataplane(the_lab)
            between = the_lab.start("between", [gateway.PYTHON, "-c", OTHER_VERSION, "/run/between.sock", dataplane.SOCKET])
            lab.wait_for(lambda: "listening" in between.output() or not between.running(), 10, "the one between listens")
            control = gateway.ControlPlane(the_lab, gateway.basic_config(dataplane='socket = "/run/between.sock"'), wait=False)
            status = lab.wait_for(lambda: (status := control.ctl("status", check=False).get("dataplane", {})).get("error") and status, 20, "the first attempt to attach ended")
            self.assertFalse(status["attached"])
            said = re.search(r"/run/between.sock speaks contract version (\d+), this control plane (\d+): install both from the same release", status["error"])
            self.assertIsNotNone(said, status["error"])
            self.assertEqual(int(said[1]), int(said[2]) + 1)
            self.assertIn(said[0], control.process.output())
            self.assertRegex(dataplane.process.output(), rf"attach refused for pid \d+ uid 0: it speaks contract version {said[1]}, this dataplane {said[2]}: install both from the same release")
            between.stop()
            self.assertEqual(dataplane.legs()["attaches"], 1, "one of its own version is welcome: this tool")


class Strangers(unittest.TestCase):
    """A conversation goes on while somebody else uses more next hops than there are."""

    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        gateway.Network(self.lab)
        self.dataplane = gateway.Dataplane(self.lab)
        self.dataplane.route("add", "100.0.0.0/8", "via", gateway.CALLER)
        remote_a, remote_b = f"{gateway.CALLER}:4000", f"{gateway.CALLEE}:4002"
        self.legs = self.dataplane.call(remote_a, "PCMU", remote_b, "PCMA")
        self.b = gateway.start_rtp(self.lab, "b", "callee", remote_b, self.legs["b"], 8, 8, "--linger", "1")
        self.a = gateway.start_rtp(self.lab, "a", "caller", remote_a, self.legs["a"], 0, 8, "--linger", "1")

    def expect_no_loss(self):
        heard_a, heard_b = gateway.rtp_result(self.a), gateway.rtp_result(self.b)
        rows = [leg for leg in self.dataplane.legs()["legs"] if leg["local"] in self.legs.values()]
        self.assertEqual([leg["dropped"] for leg in rows], [0, 0])
        self.assertEqual(len(heard_b["packets"]), heard_a["sent"], "every packet of the call arrived")

    def test_answers_to_strangers_cost_media_nothing(self):
        answerer = self.lab.start("answerer", [self.dataplane.build / "tests/smoke/plane_tool", self.dataplane.SOCKET, "answer", "10000000"])
        lab.wait_for(lambda: "answering" in answerer.output(), 10, "the answerer attached")
        self.lab.run_in("caller", gateway.PYTHON, "-c", SPOOF, gateway.OUTSIDE, 30_000, timeout=60)
        answerer.stop()
        self.expect_no_loss()

    def test_a_party_that_roams_costs_others_nothing(self):
        self.dataplane.tool("roam", "100.0.0.1:4000", 40_000)  # the port range makes 32768 legs
        newcomer = "100.200.0.1:4000"
        late = self.dataplane.call(newcomer, "PCMU", f"{gateway.CALLEE}:4004", "PCMA")
        c = gateway.start_rtp(self.lab, "c", "callee", f"{gateway.CALLEE}:4004", late["b"], 8, 1)
        self.expect_no_loss()
        sent = gateway.rtp_result(c)["sent"]
        self.assertEqual([leg["tx"] for leg in self.dataplane.legs()["legs"] if leg["remote"] == newcomer], [sent], "and a new one finds its next hop")


if __name__ == "__main__":
    lab.isolate()
    tap.main()
