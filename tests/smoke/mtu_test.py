#!/usr/bin/env python3
"""Messages larger than a packet, both ways, and IPv6: what comes in fragments is reassembled and answered by the kernel
socket beside the dataplane, what we send over the MTU leaves in fragments, and every fragment counts."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from capture import Capture  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

# Sends OPTIONS one after the other: SOURCE TARGET COUNT HEADER_BYTES VIAS. The Vias must come back; other headers do not.
# Prints how many were answered and the length of the longest answer.
CLIENT = """
import json, socket, sys
source, target, count, pad, vias = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
v6 = ":" in source
host, uri = (f"[{source}]", f"[{target}]") if v6 else (source, target)
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((source, 0)); s.settimeout(1.5)
port, answered, longest = s.getsockname()[1], 0, 0
more = "".join(f"Via: SIP/2.0/UDP proxy{i}.example;branch=z9hG4bK{'p' * 80}{i}\\r\\n" for i in range(vias))
for i in range(count):
    s.sendto((f"OPTIONS sip:x@{uri} SIP/2.0\\r\\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{port}x{i};rport\\r\\n{more}Max-Forwards: 70\\r\\nFrom: <sip:a@b.example>;tag={i}\\r\\n"
              f"To: <sip:x@b.example>\\r\\nCall-ID: {port}-{i}\\r\\nCSeq: 1 OPTIONS\\r\\nX-Pad: {'x' * pad}\\r\\nContent-Length: 0\\r\\n\\r\\n").encode(), (target, 5060))
    try:
        answer = s.recv(65535).decode()
    except TimeoutError:
        continue
    assert answer.startswith("SIP/2.0 200") and answer.count("proxy") == vias and answer.endswith("\\r\\n\\r\\n"), answer
    answered, longest = answered + 1, max(longest, len(answer))
