#!/usr/bin/env python3
"""Starting and stopping the control plane, and every way an operator can get it wrong. An error names the file, the
place, the setting and what it may be; nothing may be left behind."""
import os
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

LOCAL = {
    "sip": 'udp = ["127.0.0.1:5060"]\ntcp = ["127.0.0.1:5060"]',
    "[route]": 'id = "expert"\ntarget = "sip:{user}@127.0.0.1:5070"',
}


class Errors(unittest.TestCase):
    """The control plane alone."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        cls.lab.namespace("gw")

    def start(self, config):
        Errors.count = getattr(Errors, "count", 0) + 1
        return gateway.ControlPlane(self.lab, config, name=f"controlplane-{Errors.count}", wait=False)

    def refuses(self, status, words, config):
        control = self.start(config)
        self.assertEqual(control.process.wait(10), status, control.process.output())
        for word in words:
            self.assertIn(word.format(file=control.file), control.process.output())
        self.assertNotIn("terminate called", control.process.output())
        self.assertFalse(os.path.exists(control.SOCKET))
        return control

    def runs(self, control):
        lab.wait_for(lambda: "ready:" in control.process.output() or not control.process.running(), 15, "ready")
        self.assertTrue(control.process.running(), control.process.output())

    def config(self, **sections):
        return gateway.basic_config(**{**LOCAL, **sections})

    def test_settings_that_are_wrong_are_named_with_their_place_and_range(self):
        udp = 'udp = ["127.0.0.1:5060"]\n'
        first = len(f"[dataplane]\nsocket = \"x\"\n\n[sip]\n{udp}".splitlines()) + 1  # the line after it
        for words, sections in [
            ([f"{{file}}:{first}:1: sip.tpc: unknown key, did you mean \"tcp\"?"], {"sip": udp + 'tpc = ["127.0.0.1:5060"]'}),
            ([f"{{file}}:{first}:6: sip.t1:", "500ms"], {"sip": udp + "t1 = 500"}),
            ([f"{{file}}:{first}:6: sip.t1:", "\"500 apples\""], {"sip": udp + 't1 = "500 apples"'}),
            ([f"{{file}}:{first}:6: sip.t1:", "1h", "10ms..5s"], {"sip": udp + 't1 = "1h"'}),
            (["media.dscp", "64", "0..63"], {"media": "dscp = 64"}),
            (["pike.requests", "0", "1..255"], {"pike": "requests = 0"}),
            (["pike.requests", "256", "1..255"], {"pike": "requests = 256"}),
            (["limits.sip_message", "4096", "65536"], {"limits": 'sip_message = "1MB"'}),
            (["sip.tcp", "TCP port 127.0.0.1:5060", "sip.tls", "different ports"], {"sip": udp + 'tcp = ["127.0.0.1:5060"]\ntls = ["127.0.0.1:5060"]\ntls_certificate = "c"\ntls_key = "k"'}),
            (["sip.udp", "UDP port", "uses already"], {"sip": 'udp = ["127.0.0.1:5060", "127.0.0.1:5060"]'}),
            (["sip.tls", "sip.tls_certificate", "sip.tls_key"], {"sip": udp + 'tls = ["127.0.0.1:5061"]'}),
            (["route[1].transport", "\"tls\" has no listener: set sip.tls"], {"[route]": LOCAL["[route]"] + '\ntransport = "tls"'}),
            (["route[1].target", "names a host: set next_hop"], {"[route]": 'id = "x"\ntarget = "sip:{user}@pbx.example"'}),
            (["route[1].caller_codecs", "PCMU, PCMA"], {"[route]": LOCAL["[route]"] + '\ncaller_codecs = ["G711"]'}),
            (["{file}:1:1: sip: is missing"], {"sip": None}),
            (["witness: is missing"], {"witness": None}),
            (["admin.mode", "0666"], {"admin": 'mode = "0666"'}),
            (["{file}:", "admin.socket", "dataplane.socket"], {"admin": f'socket = "{gateway.Dataplane.SOCKET}"'}),
        ]:
            with self.subTest(sections=sections):
                self.refuses(2, words, self.config(**sections))

    def test_every_problem_is_told_at_once(self):
        control = self.refuses(2, ["sip.t1", "pike.requests"], self.config(sip=LOCAL["sip"] + '\nt1 = "1h"', pike="requests = 0"))
        self.assertEqual(len(control.process.output().splitlines()), 2)

    def test_text_that_is_no_toml(self):
        self.refuses(2, ["{file}:2:"], '[sip]\nudp = ["127.0.0.1:5060"\n')

    def test_check_only_reads(self):
        control = gateway.build_dir() / "controlplane/main/ifgw-controlplane"
        good, bad = self.lab.dir / "good.toml", self.lab.dir / "bad.toml"
        good.write_text(self.config())
        bad.write_text(self.config(media="dscp = 64"))
        self.assertEqual(lab.run(control, "--check", "-c", good).stdout, "")
        self.assertEqual(lab.run(control, "--check", "-c", bad, check=False).returncode, 2)

    def test_file_that_is_not_there(self):
        done = lab.run(gateway.build_dir() / "controlplane/main/ifgw-controlplane", "-c", "/nosuch.toml", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nosuch.toml: cannot be read: No such file", done.stderr)

    def test_what_is_no_regular_file_of_a_sane_size_is_refused_at_once(self):
        fifo, huge = self.lab.dir / "fifo", self.lab.dir / "huge.toml"
        os.mkfifo(fifo)
        huge.write_bytes(b"#" * (1 << 20) + b"\n")
        for path, why in [(self.lab.dir, "is a directory: name the file in it"), (fifo, "is no regular file: copy its content to one"),
                          ("/dev/zero", "is no regular file"), (huge, "has more than 1048576 bytes")]:
            for check in (["--check"], []):
                with self.subTest(path=path, check=check):
                    program = self.lab.start(f"reader-{len(check)}-{pathlib.Path(path).name}", [gateway.build_dir() / "controlplane/main/ifgw-controlplane", *check, "-c", path], ns="gw")
                    self.assertEqual(program.wait(5), 2, program.output())
                    self.assertEqual(program.output().count("\n"), 1, program.output())
                    self.assertIn(f"{path}: cannot be read: {why}", program.output())

    def test_ports_that_are_taken(self):
        for kind, setting in (("SOCK_STREAM", "[sip] tcp:"), ("SOCK_DGRAM", "[sip] udp:")):
            with self.subTest(kind=kind):
                holder = self.lab.start(f"holder-{kind}", [gateway.PYTHON, "-uc", f"import socket, time; s = socket.socket(socket.AF_INET, socket.{kind}); s.bind(('127.0.0.1', 5060)); "
                                                           "s.type == socket.SOCK_STREAM and s.listen(); print('bound'); time.sleep(600)"], ns="gw")
                lab.wait_for(lambda: "bound" in holder.output(), 10, "the port taken")
                self.refuses(1, [setting, "127.0.0.1:5060", "Address already in use"], self.config())
                holder.stop()

    def test_witness_file_that_cannot_be_written(self):
        for path in ("/nosuch/witness.jsonl", "/run", "/dev/full"):
            with self.subTest(path=path):
                self.refuses(1, ["[witness] file", path], self.config(witness=f'file = "{path}"'))

    def test_admin_socket_of_a_running_control_plane(self):
        first = self.start(self.config())
        self.runs(first)
        second = self.start(self.config(sip='udp = ["127.0.0.1:5065"]'))
        self.assertEqual(second.process.wait(10), 1)
        self.assertIn("another control plane listens there", second.process.output())
        self.assertEqual(first.cli("status").returncode, 0, "the first one is unharmed")
        self.assertEqual(first.process.stop(), 0)
        self.assertFalse(os.path.exists(first.SOCKET))

    def test_root_is_told_how_to_start_it_as_somebody_else(self):
        class AsRoot(gateway.ControlPlane):
            USER = []

        for kind, warned in ((gateway.ControlPlane, False), (AsRoot, True)):
            with self.subTest(kind=kind):
                control = kind(self.lab, self.config(), name=f"controlplane-{kind.__name__}", wait=False)
                self.runs(control)
                self.assertEqual("W runs as root" in control.process.output(), warned, control.process.output())
                self.assertEqual("setpriv --reuid USER" in control.process.output(), warned)
                self.assertEqual(control.process.stop(), 0)

    def test_crash_leaves_a_socket_that_the_next_one_replaces(self):
        first = self.start(self.config())
        self.runs(first)
        first.process.stop(signal.SIGKILL)
        self.assertTrue(os.path.exists(first.SOCKET))
        second = self.start(self.config())
        self.runs(second)
        self.assertEqual(second.process.stop(), 0)


class Running(unittest.TestCase):
    """With its dataplane, late and small and gone."""

    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        gateway.Network(self.lab)

    def call(self, *steps, **kwargs):
        return peers.Sipp(self.lab, "caller", caller(*steps), f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert", "-d", "300", "-timeout", "40", target=f"{gateway.OUTSIDE}:5060", name="caller")

    def serve(self, *steps, count=1):
        return peers.Sipp(self.lab, "callee", callee(*steps), f"{gateway.CALLEE}:5060", "-m", count, "-timeout", "60", name="callee")

    def test_starts_before_the_dataplane_says_so_and_attaches_when_it_appears(self):
        control = gateway.ControlPlane(self.lab, gateway.basic_config(), wait=False)
        lab.wait_for(lambda: "ready:" in control.process.output() or not control.process.running(), 15, "ready")
        self.assertIn("dataplane not attached yet", control.process.output())
        state = control.ctl("status")["dataplane"]
        self.assertFalse(state["attached"])
        self.assertIn(gateway.Dataplane.SOCKET, state["error"])
        self.assertIn("false", control.cli("status").stdout)
        gateway.Dataplane(self.lab)
        lab.wait_for(lambda: control.ctl("status")["dataplane"]["attached"], 15, "attached")
        self.assertIn("attached to the dataplane at", control.process.output())
        served = self.serve("expect INVITE", "answer", "expect ACK", "expect BYE", "ok")
        self.call("invite", "recv? 100", "recv 200", "ack", "pause", "bye", "recv 200").wait(40)
        served.wait(10)

    def test_listener_on_an_address_that_nobody_has_is_warned_of_once_that_is_known(self):
        control = gateway.ControlPlane(self.lab, gateway.basic_config(
            sip='udp = ["10.1.0.1:5060", "10.2.0.1:5060", "10.2.0.9:5060", "[fd01::1]:5060"]\n'
                'tcp = ["10.1.0.1:5060", "10.2.0.9:5060", "[fd01::1]:5060", "127.0.0.1:5060"]'), wait=False)
        lab.wait_for(lambda: "ready:" in control.process.output() or not control.process.running(), 15, "ready")
        self.assertNotIn("not an address", control.process.output(), "the dataplane may still bring it up")
        gateway.Dataplane(self.lab)
        lab.wait_for(lambda: "[sip] tcp: 10.2.0.9:5060 is not an address" in control.process.output(), 15, "warned")
        control.process.stop()
        warnings = [line for line in control.process.output().splitlines() if "is not an address" in line]
        self.assertEqual(len(warnings), 2, warnings)
        self.assertIn("[sip] udp: 10.2.0.9:5060", warnings[0])
        self.assertIn("it has 10.1.0.1, 10.2.0.1, fd01::1", warnings[0])

    def test_full_leg_table_is_503_and_the_call_that_is_there_goes_on(self):
        gateway.Dataplane(self.lab, "--max-legs", "2")
        control = gateway.ControlPlane(self.lab, gateway.basic_config())
        served = self.serve("expect INVITE", "answer", "expect ACK", "expect BYE", "ok")
        first = self.call("invite", "recv? 100", "recv 200", "ack", "expect BYE", "ok")
        row = lab.wait_for(lambda: next((c for c in control.ctl("calls show")["rows"] if c["state"] == "CONNECTED"), None), 20, "connected")
        second = peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", "recv 503", "ack_failure"), f"{gateway.CALLER}:5062", "-m", "1", "-s", "expert", "-timeout", "30",
                            target=f"{gateway.OUTSIDE}:5060", name="second")
        second.wait(40)
        refused = next(r for r in control.records() if r["event"] == "BRIDGE_ERROR")
        self.assertEqual((refused["details"]["status"], refused["details"]["observed"]), ("503", "leg table full"))
        self.assertEqual([c["call"] for c in control.ctl("calls show")["rows"]], [row["call"]])
        control.ctl("calls kill", call=row["call"])
        first.wait(20)
        served.wait(20)
        served = self.serve("expect INVITE", "answer", "expect ACK", "expect BYE", "ok")  # the legs can be had again
        lab.wait_for(lambda: not control.ctl("legs show")["rows"], 15, "no leg")
        self.call("invite", "recv? 100", "recv 200", "ack", "pause", "bye", "recv 200").wait(40)
        served.wait(10)

    def test_no_time_left_for_codecs_is_503_before_a_phone_rings(self):
        """By the declared costs a call between PCMU and Opus takes 0.56 % of a worker, so of 1 % one has room."""
        gateway.Dataplane(self.lab, "--max-load", "1", "--no-measure")
        opus = gateway.expert_route(("PCMU", "PCMA"), ("opus",), user="opus", name="opus")
        control = gateway.ControlPlane(self.lab, gateway.basic_config(**{"[route]": opus + "\n[[route]]\n" + gateway.EXPERT_ROUTE}))
        served = peers.Sipp(self.lab, "callee", callee("expect INVITE", "answer", "expect ACK", "expect BYE", "ok", types=(96,)), f"{gateway.CALLEE}:5060", "-m", "1", "-timeout", "60", name="served")
        hold = caller("invite", "recv? 100", "recv 200", "ack", "expect BYE", "ok")
        first = peers.Sipp(self.lab, "caller", hold, f"{gateway.CALLER}:5060", "-m", "1", "-s", "opus", "-timeout", "60", target=f"{gateway.OUTSIDE}:5060", name="first")
        row = lab.wait_for(lambda: next((c for c in control.ctl("calls show")["rows"] if c["state"] == "CONNECTED"), None), 20, "connected")
        worker = control.ctl("core show")["rows"][0]
        self.assertEqual(worker["booked_limit_percent"], 1)
        self.assertTrue(0.5 < worker["booked_percent"] < 0.6, worker)
        second = peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", "recv 503", "ack_failure"), f"{gateway.CALLER}:5062", "-m", "1", "-s", "opus", "-timeout", "30",
                            target=f"{gateway.OUTSIDE}:5060", name="second")
        second.wait(40)
        refused = next(r for r in control.records() if r["event"] == "REJECTED")
        self.assertEqual((refused["details"]["status"], refused["details"]["rule"]), ("503", "no-headroom"))
        self.assertEqual([r["event"] for r in control.records()].count("RINGING"), 0)
        self.assertEqual(len([r for r in control.records() if r["event"] == "INVITE" and r["details"]["direction"] == "out"]), 1, "no second phone was called")
        control.ctl("calls kill", call=row["call"])
        first.wait(20)
        served.wait(20)
        lab.wait_for(lambda: control.ctl("core show")["rows"][0]["booked_percent"] == 0, 15, "nothing booked")

    def test_by_the_measured_costs_as_many_calls_are_taken_as_fit(self):
        gateway.Dataplane(self.lab, "--max-load", "20")
        control = gateway.ControlPlane(self.lab, gateway.codec_config("PCMU", "opus", **{"[pike.exempt]": f'prefix = "{gateway.CALLER}/32"'}))
        worker = control.ctl("core show")["rows"][0]
        self.assertEqual(worker["booked_limit_percent"], 20)
        costs = {(row["from"], row["to"]): row["start_ns"] for row in control.ctl("core show", costs=True)["rows"]}
        # Parts per million of the time, a frame each way in 20 ms, rounded up.
        of_a_call = sum(-(-costs[pair] // 20) for pair in (("PCMU", "opus"), ("opus", "PCMU")))
        fit = 200_000 // of_a_call
        self.assertGreater(fit, 0)
        target, held = f"{gateway.OUTSIDE}:5060", ("expect BYE", "ok")
        served = peers.Sipp(self.lab, "callee", callee("expect INVITE", "answer", "expect ACK", *held, types=(96,)), f"{gateway.CALLEE}:5060", "-m", fit, "-l", fit, "-timeout", "90", name="served")
        taken = peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", "recv 200", "ack", *held), f"{gateway.CALLER}:5060", "-m", fit, "-r", "20", "-l", fit, "-s", "expert", "-timeout", "90",
                           target=target, name="taken")
        lab.wait_for(lambda: [c["state"] for c in control.ctl("calls show", limit=1000)["rows"]] == ["CONNECTED"] * fit, 60, f"{fit} calls, each {of_a_call / 10_000} %")
        self.assertAlmostEqual(control.ctl("core show")["rows"][0]["booked_percent"], fit * of_a_call / 10_000, delta=0.01)
        peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", "recv 503", "ack_failure"), f"{gateway.CALLER}:5062", "-m", "1", "-s", "expert", "-timeout", "30", target=target,
                   name="refused").wait(40)
        self.assertEqual([r["details"]["rule"] for r in control.records() if r["event"] == "REJECTED"], ["no-headroom"])
        for row in control.ctl("calls show", limit=1000)["rows"]:
            control.ctl("calls kill", call=row["call"])
        taken.wait(40)
        served.wait(40)
        lab.wait_for(lambda: control.ctl("core show")["rows"][0]["booked_percent"] == 0, 15, "nothing booked")

    def test_sigterm_ends_the_calls_with_bye_and_refuses_new_ones(self):
        gateway.Dataplane(self.lab)
        control = gateway.ControlPlane(self.lab, gateway.basic_config())
        served = self.serve("expect INVITE", "answer", "expect ACK", "expect BYE", "ok")
        calling = self.call("invite", "recv? 100", "recv 200", "ack", "expect BYE", "ok")
        lab.wait_for(lambda: any(c["state"] == "CONNECTED" for c in control.ctl("calls show")["rows"]), 20, "connected")
        self.assertEqual(control.process.stop(), 0, control.process.output())
        calling.wait(20)
        served.wait(20)
        self.assertIn("TERMINATED", [r["event"] for r in control.records()])
        self.assertNotIn("did not answer in time", control.process.output())
        self.assertFalse(os.path.exists(control.SOCKET))


if __name__ == "__main__":
    lab.isolate()
    tap.main()
