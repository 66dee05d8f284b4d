#!/usr/bin/env python3
"""The limiter through the whole gateway: what a flood gets, what the operator sees and does, and who it must not touch."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

LIMIT = 30  # requests in 10 s: the default
FLOODER, TRUNK_NET, EXEMPT_NET = "10.1.0.9", "10.1.0.64/26", "10.1.0.128/26"
SECTIONS = {
    "[pike.exempt]": f'prefix = "{EXEMPT_NET}"',
    "[pike.prefix]": f'prefix = "{TRUNK_NET}"\nrequests = 100\nwindow = "60s"\n[[pike.prefix]]\nprefix = "{gateway.CALLEE}/32"\nrequests = 2000\n'
                     f'[[pike.prefix]]\nprefix = "{gateway.CALLER}/32"\nrequests = 2000',
}


# OPTIONS over TCP as fast as they go, through so many connections one after the other: how many were answered, and how
# many connections the gateway ended.
STREAM_FLOOD = """
import json, socket, sys
source, target, connections, each = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
answered = ended = number = 0
for _ in range(connections):
    s = socket.socket()
    s.bind((source, 0))
    s.settimeout(2)
    s.connect((target, 5060))
    got = b""
    try:
        for _ in range(each):
            number += 1
            s.sendall((f"OPTIONS sip:x@{target} SIP/2.0\\r\\nVia: SIP/2.0/TCP {source};branch=z9hG4bK{source}{number}\\r\\nMax-Forwards: 70\\r\\nFrom: <sip:f@{source}>;tag=1\\r\\n"
                       f"To: <sip:x@{target}>\\r\\nCall-ID: {source}{number}\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n").encode())
        while got.count(b"SIP/2.0 200") < each:
            data = s.recv(65536)
            if not data:
                raise ConnectionResetError
            got += data
    except (ConnectionResetError, BrokenPipeError):
        ended += 1
    answered += got.count(b"SIP/2.0 200")
    s.close()
