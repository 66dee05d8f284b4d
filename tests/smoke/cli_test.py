#!/usr/bin/env python3
"""The operator's command line against the running gateway: what it shows of a live call, what it changes, how it fails."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

STRANGER = ["setpriv", "--reuid", "64199", "--regid", "64199", "--clear-groups"]


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        gateway.Dataplane(cls.lab)
        cls.control = gateway.ControlPlane(cls.lab, gateway.basic_config(**{"[pike.exempt]": f'prefix = "{gateway.CALLER}/32"'}))
        audio.write_wav(cls.lab.dir / "tone.wav", audio.tone(440, 2))
        (cls.lab.dir / "says.raw").write_bytes(audio.encode(0, audio.tone(440, 2)))

    def cli(self, *args, status=0):
        done = self.control.cli(*args)
        self.assertEqual(done.returncode, status, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def json(self, *args):
        return json.loads(self.cli(*args, "-j"))

    def start_call(self):
        """A call from SIPp to SIPp that only the gateway ends; the caller speaks. Both parties and its row."""
        called = peers.Sipp(self.lab, "callee", callee("expect INVITE", "answer", "expect ACK", "expect BYE", "ok"), f"{gateway.CALLEE}:5060", "-m", "1", "-timeout", "60", name="callee")
        calling = peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", "recv 200", "ack", "speak says.raw 0", "expect BYE", "ok"), f"{gateway.CALLER}:5060",
                             "-m", "1", "-s", "expert", "-timeout", "60", target=f"{gateway.OUTSIDE}:5060", name="caller")
        row = lab.wait_for(lambda: next((c for c in self.json("calls", "show")["rows"] if c["state"] == "CONNECTED"), None), 20, "a connected call")
        return calling, called, row

    def test_a_live_call_is_shown_and_killed(self):
        calling, called, row = self.start_call()
        self.assertEqual((row["route"], row["caller"]["codec"], row["callee"]["codec"]), ("expert", "PCMU", "PCMA"))
        legs = lab.wait_for(lambda: (lambda rows: rows if any(leg["rx_packets"] > 20 for leg in rows) else None)(self.json("legs", "show")["rows"]), 10, "20 packets")
        self.assertEqual({leg["call"] for leg in legs}, {row["call"]})
        self.assertEqual({leg["party"] for leg in legs}, {"caller", "callee"})
        by_party = {leg["party"]: leg for leg in legs}
        self.assertGreater(by_party["callee"]["tx_packets"], 0)
        self.assertEqual(by_party["caller"]["remote"].rsplit(":", 1)[0], gateway.CALLER)
        self.assertEqual((by_party["caller"]["lost"], by_party["callee"]["dropped"]), (0, 0))
        self.latency_of(row["call"])
        table = self.cli("calls", "show")
        self.assertRegex(table.splitlines()[0], r"^CALL\s+STATE\s+FROM\s+TO\s+ROUTE\s+CODECS\s+SETUP ms")
        for word in (str(row["call"]), "CONNECTED", "expert", "PCMU > PCMA", row["trace_id"]):
            self.assertIn(word, table)
        self.assertIn("LEG", self.cli("legs", "show").splitlines()[0])

        self.assertIn(str(row["call"]), self.cli("calls", "kill", row["call"]))
        calling.wait(20)  # both scenarios end only with a BYE from us
        called.wait(20)
        lab.wait_for(lambda: not self.json("calls", "show")["rows"] and not self.json("legs", "show")["rows"], 20, "no call, no leg")
        self.assertEqual(self.cli("calls", "show"), "nothing to show\n")
        self.assertIn(f"there is no call {row['call']}", self.cli("calls", "kill", row["call"], status=1))
        self.assertIn(f"there is no call {row['call']}", self.cli("calls", "latency", row["call"], status=1))
        ended = next(r for r in self.json("calls", "show", "--ended")["rows"] if r["call"] == row["call"])
        self.assertEqual(ended["refusal"]["rule"], "ended-by-operator")
        self.assertIn(row["trace_id"], self.cli("calls", "show", "--ended"))
        change = next(r for r in self.control.records() if r["event"] == "ADMIN_CHANGE" and r["details"]["command"] == "calls kill")
        self.assertEqual((change["details"]["uid"], change["details"]["args"]), ("0", f"call={row['call']}"))

    def latency_of(self, call):
        """What was sent to the callee was measured, in a bucket each; the worker knows the pair and its own gap."""
        rows = self.json("calls", "latency", call)["rows"]
        forth, gap = rows[0], rows[-1]
        self.assertEqual((forth["what"], forth["codecs"]), ("caller > callee", "PCMU > PCMA"))
        self.assertGreater(forth["count"], 20)
        self.assertLessEqual(forth["p50_us"], forth["p999_us"])
        self.assertLessEqual(forth["p999_us"], forth["max_us"])
        self.assertIn("poll gap", gap["what"])
        pair = next(r for r in self.json("core", "show", "--pairs")["rows"] if (r["from"], r["to"]) == ("PCMU", "PCMA"))
        self.assertGreaterEqual(pair["count"], forth["count"])
        leg = next(leg for leg in self.json("legs", "show")["rows"] if leg["party"] == "callee")
        self.assertEqual(sum(b["packets"] for b in leg["inside"]["buckets"]), leg["inside"]["count"])
        self.assertEqual(leg["inside"]["buckets"][-1]["le_us"], None)
        self.assertRegex(self.cli("calls", "latency", call).splitlines()[0], r"^INSIDE\s+CODECS\s+COUNT\s+p50 us")

    def test_status(self):
        status = self.json("status")
        self.assertTrue(status["dataplane"]["attached"])
        self.assertEqual(status["guard"]["rule"], "allow-all", "what decides over calls says its name")
        self.assertEqual(status["witness"]["records_lost"], 0)
        self.assertEqual(status["log"], {"lines_left_out": 0, "lines_dropped": 0})
        text = self.cli("status")
        for word in ("dataplane", "attached", "calls", "active", "guard", "witness"):
            self.assertIn(word, text)

    def test_core_port_and_drops(self):
        worker = self.json("core", "show")["rows"][0]
        self.assertGreater(worker["polls"], 0)
        self.assertIn("WORKER", self.cli("core", "show"))
        ports = self.json("port", "show")["rows"]
        self.assertLessEqual({"out", "in"}, {p["name"] for p in ports})
        self.assertIn("NO BUFFER", self.cli("port", "show"))
        # A packet for a media port that nobody has.
        dropped = lambda: {r["reason"]: r["packets"] for r in self.json("drops", "show", "--all")["rows"]}  # noqa: E731
        before = dropped()
        self.lab.run_in("caller", gateway.PYTHON, "-c", f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'\\x80' * 172, ('{gateway.OUTSIDE}', 20000))")
        after = lab.wait_for(lambda: (lambda d: d if d != before else None)(dropped()), 5, "one more drop")
        reasons = [r for r in after if after[r] != before[r]]
        self.assertEqual([after[r] - before[r] for r in reasons], [1])
        self.assertIn(reasons[0], self.cli("drops", "show"))

    def test_pike_block_unblock_and_exempt(self):
        source = "10.1.0.77"
        self.cli("pike", "block", source, "--for", 600)
        row = next(r for r in self.json("pike", "show", "--blocked")["rows"] if r["source"] == source)
        self.assertTrue(590 < row["blocked_for_s"] <= 600, row)
        self.assertIn(source, self.cli("pike", "show", "--blocked"))
        self.cli("pike", "unblock", source)
        self.assertEqual(self.cli("pike", "show", "--blocked"), "nothing to show\neach source: 30 requests in 10 s (prefixes: ifgw pike show --prefixes)\n")
        self.cli("pike", "exempt", "10.1.0.64/28")
        self.cli("pike", "exempt", "10.1.0.64/28", "--remove")
        self.assertNotEqual(self.cli("pike", "exempt", "10.1.0.64/28", "--remove", status=1), "", "it is gone already")
        changes = [r["details"]["command"] for r in self.control.records() if r["event"] == "ADMIN_CHANGE"]
        self.assertLessEqual({"pike block", "pike unblock", "pike exempt"}, set(changes))

    def test_usage_errors_exit_2(self):
        for args in ((), ("frobnicate",), ("calls",), ("calls", "kill"), ("calls", "kill", "x"), ("calls", "latency"), ("calls", "show", "-n", "0"), ("pike", "unblock", "10.1.0"),
                     ("pike", "exempt", "10.1.0.1/24"), ("pike", "block", "10.1.0.1", "--for", "86401")):
            with self.subTest(args=args):
                self.assertIn("--help", self.cli(*args, status=2))
        self.assertIn("unknown: frobnicate", self.cli("frobnicate", status=2))

    def test_without_a_control_plane(self):
        done = lab.run(self.control.build / "tools/ifgw/ifgw", "-s", "/run/nosuch.sock", "status", check=False)
        self.assertEqual(done.returncode, 1)
        for word in ("/run/nosuch.sock", "Is ifgw-controlplane running?", "ifgw -s PATH"):
            self.assertIn(word, done.stderr)

    def test_a_stranger_is_refused(self):
        done = self.control.cli("status", prefix=STRANGER)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("as root", done.stderr)

    def test_codec_matrix_warns_beside_a_dataplane(self):
        done = lab.run(self.control.build / "tools/ifgw/ifgw", "-s", "/nonexistent", "codec", "matrix", "--rounds", 1, "-j", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("a dataplane is running here", done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual(len(rows), 14 * 14 + 10)
        self.assertEqual({row["start_ns"] for row in rows}, {None}, "no control plane was asked")
        rows = json.loads(self.control.cli("codec", "matrix", "--rounds", 1, "-j").stdout)["rows"]
        self.assertTrue(all(row["start_ns"] > 0 and row["now_ns"] is None for row in rows), rows)

    def test_doctor_needs_no_daemon(self):
        done = lab.run(self.control.build / "tools/ifgw/ifgw", "doctor", "-j", check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        rows = json.loads(done.stdout)
        self.assertEqual(done.returncode, int(any(r["health"] == "FAIL" for r in rows)))
        self.assertLessEqual({"privileges", "hugepages", "clock source", "time", "udp port 5060"}, {r["check"] for r in rows})
        for row in rows:
            self.assertEqual(row["fix"] is None, row["health"] == "OK", row)


class Group(unittest.TestCase):
    def test_of_the_group_only_the_users_that_are_named_get_in(self):
        def member(uid):
            return ["setpriv", "--reuid", uid, "--regid", 64102, "--clear-groups"]
        with lab.Lab() as the_lab:
            the_lab.namespace("gw")
            control = gateway.ControlPlane(the_lab, gateway.basic_config(admin=f'socket = "{gateway.ControlPlane.SOCKET}"\nuids = [64198]'), wait=False)
            lab.wait_for(lambda: control.cli("status").returncode == 0 or not control.process.running(), 15, "the admin socket")
            self.assertTrue(control.process.running(), control.process.output())
            self.assertEqual(control.cli("status", prefix=member(64198)).returncode, 0)
            done = control.cli("status", prefix=member(64199))
            self.assertEqual(done.returncode, 1)
            self.assertIn("[admin] uids", done.stderr)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
