#!/usr/bin/env python3
"""SIP over TLS and TCP: a softphone that checks our certificate, what is refused, and that slow peers harm nobody."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from certificates import Authority  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

PORT = 5061
EXEMPT = 'prefix = "10.0.0.0/8"'

# Requests over TLS as a caller of the gateway makes them, with 20 s of patience.
TLS_OPTIONS = """
import socket, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[3])
s = context.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20), server_hostname=sys.argv[1])
s.sendall(b"OPTIONS sip:x@10.1.0.1 SIP/2.0\\r\\nVia: SIP/2.0/TLS 10.1.0.2:5999;branch=z9hG4bKa\\r\\nMax-Forwards: 70\\r\\nFrom: <sip:a@b.example>;tag=1\\r\\n"
          b"To: <sip:x@10.1.0.1>\\r\\nCall-ID: options-%d\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n" % time.monotonic_ns())
answer = s.recv(4096)
assert answer.startswith(b"SIP/2.0 200"), answer
print("answered")
"""

# Takes one connection with this certificate and key, and tells what came over it.
TLS_SERVER = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
s, _ = listener.accept()
try:
    print("received", context.wrap_socket(s, server_side=True).recv(65536))
except OSError as error:
    print("handshake failed:", error)
"""

# Connects from the port of a route's target and shows no certificate; says what it was answered, and what it then got.
STRANGER = """
import socket, ssl, sys
here, there = (sys.argv[1], int(sys.argv[3])), (sys.argv[2], int(sys.argv[3]))
plain = socket.socket()
plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
plain.bind(here)
plain.connect(there)
s = ssl._create_unverified_context().wrap_socket(plain)
s.sendall(b"OPTIONS sip:10.2.0.1 SIP/2.0\\r\\nVia: SIP/2.0/TLS 10.2.0.2:5061;branch=z9hG4bKa\\r\\nMax-Forwards: 70\\r\\nFrom: <sip:a@b.example>;tag=1\\r\\n"
          b"To: <sip:10.2.0.1>\\r\\nCall-ID: stranger\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n")
while got := s.recv(65536):
    print("got", got.split(b"\\r\\n")[0], flush=True)
"""