print(json.dumps([answered, ended]))
"""


class Base(unittest.TestCase):
    SECTIONS = {}
    OPTIONS = ()  # of the dataplane

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.lab.address("caller", "c0", *(f"{a}/24" for a in ("10.1.0.9", "10.1.0.10", "10.1.0.11", "10.1.0.12", "10.1.0.13", "10.1.0.14", "10.1.0.15", "10.1.0.70", "10.1.0.71", "10.1.0.130", "10.1.0.131")))
        gateway.Dataplane(cls.lab, *cls.OPTIONS)
        cls.control = gateway.ControlPlane(cls.lab, gateway.basic_config(**cls.SECTIONS))
        lab.wait_for(lambda: "attached" in cls.control.process.output(), 10, "attached")

    def start_flood(self, source, rate, seconds, target=gateway.OUTSIDE, **kwargs):
        self.count = getattr(self, "count", 0) + 1
        return peers.Flood(self.lab, "caller", source, target, rate, seconds, name=f"{self.id().rsplit('.', 1)[-1]}-{self.count}", **kwargs)

    def flood(self, *args, **kwargs):
        return self.start_flood(*args, **kwargs).result()["answered"]

    def stream_flood(self, source, connections, each):
        done = self.lab.run_in("caller", gateway.PYTHON, "-c", STREAM_FLOOD, source, gateway.OUTSIDE, connections, each, timeout=60)
        return json.loads(done.stdout)

    def source(self, address, **args):
        return next((r for r in self.control.ctl("pike show", **args)["rows"] if r["source"] == address), None)


class Limits(Base):
    SECTIONS = SECTIONS

    def test_flood_is_shown_recorded_and_let_in_again_with_a_full_budget(self):
        self.assertEqual(self.flood(FLOODER, 400, 2), LIMIT)
        row = self.source(FLOODER)
        self.assertEqual((row["in_window"], row["refused"], row["blocked"]), (LIMIT, 800 - LIMIT, False))
        self.assertIn(FLOODER, self.control.cli("pike", "show").stdout)
        refusal = next(r for r in self.control.records() if r["event"] == "RATE_LIMIT_EXCEEDED" and r["details"]["source"] == FLOODER)
        self.assertEqual((refusal["details"]["layer"], refusal["details"]["limit"]), ("pike", str(LIMIT)))
        self.assertEqual(self.control.cli("pike", "unblock", FLOODER).returncode, 0)
        self.assertEqual(self.flood(FLOODER, 400, 1), LIMIT)

    def test_two_floods_at_once_have_a_budget_each(self):
        floods = [self.start_flood(source, 300, 1.5) for source in ("10.1.0.11", "10.1.0.12")]
        self.assertEqual([f.result()["answered"] for f in floods], [LIMIT, LIMIT])

    def test_prefix_of_an_exemption_is_never_refused(self):
        floods = [self.start_flood(source, 100, 2) for source in ("10.1.0.130", "10.1.0.131")]
        self.assertEqual([f.result()["answered"] for f in floods], [200, 200])

    def test_prefix_with_a_budget_has_exactly_that_in_all(self):
        floods = [self.start_flood(source, 100, 2) for source in ("10.1.0.70", "10.1.0.71")]
        answered = [f.result()["answered"] for f in floods]
        self.assertEqual(sum(answered), 100, answered)

    def test_messages_inside_connections_have_the_same_budget(self):
        # Answers to what was within the budget may die with the connection, but no more than the budget is answered.
        answered, ended = self.stream_flood("10.1.0.14", 3, 200)
        self.assertLessEqual(answered, LIMIT)
        self.assertEqual(ended, 3, "each connection that went beyond it was ended")
        self.assertEqual(self.stream_flood("10.1.0.15", 2, 15), [LIMIT, 0], "within the budget all is answered")
        self.assertEqual(self.stream_flood("10.1.0.131", 2, 300), [600, 0], "the prefix is exempt")
        refusal = next(r for r in self.control.records() if r["event"] == "RATE_LIMIT_EXCEEDED" and r["details"]["source"] == "10.1.0.14")
        self.assertEqual((refusal["details"]["layer"], refusal["details"]["limit"]), ("pike", str(LIMIT)))
        self.assertGreaterEqual(self.control.ctl("status")["sip"]["stream_messages_refused"], 3)

    def test_exemption_by_the_operator_comes_and_goes(self):
        self.assertEqual(self.control.cli("pike", "exempt", "10.1.0.10/32").returncode, 0)
        self.assertEqual(self.flood("10.1.0.10", 100, 1), 100)
        self.assertEqual(self.control.cli("pike", "exempt", "10.1.0.10/32", "--remove").returncode, 0)
        self.control.cli("pike", "unblock", "10.1.0.10")
        self.assertEqual(self.flood("10.1.0.10", 100, 1), LIMIT)

    def test_trunk_that_answers_many_calls_is_not_silenced_by_the_flood_of_a_stranger(self):
        calls = 150  # the trunk sends three responses for each: 450 datagrams in 3 s
        served = peers.Sipp(self.lab, "callee", callee("expect INVITE", "status 180 Ringing", "answer", "expect ACK", "expect BYE", "ok"), f"{gateway.CALLEE}:5060",
                            "-m", calls, "-timeout", "60", name="callee")
        flood = self.start_flood("10.1.0.13", 200, 4)
        peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", "recv? 180", "recv 200", "ack", "pause", "bye", "recv 200"), f"{gateway.CALLER}:5060", "-m", calls, "-r", "50",
                   "-s", "expert", "-d", "200", "-timeout", "60", target=f"{gateway.OUTSIDE}:5060", name="caller").wait(70)
        served.wait(10)
        self.assertLessEqual(flood.result()["answered"], LIMIT)


class Block(Base):
    SECTIONS = {"pike": 'window = "1s"\nblock = "60s"'}

    def test_block_outlasts_the_window_and_the_operator_ends_it(self):
        # Three windows of 1 s: the window alone would let 30 through in each.
        self.assertEqual(self.flood(FLOODER, 100, 3.5), LIMIT)
        row = self.source(FLOODER, blocked=True)
        self.assertTrue(row["blocked"])
        self.assertTrue(50 < row["blocked_for_s"] <= 60, row)
        self.assertIn("blocked", [r["details"].get("verdict") for r in self.control.records() if r["event"] == "RATE_LIMIT_EXCEEDED"])
        self.assertEqual(self.control.cli("pike", "unblock", FLOODER).returncode, 0)
        self.assertIsNone(self.source(FLOODER, blocked=True))
        self.assertEqual(self.flood(FLOODER, 20, 1), 20)

    def test_flood_inside_a_connection_is_blocked_at_the_queue(self):
        self.stream_flood("10.1.0.14", 1, 200)
        row = lab.wait_for(lambda: self.source("10.1.0.14", blocked=True), 10, "the verdict went down the ring")
        self.assertTrue(50 < row["blocked_for_s"] <= 60, row)
        self.assertEqual(self.flood("10.1.0.14", 20, 1), 0, "datagrams too")
        self.control.cli("pike", "unblock", "10.1.0.14")

    def test_block_by_the_operator_refuses_everything(self):
        self.assertEqual(self.control.cli("pike", "block", "10.1.0.11").returncode, 0)
        self.assertEqual(self.flood("10.1.0.11", 20, 1), 0)
        self.assertIsNone(self.source("10.1.0.11", blocked=True)["blocked_for_s"], "until unblocked")
        self.control.cli("pike", "unblock", "10.1.0.11")
        self.assertEqual(self.flood("10.1.0.11", 20, 1), 20)


class Restart(Base):
    SECTIONS = SECTIONS

    def test_what_left_the_configuration_is_not_in_force_after_a_restart(self):
        self.assertEqual(self.flood("10.1.0.130", 100, 1), 100)
        self.control.cli("pike", "exempt", "10.1.0.10/32")
        prefixes = {r["prefix"]: r for r in self.control.ctl("pike show", prefixes=True)["rows"]}
        self.assertEqual([prefixes[p]["exempt"] for p in (EXEMPT_NET, "10.1.0.10/32", TRUNK_NET)], [True, True, False])
        self.assertEqual((prefixes[TRUNK_NET]["requests"], prefixes[TRUNK_NET]["window_s"]), (100, 60))
        self.assertIn(TRUNK_NET, self.control.cli("pike", "show", "--prefixes").stdout)
        self.control.process.stop()
        self.control.file.write_text(gateway.basic_config())
        self.control.start()
        floods = [self.start_flood(source, 100, 1.5) for source in ("10.1.0.131", "10.1.0.70", "10.1.0.10")]
        self.assertEqual([f.result()["answered"] for f in floods], [LIMIT] * 3, "an exemption, a budget of 100, the operator's exemption")
        left = [r["prefix"] for r in self.control.ctl("pike show", prefixes=True)["rows"]]
        self.assertEqual(left, [f"{gateway.CALLEE}/32"], "the route's target")


class BeyondTheDataplane(Base):
    """Settings that the dataplane has no room for: the rest is in force, and the log says which are not."""
    OPTIONS = ("--limiter-prefix-requests", "105000")
    SECTIONS = {"pike": 'requests = 40\nwindow = "1s"\nblock = "60s"',
                "[pike.prefix]": '\n[[pike.prefix]]\n'.join(f'prefix = "10.{net}.0.0/16"\nrequests = 100000' for net in (8, 9))}

    def test_requests_are_cut_and_window_and_block_hold(self):
        self.assertIn("[pike] requests 40 exceeds the dataplane's --limiter-max-requests 30: 30 is in force", self.control.process.output())
        self.assertEqual(self.control.ctl("pike show")["limits"], {"requests": LIMIT, "window_s": 1, "block_s": 60})
        self.assertEqual(self.flood(FLOODER, 100, 2.5), LIMIT)
        self.assertTrue(self.source(FLOODER, blocked=True)["blocked"])

    def test_budget_of_the_route_is_in_force_and_the_prefix_without_one_is_named(self):
        prefixes = {r["prefix"]: r["requests"] for r in self.control.ctl("pike show", prefixes=True)["rows"]}
        self.assertEqual(prefixes, {f"{gateway.CALLEE}/32": 5000, "10.8.0.0/16": 100000})
        complaints = [line for line in self.control.process.output().splitlines() if "table for this is full" in line]
        self.assertEqual(len(complaints), 1, complaints)
        self.assertIn("[pike] prefix 10.9.0.0/16, 100000 requests: ", complaints[0])
        self.assertIn("--limiter-prefix-requests", complaints[0])


class OtherPorts(Base):
    """Listeners on ports that the dataplane leaves to the kernel."""
    SECTIONS = {**SECTIONS, "sip": f'udp = ["{gateway.OUTSIDE}:5060", "{gateway.INSIDE}:5060", "{gateway.OUTSIDE}:5070"]\ntcp = ["{gateway.OUTSIDE}:5060", "{gateway.OUTSIDE}:5080"]'}

    def test_flood_has_the_same_budget_there(self):
        self.assertEqual(self.flood(FLOODER, 100, 2, port=5070), LIMIT)
        self.assertEqual(self.control.ctl("status")["sip"]["udp_refused_kernel"], 200 - LIMIT)
        refusals = [r["details"] for r in self.control.records() if r["event"] == "RATE_LIMIT_EXCEEDED" and r["details"]["source"] == FLOODER]
        self.assertEqual([(r["layer"], r["observed"], r["limit"]) for r in refusals], [("pike", f"{LIMIT + 1} datagrams by the kernel", str(LIMIT))])

    def test_prefixes_count_there_too(self):
        self.assertEqual(self.flood("10.1.0.130", 100, 1, port=5070), 100, "exempt")
        floods = [self.start_flood(source, 100, 1, port=5070) for source in ("10.1.0.70", "10.1.0.71")]
        self.assertEqual(sum(f.result()["answered"] for f in floods), 100, "a budget of 100 for both")

    def test_the_operator_is_told(self):
        log = self.control.process.output()
        self.assertIn(f"[sip] udp: {gateway.OUTSIDE}:5070 is on no signalling port of the dataplane (5060)", log)
        self.assertIn("--sip-udp-port 5060,5070", log)
        self.assertIn(f"[sip] tcp: {gateway.OUTSIDE}:5080 is on no signalling port of the dataplane (5060, 5061)", log)
        self.assertNotIn(":5060 is on no", log)


class SilentConnections(Base):
    SECTIONS = {"sip": f'udp = ["{gateway.OUTSIDE}:5060", "{gateway.INSIDE}:5060"]\ntcp = ["{gateway.OUTSIDE}:5060"]\nmax_connections = 10'}
    HOLD = ("import socket, sys\nheld = [socket.create_connection((sys.argv[1], 5060), timeout=10) for _ in range(10)]\nprint('held', flush=True)\n"
            "for s in held:\n    s.settimeout(30)\n    assert s.recv(1) == b''\nprint('all closed', flush=True)\n")

    def test_keep_others_out_for_seconds_only_and_are_seen(self):
        silent = self.lab.start("silent", [gateway.PYTHON, "-c", self.HOLD, gateway.OUTSIDE], ns="caller")
        lab.wait_for(lambda: "held" in silent.output() or not silent.running(), 20, "ten silent connections")
        lab.wait_for(lambda: self.control.ctl("status")["sip"]["connections"] == 10, 5, "accepted")
        self.assertEqual(self.stream_flood("10.1.0.14", 1, 1), [0, 1], "no place is left")
        sip = self.control.ctl("status")["sip"]
        self.assertEqual((sip["connections_refused_total"], sip["connections_refused_source"]), (1, 0))
        self.assertIn("connection refused: all 10 connections are in use ([sip] max_connections)", self.control.process.output())
        self.assertIn("connections_refused_total", self.control.cli("status").stdout)
        lab.wait_for(lambda: "all closed" in silent.output() or not silent.running(), 15, "who says nothing goes")
        self.assertEqual(self.stream_flood("10.1.0.14", 1, 1), [1, 0])


class Ipv6(Base):
    SECTIONS = {"sip": f'udp = ["{gateway.OUTSIDE}:5060", "{gateway.INSIDE}:5060", "[{gateway.OUTSIDE6}]:5060"]'}

    def test_addresses_of_one_slash_64_share_a_budget(self):
        self.lab.address("caller", "c0", "fd01::9/64", "fd01::a/64")
        floods = [self.start_flood(source, 200, 1.5, gateway.OUTSIDE6) for source in ("fd01::9", "fd01::a")]
        answered = [f.result()["answered"] for f in floods]
        self.assertEqual(sum(answered), LIMIT, answered)
        self.assertEqual(self.source("fd01::/64")["in_window"], LIMIT)


del Base  # not a case by itself

if __name__ == "__main__":
    lab.isolate()
    tap.main()