print(json.dumps({"answered": answered, "longest": longest}))
"""
V4, V6 = (gateway.CALLER, gateway.OUTSIDE), (gateway.CALLER6, gateway.OUTSIDE6)
FRAGMENTS = "(ip[6:2] & 0x3fff != 0) or (ip6 and ip6[6] == 44)"
ANSWERS = ("expect INVITE", "status 180 Ringing", "answer", "expect ACK", "expect BYE", "ok")
ANSWERED = ("invite", "recv? 100", "recv? 180", "recv 200", "ack", "pause", "bye", "recv 200")


class Mtu(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.lab.address("caller", "c0", "10.1.0.9/24", "fd01:0:0:9::2/64")
        gateway.Dataplane(cls.lab)
        listeners = ", ".join(f'"{a}:5060"' for a in (gateway.OUTSIDE, gateway.INSIDE, f"[{gateway.OUTSIDE6}]", f"[{gateway.INSIDE6}]"))
        long_target = f"sip:{{user}}@{gateway.CALLEE}:5060;padding=" + "x" * 900  # in the Request-URI and in To
        cls.control = gateway.ControlPlane(cls.lab, gateway.basic_config(**{
            "sip": f'udp = [{listeners}]\ntcp = ["{gateway.INSIDE}:5060"]',
            "[route]": f'id = "long"\nuser = "long"\ntarget = "{long_target}"\nlocal = "{gateway.INSIDE}:5060"\n'
                       f'[[route]]\nid = "six"\nuser = "six"\ntarget = "sip:{{user}}@[{gateway.CALLEE6}]:5060"\nlocal = "[{gateway.INSIDE6}]:5060"\n'
                       f'[[route]]\nid = "expert"\ntarget = "sip:{{user}}@{gateway.CALLEE}:5060"\nlocal = "{gateway.INSIDE}:5060"',
            "[pike.exempt]": f'prefix = "{gateway.CALLER}/32"\n[[pike.exempt]]\nprefix = "{gateway.CALLEE}/32"\n[[pike.exempt]]\nprefix = "fd01::/64"\n[[pike.exempt]]\nprefix = "fd02::/64"'}))

    def tearDown(self):
        lab.wait_for(lambda: not self.control.ctl("calls show")["rows"] and not self.control.ctl("legs show")["rows"], 15, "every table empty")

    def options(self, source, target, count=1, pad=0, vias=0):
        return json.loads(self.lab.run_in("caller", gateway.PYTHON, "-c", CLIENT, source, target, count, pad, vias, timeout=60).stdout)

    def sip(self, key):
        return self.control.ctl("status")["sip"][key]

    def test_small_messages_never_see_the_kernel(self):
        for source, target in (V4, V6):
            before = self.sip("udp_received_kernel"), self.sip("udp_sent_kernel")
            self.assertEqual(self.options(source, target, count=3)["answered"], 3)
            self.assertEqual((self.sip("udp_received_kernel"), self.sip("udp_sent_kernel")), before)

    def test_request_in_fragments_is_answered(self):
        for source, target in (V4, V6):
            before = self.sip("udp_received_kernel")
            self.assertEqual(self.options(source, target, count=3, pad=3000)["answered"], 3)
            self.assertEqual(self.sip("udp_received_kernel") - before, 3)

    def test_response_over_the_mtu_leaves_in_fragments(self):
        for source, target in (V4, V6):
            capture = Capture(self.lab, "caller", "c0", f"(src host {target}) and ({FRAGMENTS})")
            before = self.sip("udp_sent_kernel")
            result = self.options(source, target, count=2, vias=28)
            self.assertEqual(result["answered"], 2)
            self.assertGreater(result["longest"], 3000)
            self.assertEqual(self.sip("udp_sent_kernel") - before, 2)
            self.assertEqual(self.captured(capture, 6), 6, "two answers in three fragments each")

    @staticmethod
    def captured(capture, at_least):
        """How many packets, once there are so many; tcpdump writes each as it comes, a little later."""
        count = lambda: len(lab.run("tcpdump", "-nr", capture.path, check=False).stdout.splitlines())  # noqa: E731
        lab.wait_for(lambda: count() >= at_least, 10, f"{at_least} packets captured", interval=0.1)
        capture.stop()
        return count()

    def call(self, user, options=(), local=f"{gateway.CALLER}:5060", target=f"{gateway.OUTSIDE}:5060", at=f"{gateway.CALLEE}:5060", **kwargs):
        served = peers.Sipp(self.lab, "callee", callee(*ANSWERS), at, "-m", "1", "-timeout", "30", name="callee")
        peers.Sipp(self.lab, "caller", caller(*ANSWERED, **kwargs), local, "-m", "1", "-s", user, "-d", "200", "-timeout", "20", *options, target=target, name="caller").wait(30)
        served.wait(10)

    def test_invite_in_fragments_becomes_a_call(self):
        before = self.sip("udp_received_kernel")
        self.call("expert", extra="\n".join(f"X-Pad-{i}: {'x' * 200}" for i in range(15)))
        self.assertGreaterEqual(self.sip("udp_received_kernel") - before, 1)

    def test_our_invite_over_the_mtu_leaves_in_fragments(self):
        # Not over TCP, although there is a listener: the route says UDP (tools/docs/protocol/sip.md).
        capture = Capture(self.lab, "callee", "e0", f"(src host {gateway.INSIDE}) and ({FRAGMENTS})")
        self.call("long")
        self.assertGreaterEqual(self.captured(capture, 2), 2)

    def test_call_over_ipv6(self):
        before = self.sip("udp_sent_dataplane")
        self.call("six", local=f"[{gateway.CALLER6}]:5060", target=f"[{gateway.OUTSIDE6}]:5060", at=f"[{gateway.CALLEE6}]:5060")
        self.assertGreaterEqual(self.sip("udp_sent_dataplane") - before, 6)

    def test_call_from_ipv4_to_ipv6(self):
        self.call("six", at=f"[{gateway.CALLEE6}]:5060")

    def test_every_fragment_counts(self):
        # 30 in 10 s: ten requests of three fragments each; the eleventh finds no room.
        self.assertEqual(self.options("10.1.0.9", gateway.OUTSIDE, count=12, pad=3200)["answered"], 10)
        row = next(r for r in self.control.ctl("pike show")["rows"] if r["source"] == "10.1.0.9")
        self.assertEqual((row["in_window"], row["refused"]), (30, 6))


if __name__ == "__main__":
    lab.isolate()
    tap.main()