# Opens connections from an address of its own and leaves each in the middle of its handshake; says so, and opens another for each
# that the gateway closes. Once the file sys.argv[5] is there it opens none any more, and tells when all are closed.
HALF_OPEN = """
import os, selectors, socket, ssl, sys
host, port, count, source, enough = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
open_ones = selectors.DefaultSelector()
def leave_half_open(i):
    out = ssl.MemoryBIO()
    try:
        ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        hello = out.read()
    s = socket.create_connection((host, port), timeout=30, source_address=(source, 0))
    open_ones.register(s, selectors.EVENT_READ, i)
    try:
        s.sendall((b"", hello[:3], hello[:-1], hello)[i % 4])  # nothing, a bit, all but a byte, all of the first flight
    except ConnectionError:
        pass  # closed meanwhile: as any other
for i in range(count):
    leave_half_open(i)
print("half open", flush=True)
while open_ones.get_map():
    for key, _ in open_ones.select(1):
        try:
            if key.fileobj.recv(65536):
                continue
        except ConnectionError:
            pass
        open_ones.unregister(key.fileobj)
        key.fileobj.close()
        if not os.path.exists(enough):
            leave_half_open(key.data)
print("all closed", flush=True)
"""


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.ca = Authority(cls.lab)
        certificate, key = cls.ca.issue("gateway", f"IP:{gateway.OUTSIDE}")
        gateway.Dataplane(cls.lab)
        cls.control = gateway.ControlPlane(cls.lab, gateway.basic_config(**{
            "sip": f'udp = ["{gateway.OUTSIDE}:5060", "{gateway.INSIDE}:5060"]\ntls = ["{gateway.OUTSIDE}:{PORT}"]\ntls_certificate = "{certificate}"\ntls_key = "{key}"',
            "[pike.exempt]": EXEMPT}))
        for name, frequency in (("caller", 440), ("callee", 620)):
            audio.write_wav(cls.lab.dir / f"{name}.wav", audio.tone(frequency, 6))

    def tearDown(self):
        lab.wait_for(lambda: not self.control.ctl("calls show")["rows"] and not self.control.ctl("legs show")["rows"], 15, "every table empty")

    def phones(self):
        """A call between two softphones: over TLS from outside, over UDP inside. Returns both and the call."""
        name = "-".join(self.id().split("_")[-3:])
        inside = peers.Baresip(self.lab, "callee", gateway.CALLEE, "PCMA", self.lab.dir / "callee.wav", seconds=30, name=f"inside-{name}")
        outside = peers.Baresip(self.lab, "caller", gateway.CALLER, "PCMU", self.lab.dir / "caller.wav", seconds=30, name=f"outside-{name}", transport="tls", ca=self.ca.certificate,
                                dial=f"sip:expert@{gateway.OUTSIDE}:{PORT};transport=tls")
        call = lab.wait_for(lambda: next((c for c in self.control.ctl("calls show")["rows"] if c["state"] == "CONNECTED"), None), 20, f"connected\n{outside.process.output()[-1500:]}")
        return outside, inside, call

    def heard(self, phone, frequency):
        heard = audio.read_wav(phone.recording())
        middle = heard[len(heard) // 4:len(heard) * 3 // 4]
        self.assertGreater(len(middle), audio.RATE // 2)
        self.assertAlmostEqual(audio.dominant_frequency(middle), frequency, delta=5)

    def both_spoke(self, seconds=2):
        lab.wait_for(lambda: (lambda rows: len(rows) == 2 and all(leg["rx_packets"] > 50 * seconds for leg in rows))(self.control.ctl("legs show")["rows"]), 20, "both speak")

    def test_softphone_calls_and_caller_hangs_up(self):
        outside, inside, call = self.phones()
        self.assertEqual(call["transport"], "tls")
        self.both_spoke()
        outside.stop()
        lab.wait_for(lambda: "session closed" in inside.process.output().lower() or "terminated" in inside.process.output().lower(), 10, "the callee heard BYE")
        inside.stop()
        self.heard(inside, 440)
        self.heard(outside, 620)
        offered = next(r for r in self.control.records() if r["event"] == "INVITE" and r["trace_id"] == call["trace_id"])
        self.assertEqual((offered["security"]["transport"], offered["security"]["tls_version"]), ("tls", "TLSv1.3"))
        self.assertIn("TLS_", offered["security"]["cipher_suite"])

    def test_softphone_calls_and_callee_hangs_up(self):
        outside, inside, _ = self.phones()
        inside.stop()
        lab.wait_for(lambda: "session closed" in outside.process.output().lower() or "terminated" in outside.process.output().lower(), 10, "the caller heard BYE over TLS")
        outside.stop()

    def handshake(self, *options):
        """openssl s_client from outside, as permissive as it can be: it is the gateway that refuses."""
        done = self.lab.run_in("caller", "openssl", "s_client", "-connect", f"{gateway.OUTSIDE}:{PORT}", "-CAfile", self.ca.certificate, "-verify_return_error", *options,
                               check=False, stdin=subprocess.DEVNULL)
        return done.returncode == 0, done.stdout + done.stderr

    def test_old_versions_and_weak_ciphers_are_refused(self):
        for options in (["-tls1_3"], ["-tls1_2"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]):
            with self.subTest(good=options):
                good, text = self.handshake(*options)
                self.assertTrue(good, text)
        # An alert comes from the gateway; "no protocols available" and the like would come from s_client itself.
        for options in (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"],
                        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"], ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"]):
            with self.subTest(bad=options):
                good, text = self.handshake(*options)
                self.assertFalse(good, text)
                self.assertRegex(text, "alert (protocol version|handshake failure)")

    def test_half_open_handshakes_hurt_nobody_and_are_closed(self):
        self.lab.address("caller", "c0", "10.1.0.66/24")
        enough = self.lab.dir / "enough"
        hoarder = self.lab.start("hoarder", [gateway.PYTHON, "-c", HALF_OPEN, gateway.OUTSIDE, PORT, 60, "10.1.0.66", enough], ns="caller")
        lab.wait_for(lambda: "half open" in hoarder.output() or not hoarder.running(), 20, "60 half-open connections")
        lab.wait_for(lambda: self.control.ctl("status")["sip"]["connections"] >= 60, 20, "60 of them at once")
        # There are always 60 of them, whose turns would take 300 s: if any were waited for, this one would not be answered.
        self.lab.run_in("caller", gateway.PYTHON, "-c", TLS_OPTIONS, gateway.OUTSIDE, PORT, self.ca.certificate)
        self.assertTrue(hoarder.running(), hoarder.output())
        enough.touch()
        self.assertEqual(hoarder.wait(30), 0, hoarder.output())
        lab.wait_for(lambda: self.control.ctl("status")["sip"]["connections"] == 0, 15, "no connection left")

    def test_softphone_refuses_an_authority_it_does_not_know(self):
        # Else the phone would check nothing, and the calls above would say nothing about our certificate.
        stranger = self.lab.dir / "stranger.pem"
        lab.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2", "-subj", "/CN=stranger", "-keyout", self.lab.dir / "stranger.key", "-out", stranger)
        done = self.lab.run_in("caller", gateway.PYTHON, "-c", TLS_OPTIONS, gateway.OUTSIDE, PORT, stranger, check=False)
        self.assertIn("CERTIFICATE_VERIFY_FAILED", done.stderr)


class Idle(unittest.TestCase):
    """A call whose signalling is silent for longer than a connection may be idle."""

    def test_call_keeps_its_connection_and_another_is_closed(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            ca = Authority(the_lab)
            certificate, key = ca.issue("gateway", f"IP:{gateway.OUTSIDE}")
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.basic_config(**{
                "sip": f'udp = ["{gateway.OUTSIDE}:5060", "{gateway.INSIDE}:5060"]\ntls = ["{gateway.OUTSIDE}:{PORT}"]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
                       'connection_idle = "10s"',
                "[pike.exempt]": EXEMPT}))
            for name, frequency in (("caller", 440), ("callee", 620)):
                audio.write_wav(the_lab.dir / f"{name}.wav", audio.tone(frequency, 6))
            inside = peers.Baresip(the_lab, "callee", gateway.CALLEE, "PCMA", the_lab.dir / "callee.wav", seconds=60, name="inside")
            outside = peers.Baresip(the_lab, "caller", gateway.CALLER, "PCMU", the_lab.dir / "caller.wav", seconds=60, name="outside", transport="tls", ca=ca.certificate,
                                    dial=f"sip:expert@{gateway.OUTSIDE}:{PORT};transport=tls")
            lab.wait_for(lambda: any(c["state"] == "CONNECTED" for c in control.ctl("calls show")["rows"]), 20, f"connected\n{outside.process.output()[-1500:]}")
            listed = ["ss", "-Htno", "state", "established", f"( sport = :{PORT} )"]
            # What was sent last waits for its acknowledgement at first, and has that timer.
            of_the_call = lab.wait_for(lambda: (lambda now: now if "timer:(keepalive" in now else None)(the_lab.run_in("gw", *listed).stdout), 10, "it is kept alive").split()
            self.assertEqual(of_the_call.count(f"{gateway.OUTSIDE}:{PORT}"), 1, of_the_call)
            # Idle from now on, so later than the call's: once it is closed, the call's has been silent for longer.
            idle = the_lab.start("idle", [gateway.PYTHON, "-c", TLS_OPTIONS + "print('closed' if s.recv(4096) == b'' else 'more', flush=True)", gateway.OUTSIDE, PORT, ca.certificate],
                                 ns="caller")
            self.assertEqual(idle.wait(20), 0, idle.output())
            self.assertIn("closed", idle.output())
            after = the_lab.run_in("gw", *listed).stdout.split()
            self.assertEqual(after[2:4], of_the_call[2:4], "the same connection, and no other")
            inside.stop()
            lab.wait_for(lambda: "session closed" in outside.process.output().lower() or "terminated" in outside.process.output().lower(), 10, "the caller heard BYE over its connection")
            lab.wait_for(lambda: not control.ctl("calls show")["rows"] and not control.ctl("legs show")["rows"], 15, "every table empty")
            lab.wait_for(lambda: control.ctl("status")["sip"]["connections"] == 0, 20, "the connection of the call that is over is closed as well")
            outside.stop()


class Callee(unittest.TestCase):
    """The gateway is the TLS client: it checks whom it calls."""

    NAMED = "10.2.0.3"  # whose certificate has a name instead of its address

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.lab.address("callee", "e0", f"{cls.NAMED}/24")
        cls.ca = Authority(cls.lab)
        certificate, key = cls.ca.issue("gateway", f"IP:{gateway.INSIDE}")
        gateway.Dataplane(cls.lab)
        route = f'local = "{gateway.INSIDE}:{PORT}"\ntransport = "tls"\ncaller_codecs = ["PCMU"]\ncallee_codecs = ["PCMA"]'
        cls.control = gateway.ControlPlane(cls.lab, gateway.basic_config(**{
            "sip": f'udp = ["{gateway.OUTSIDE}:5060"]\ntls = ["{gateway.INSIDE}:{PORT}"]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\ntls_ca = "{cls.ca.certificate}"',
            "[route]": f'id = "named"\nuser = "named"\ntarget = "sip:expert@{cls.NAMED}:{PORT}"\ntls_name = "expert.example"\n{route}\n'
                       f'[[route]]\nid = "expert"\ntarget = "sip:{{user}}@{gateway.CALLEE}:{PORT}"\n{route}'}))
        audio.write_wav(cls.lab.dir / "caller.wav", audio.tone(440, 6))
        audio.write_wav(cls.lab.dir / "callee.wav", audio.tone(620, 6))

    def tearDown(self):
        lab.wait_for(lambda: not self.control.ctl("calls show")["rows"] and not self.control.ctl("legs show")["rows"], 15, "every table empty")

    def phone(self, address, *names):
        return peers.Baresip(self.lab, "callee", address, "PCMA", self.lab.dir / "callee.wav", seconds=30, name=f"phone-{self.id().split('.')[-1]}", transport="tls",
                             ca=self.ca.certificate, identity=self.ca.issue("phone", *names))

    def call(self, *steps, user="expert", seconds=1):
        return peers.Sipp(self.lab, "caller", caller(*steps), f"{gateway.CALLER}:5060", "-m", "1", "-s", user, "-d", int(seconds * 1000), "-timeout", "30",
                          target=f"{gateway.OUTSIDE}:5060", name="caller")

    def test_softphone_answers_over_tls_and_hears_the_caller(self):
        phone = self.phone(gateway.CALLEE, f"IP:{gateway.CALLEE}")
        peers.speaking_caller(self.lab, "caller", gateway.CALLER, f"{gateway.OUTSIDE}:5060", "expert", 0, self.lab.dir / "caller.wav", 3).wait(40)
        phone.stop()
        heard = audio.read_wav(phone.recording())
        self.assertAlmostEqual(audio.dominant_frequency(heard[len(heard) // 4:len(heard) * 3 // 4]), 440, delta=5)
        out = next(r for r in self.control.records() if r["event"] == "INVITE" and r["details"]["direction"] == "out")
        self.assertEqual(out["details"]["transport"], "tls")

    def test_softphone_that_was_called_over_tls_hangs_up(self):
        phone = self.phone(gateway.CALLEE, f"IP:{gateway.CALLEE}")
        call = self.call("invite", "recv? 100", "recv? 180", "recv 200", "ack", "expect BYE", "ok")
        lab.wait_for(lambda: any(c["state"] == "CONNECTED" for c in self.control.ctl("calls show")["rows"]), 20, "connected")
        phone.stop()
        call.wait(20)

    def test_certificate_with_the_name_that_the_route_gives(self):
        phone = self.phone(self.NAMED, "DNS:expert.example")
        self.call("invite", "recv? 100", "recv? 180", "recv 200", "ack", "pause", "bye", "recv 200", user="named").wait(40)
        phone.stop()

    def test_callee_with_a_wrong_certificate_gets_no_call(self):
        stranger = Authority(self.lab, "stranger")
        for user, address, identity, why in (
                ("expert", gateway.CALLEE, self.ca.issue("elsewhere", "IP:10.2.0.9"), "IP address mismatch; it has to name 10.2.0.2"),
                ("expert", gateway.CALLEE, stranger.issue("foreign", f"IP:{gateway.CALLEE}"), "unable to get local issuer certificate"),
                ("named", self.NAMED, self.ca.issue("other", "DNS:other.example"), "hostname mismatch; it has to name expert.example")):
            with self.subTest(why=why):
                before = len(self.control.process.output())
                server = self.lab.start(f"server-{identity[0].stem}", [gateway.PYTHON, "-c", TLS_SERVER, address, PORT, *identity], ns="callee")
                lab.wait_for(lambda: "listening" in server.output() or not server.running(), 10, "the server listens")
                self.call("invite", "recv? 100", "recv 503", "ack_failure", user=user).wait(20)
                lab.wait_for(lambda: why in self.control.process.output()[before:], 5, "the log says why")
                line = next(text for text in self.control.process.output()[before:].splitlines() if why in text)
                self.assertIn(f"tls {address}:{PORT}", line)
                self.assertIn(" trace=" + [r for r in self.control.records() if r["event"] == "REJECTED"][-1]["trace_id"], line)
                self.assertEqual(server.wait(10), 0, server.output())
                self.assertIn("handshake failed", server.output(), "nothing of the call reached it")

    def test_stranger_who_connects_from_the_address_of_a_route_gets_no_call(self):
        stranger = self.lab.start("stranger", [gateway.PYTHON, "-c", STRANGER, gateway.CALLEE, gateway.INSIDE, PORT], ns="callee")
        lab.wait_for(lambda: "SIP/2.0 200" in stranger.output() or not stranger.running(), 15, "the stranger is connected and answered")
        self.assertTrue(stranger.running(), stranger.output())
        self.call("invite", "recv? 100", "recv 503", "ack_failure").wait(20)  # nobody who could prove to be the callee listens
        self.assertTrue(stranger.running(), stranger.output())
        self.assertNotIn("INVITE", stranger.output())
        stranger.stop()


class Mutual(unittest.TestCase):
    def test_client_certificate_is_demanded_when_the_configuration_says_so(self):
        with lab.Lab() as the_lab:
            the_lab.namespace("gw")
            ca = Authority(the_lab)
            certificate, key = ca.issue("gateway", "IP:127.0.0.1")
            client, client_key = ca.issue("client", "DNS:client.example")
            control = gateway.ControlPlane(the_lab, gateway.basic_config(**{
                "sip": f'udp = ["127.0.0.1:5060"]\ntls = ["127.0.0.1:{PORT}"]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\ntls_ca = "{ca.certificate}"\ntls_client_certificate = true',
                "[route]": 'id = "x"\ntarget = "sip:{user}@127.0.0.1:5070"'}), wait=False)
            lab.wait_for(lambda: "ready:" in control.process.output() or not control.process.running(), 15, "ready")
            self.assertTrue(control.process.running(), control.process.output())
            connect = ["openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-tls1_2", "-CAfile", ca.certificate]
            self.assertNotEqual(the_lab.run_in("gw", *connect, check=False, stdin=subprocess.DEVNULL).returncode, 0)
            self.assertEqual(the_lab.run_in("gw", *connect, "-cert", client, "-key", client_key, check=False, stdin=subprocess.DEVNULL).returncode, 0)


class Files(unittest.TestCase):
    def test_wrong_certificate_and_key_files_name_the_setting(self):
        with lab.Lab() as the_lab:
            the_lab.namespace("gw")
            ca = Authority(the_lab)
            certificate, key = ca.issue("gateway", "IP:127.0.0.1")
            _, other_key = ca.issue("other", "IP:127.0.0.1")
            secret = the_lab.dir / "secret.key"
            secret.write_bytes(key.read_bytes())
            secret.chmod(0o600)
            for number, (setting, certificate_file, key_file) in enumerate([
                    ("tls_certificate", "/nosuch.pem", key), ("tls_certificate", key, key), ("tls_key", certificate, "/nosuch.key"), ("tls_key", certificate, certificate),
                    ("tls_key", certificate, other_key), ("tls_key", certificate, secret)]):
                with self.subTest(setting=setting, certificate=certificate_file, key=key_file):
                    control = gateway.ControlPlane(the_lab, gateway.basic_config(**{
                        "sip": f'tls = ["127.0.0.1:{PORT}"]\ntls_certificate = "{certificate_file}"\ntls_key = "{key_file}"',
                        "[route]": 'id = "x"\ntarget = "sip:{user}@127.0.0.1:5070"\ntransport = "tls"'}), name=f"controlplane-{number}", wait=False)
                    self.assertEqual(control.process.wait(10), 1, control.process.output())
                    self.assertIn(setting, control.process.output())
                    self.assertIn(str(certificate_file if setting == "tls_certificate" else key_file), control.process.output())


class Tcp(unittest.TestCase):
    def test_call_in_over_udp_and_out_over_tcp(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            route = gateway.basic_config().split("[[route]]\n")[1].split("\n[")[0]
            control = gateway.ControlPlane(the_lab, gateway.basic_config(**{"[route]": route + '\ntransport = "tcp"'}))
            served = peers.Sipp(the_lab, "callee", callee("expect INVITE", "status 180 Ringing", "answer", "expect ACK", "expect BYE", "ok"), f"{gateway.CALLEE}:5060", "-m", "2",
                                "-t", "t1", "-timeout", "40", name="callee")
            for transport in ("u1", "t1"):
                peers.Sipp(the_lab, "caller", caller("invite", "recv? 100", "recv? 180", "recv 200", "ack", "pause", "bye", "recv 200"), f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert",
                           "-t", transport, "-d", "300", "-timeout", "30", target=f"{gateway.OUTSIDE}:5060", name="caller").wait(40)
            served.wait(10)
            outgoing = [r["details"]["transport"] for r in control.records() if r["event"] == "INVITE" and r["details"]["direction"] == "out"]
            self.assertEqual(outgoing, ["tcp", "tcp"])

    def test_callee_that_does_not_listen_is_told_to_the_caller_at_once(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            route = gateway.basic_config().split("[[route]]\n")[1].split("\n[")[0]
            gateway.ControlPlane(the_lab, gateway.basic_config(**{"[route]": route + '\ntransport = "tcp"'}))
            peers.Sipp(the_lab, "caller", caller("invite", "recv? 100", "recv 503", "ack_failure"), f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert", "-timeout", "8",
                       target=f"{gateway.OUTSIDE}:5060", name="caller").wait(15)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
