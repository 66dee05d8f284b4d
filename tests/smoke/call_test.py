#!/usr/bin/env python3
"""Calls through both planes, judged by SIPp and baresip: both ways, over UDP, TCP and TLS, every way a call can fail, a
thousand calls, a crash in the middle. Afterwards every table must be empty."""
import pathlib
import random
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import pcap  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from capture import Capture, lost_between, one_way, shortfall  # noqa: E402
from sipp_scenario import callee, caller, sdp  # noqa: E402

GATEWAY = f"{gateway.OUTSIDE}:5060"
ANSWERED = ("invite", "recv? 100", "recv? 180", "recv 200", "ack", "pause", "bye", "recv 200")
ANSWERS = ("expect INVITE", "status 180 Ringing", "answer", "expect ACK", "expect BYE", "ok")

# Timers short enough for a test: 64*T1 is 3.2 s. The limiter is out of the way but where it is the subject.
SECTIONS = {
    "sip": f'udp = ["{gateway.OUTSIDE}:5060", "{gateway.INSIDE}:5060"]\ntcp = ["{gateway.OUTSIDE}:5060", "{gateway.INSIDE}:5060"]\nt1 = "50ms"\nt2 = "400ms"\nt4 = "500ms"',
    "call": 'answer_timeout = "4s"',
    "[pike.exempt]": 'prefix = "10.0.0.0/8"',
}

def outward_route(transport):
    """From the inside to an agent outside, over `transport`; the codecs are those of the other direction, swapped."""
    return (f'id = "out-{transport}"\nuser = "agent-{transport}"\ntarget = "sip:{{user}}@{gateway.CALLER}:5060"\nlocal = "{gateway.OUTSIDE}:5060"\n'
            f'transport = "{transport}"\ncaller_codecs = ["PCMA"]\ncallee_codecs = ["PCMU"]\n')


# The first that matches wins: agents are outside, everybody else inside.
ROUTES = "\n[[route]]\n".join([outward_route("udp"), outward_route("tcp"), gateway.EXPERT_ROUTE])

# A hundred OPTIONS over one TCP connection to sys.argv[1], each when the last is answered; prints how many were asked and answered
# while process sys.argv[2] waited for one and the same answer of the dataplane: of all its sockets only an attach is SOCK_SEQPACKET (5).
ASK_FOR_OPTIONS = r"""
import os, socket, sys, time
host, pid, during = sys.argv[1], sys.argv[2], 0
def attempt():
    own = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            own.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    with open(f"/proc/{pid}/net/unix") as sockets:
        rows = [row.split() for row in sockets]
    return [row[6] for row in rows if row[4] == "0005" and f"socket:[{row[6]}]" in own]
with socket.create_connection((host, 5060), timeout=20) as s:
    for n in range(100):
        before = attempt()
        s.sendall((f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/TCP {host};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\nFrom: <sip:a@{host}>;tag=1\r\n"
                   f"To: <sip:{host}>\r\nCall-ID: hang\r\nCSeq: {n + 1} OPTIONS\r\nContent-Length: 0\r\n\r\n").encode())
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += s.recv(65536)
        assert heard.startswith(b"SIP/2.0 200"), heard
        during += before != [] and before == attempt()
        time.sleep(0.03)  # spread over three seconds: more than two attempts to attach
print(during)
"""


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.dataplane = gateway.Dataplane(cls.lab, "--max-load", "0")  # a thousand calls: not how many this host could carry
        cls.control = gateway.ControlPlane(cls.lab, gateway.basic_config(**SECTIONS, **{"[route]": ROUTES}))

    @classmethod
    def tearDownClass(cls):
        cls.expect_empty(cls.control, everything=True)

    def tearDown(self):
        for process in [p for p in self.lab.processes if p.name.startswith(("caller-", "callee-"))]:
            process.stop(seconds=2)
            self.lab.processes.remove(process)
        self.expect_empty(self.control)

    @staticmethod
    def expect_empty(control, everything=False):
        """No call and no leg stays behind; with `everything` no SIP transaction either, which takes timer D: 32 s."""
        def nothing_left():
            sip = control.ctl("status")["sip"]
            tables = ("client_transactions", "server_transactions", "legs", "setups_in_flight") if everything else ("legs", "setups_in_flight")
            return not control.ctl("calls show")["rows"] and not control.ctl("legs show")["rows"] and not any(sip[table] for table in tables)
        lab.wait_for(nothing_left, 50 if everything else 15, "every table empty")

    def serve(self, *steps, options=(), **kwargs):
        process = peers.Sipp(self.lab, "callee", callee(*steps, **kwargs), f"{gateway.CALLEE}:5060", "-m", kwargs.pop("calls", 1), "-timeout", "40", *options, name="callee")
        return process

    def dial(self, *steps, options=(), **kwargs):
        return peers.Sipp(self.lab, "caller", caller(*steps, **kwargs), f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert", "-d", "300", "-timeout", "40", *options,
                          target=GATEWAY, name="caller")

    def test_call_over_udp(self):
        served = self.serve(*ANSWERS)
        self.dial(*ANSWERED).wait(40)
        served.wait(10)

    def test_call_over_tcp(self):
        served = self.serve(*ANSWERS)
        self.dial(*ANSWERED, options=("-t", "t1")).wait(40)
        served.wait(10)

    def call_outward(self, transport, sipp_transport):
        """A party inside calls an agent outside, both over `transport`."""
        capture = Capture(self.lab, "caller", "c0", f"{transport} port 5060")
        served = peers.Sipp(self.lab, "caller", callee(*ANSWERS, types=(0,)), f"{gateway.CALLER}:5060", "-m", "1", "-timeout", "40", "-t", sipp_transport, name="callee")
        peers.Sipp(self.lab, "callee", caller(*ANSWERED, types=(8,)), f"{gateway.CALLEE}:5060", "-m", "1", "-s", f"agent-{transport}", "-d", "300", "-timeout", "40",
                   "-t", sipp_transport, target=f"{gateway.INSIDE}:5060", name="caller").wait(40)
        served.wait(10)
        capture.process.stop()
        sent = capture.path.read_bytes()  # each message fits into one packet, also over TCP
        self.assertIn(f"INVITE sip:agent-{transport}@{gateway.CALLER}:5060 SIP/2.0\r\nVia: SIP/2.0/{transport.upper()} {gateway.OUTSIDE}".encode(), sent)
        self.assertIn(f"c=IN IP4 {gateway.OUTSIDE}".encode(), sent)
        self.assertNotIn(gateway.INSIDE.encode(), sent, "the inside address of the gateway leaks to the outside")
        bridged = [r["details"] for r in self.control.records() if r["event"] == "BRIDGE_ESTABLISHED"][-1]
        self.assertEqual((bridged["caller_codec"], bridged["callee_codec"]), ("PCMA", "PCMU"))

    def test_call_outward_over_udp(self):
        self.call_outward("udp", "u1")

    def test_call_outward_over_tcp(self):
        self.call_outward("tcp", "t1")

    def test_a_callee_that_sends_updates_while_it_rings_keeps_the_call(self):
        served = self.serve("expect INVITE", "status 180 Ringing", "update", "recv 200", "update offer", "recv 491", *ANSWERS[2:])
        self.dial(*ANSWERED).wait(40)
        served.wait(10)

    def test_the_callee_sees_what_the_caller_calls_itself(self):
        name = '"Alice \\"Example\\" M\u00fcller"'
        capture = Capture(self.lab, "callee", "e0", "udp port 5060")
        served = self.serve(*ANSWERS)
        self.dial(*ANSWERED, name=name).wait(40)
        served.wait(10)
        ours = [p.payload for p in capture.stop() if p.source == gateway.INSIDE]
        for method in (b"INVITE ", b"BYE "):
            sent = next(p for p in ours if p.startswith(method))
            self.assertIn(f"\r\nFrom: {name} <sip:swarm@{gateway.CALLER}>;tag=".encode(), sent)

    def test_callee_is_busy(self):
        served = self.serve("expect INVITE", "status 486 Busy Here", "expect ACK")
        self.dial("invite", "recv? 100", "recv 486", "ack_failure").wait(40)
        served.wait(10)

    def test_caller_cancels(self):
        self.serve("expect INVITE", "status 180 Ringing", "expect CANCEL", "ok", "status 487 Request Terminated", "expect ACK")
        self.dial("invite", "recv? 100", "recv 180", "cancel", "recv 200", "recv 487", "ack_failure").wait(40)

    def test_nobody_answers(self):
        self.serve("expect INVITE", "status 180 Ringing", "expect CANCEL", "ok", "pause 3000")
        self.dial("invite", "recv? 100", "recv 180", "recv 480", "ack_failure").wait(40)

    def test_callee_is_unreachable(self):
        self.dial("invite", "recv? 100", "recv 408", "ack_failure").wait(40)

    def test_no_codec_in_common(self):
        sipp = self.dial("invite", "recv? 100", "recv 488", "ack_failure", types=(9, 18))
        sipp.wait(40)
        record = next(r for r in reversed(self.control.records()) if r["event"] == "REJECTED")
        self.assertIn("G722", str(record), "the record names what was offered")

    def test_media_address_of_the_gateway_is_refused_in_offer_and_answer(self):
        before = len(self.control.records())
        ours = lambda address, types: sdp(types).replace("[media_ip]", address)  # noqa: E731
        self.dial("invite", "recv? 100", "recv 488", "ack_failure", body=ours(gateway.OUTSIDE, (0,))).wait(40)
        served = self.serve("expect INVITE", "answer", "expect ACK", "expect BYE", "ok", body=ours(gateway.INSIDE, (8,)))
        capture, outside = Capture(self.lab, "callee", "e0", "udp port 5060"), Capture(self.lab, "caller", "c0", "udp port 5060")
        self.dial("invite", "recv? 100", "recv 502", "ack_failure").wait(40)
        served.wait(10)
        told = [p.payload for p in outside.stop() if p.source == gateway.OUTSIDE and p.payload.startswith(b"SIP/2.0 502")]
        self.assertTrue(told[0].startswith(b"SIP/2.0 502 the called party's answer cannot be used\r\n"), told[0])
        for secret in (b"10.2.", b"media address"):
            self.assertNotIn(secret, told[0], "of the network inside")
        why = f"media address is ours: {gateway.INSIDE}; an address that is not the gateway's"
        said = [p.payload for p in capture.stop() if p.payload.startswith(b"BYE ")]
        self.assertIn(f'Reason: SIP ;cause=502 ;text="{why}"'.encode(), said[0])
        self.assertNotIn("ALERT", [r["severity"] for r in self.control.records()[before:]], "the parties' mistakes, not ours")

    def test_video_is_refused_by_port_zero(self):
        capture = Capture(self.lab, "caller", "c0", "udp port 5060")
        served = self.serve(*ANSWERS)
        body_video = "m=video 40000 RTP/AVP 99\na=rtpmap:99 H264/90000"
        from sipp_scenario import sdp
        self.dial(*ANSWERED, body=sdp((0,), more=body_video)).wait(40)
        served.wait(10)
        answers = [p.payload for p in capture.stop() if p.payload.startswith(b"SIP/2.0 200") and b"m=audio" in p.payload]
        self.assertTrue(answers)
        self.assertIn(b"m=video 0 ", answers[0])

    def test_bye_for_an_unknown_dialog_is_481(self):
        scenario = caller("bye", "recv 481").replace("[next_url]", "sip:expert@[remote_ip]:[remote_port]").replace("[last_To:]", "To: <sip:expert@x.example>;tag=gone").replace("[routes]\n", "")
        peers.Sipp(self.lab, "caller", scenario, f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert", "-timeout", "20", target=GATEWAY).wait(30)

    def test_options_are_answered(self):
        self.dial("options", "recv 200").wait(30)

    def test_addresses_and_trace_id_of_each_side(self):
        at_caller, at_callee = Capture(self.lab, "caller", "c0", "udp port 5060"), Capture(self.lab, "callee", "e0", "udp port 5060")
        served = self.serve(*ANSWERS)
        self.dial(*ANSWERED, extra="X-IF-Trace-ID: trace-0815\nX-IF-Source: forged").wait(40)
        served.wait(10)
        outside = b"\n".join(p.payload for p in at_caller.stop() if p.source == gateway.OUTSIDE)
        packets = at_callee.stop()
        inside = b"\n".join(p.payload for p in packets if p.source == gateway.INSIDE)
        self.assertNotIn(b"10.2.0.", outside, "the inside address leaks to the outside")
        self.assertNotIn(b"10.1.0.", inside.replace(b"swarm@10.1.0.2", b""), "the outside address leaks to the inside")
        self.assertIn(b"X-IF-Trace-ID: trace-0815", inside)
        self.assertNotIn(b"X-IF-Source", inside, "a header only we may add is stripped from outside")
        records = [r for r in self.control.records() if r.get("trace_id") == "trace-0815"]
        events = [r["event"] for r in records]
        for event in ("INVITE", "RINGING", "CONNECTED", "TERMINATED"):
            self.assertIn(event, events)

    def test_hold_and_resume(self):
        served = self.serve("expect INVITE", "answer", "expect ACK", "expect INVITE", "answer_again recvonly", "expect ACK", "expect INVITE", "answer_again sendrecv", "expect ACK",
                            "expect BYE", "ok")
        self.dial("invite", "recv? 100", "recv 200", "ack", "reinvite sendonly", "recv? 100", "recv 200", "ack", "reinvite sendrecv", "recv? 100", "recv 200", "ack", "bye", "recv 200").wait(40)
        served.wait(10)

    def test_tone_keeps_frequency_level_and_delay(self):
        audio.write_wav(self.lab.dir / "tone.wav", audio.tone(440, 3))
        audio.write_wav(self.lab.dir / "other.wav", audio.tone(620, 3))
        at_caller, at_callee = Capture(self.lab, "caller", "c0"), Capture(self.lab, "callee", "e0")
        phone = peers.Baresip(self.lab, "callee", gateway.CALLEE, "PCMA", self.lab.dir / "other.wav", seconds=6, name="phone_tone")
        peers.speaking_caller(self.lab, "caller", gateway.CALLER, GATEWAY, "expert", 0, self.lab.dir / "tone.wav", 2.5).wait(40)
        phone.stop()
        heard = audio.read_wav(phone.recording())
        middle = heard[len(heard) // 4:len(heard) // 2]
        self.assertAlmostEqual(audio.dominant_frequency(middle), 440, delta=5)
        self.assertAlmostEqual(audio.rms(middle), 0.3 / 2**0.5, delta=0.01)
        rtp_c, rtp_e = pcap.rtp(at_caller.stop()), pcap.rtp(at_callee.stop())
        for sent, received in ((rtp_c, rtp_e), (rtp_e, rtp_c)):
            ours = {gateway.OUTSIDE, gateway.INSIDE}
            sent, received = [p for p in sent if p.source not in ours], [p for p in received if p.source in ours]
            deltas, _ = one_way(sent, received)
            self.assertGreater(len(deltas), 80)
            self.assertEqual(lost_between(sent, received), [])
            self.assertLess(sorted(deltas)[len(deltas) // 2], 100_000_000, "median one-way time, requirement H7")
            # What was said is in the packet of the same number, not a sample later: one sample of these tones is up to 0.1.
            heard = {p.sequence: p for p in received}
            pairs = [(p, heard[p.sequence]) for p in sent if p.sequence in heard]
            self.assertGreater(len(pairs), 80)
            self.assertLess(max(abs(x - y) for p, q in pairs for x, y in zip(audio.decode(p.payload_type, p.payload), audio.decode(q.payload_type, q.payload), strict=True)), 0.04)

    def test_a_party_without_a_media_socket_is_recorded(self):
        audio.write_wav(self.lab.dir / "speech.wav", audio.tone(440, 1))
        served = self.serve(*ANSWERS, body=sdp((8,), port="40404"))
        peers.speaking_caller(self.lab, "caller", gateway.CALLER, GATEWAY, "expert", 0, self.lab.dir / "speech.wav", 1).wait(40)
        served.wait(10)
        told = [r["details"] for r in self.control.records() if r["event"] == "MEDIA_UNREACHABLE"]
        self.assertEqual([(d["party"], d["cause"], d["reporter"]) for d in told], [("callee", "port-unreachable", gateway.CALLEE)])

    @unittest.skipIf(lab.SLOW > 2, "a thousand calls at once are too many for a build that is so slow")
    def test_thousand_calls_at_once_leave_nothing_behind(self):
        served = peers.Sipp(self.lab, "callee", callee(*ANSWERS), f"{gateway.CALLEE}:5060", "-m", "1000", "-l", "2000", "-timeout", 120 * lab.SLOW, name="callee")
        dialled = peers.Sipp(self.lab, "caller", caller(*ANSWERED), f"{gateway.CALLER}:5060", "-m", "1000", "-r", 100 // lab.SLOW, "-l", "2000", "-s", "expert",
                             "-d", 14000 * lab.SLOW, "-timeout", 120 * lab.SLOW, target=GATEWAY, name="caller")
        lab.wait_for(lambda: self.control.ctl("status")["calls"]["active"] == 1000 or not dialled.process.running(), 60, "all are up")
        self.assertTrue(dialled.process.running(), "all calls were up at the same time")
        self.assertEqual(self.control.ctl("status")["sip"]["legs"], 2000)
        dialled.wait(100 * lab.SLOW)
        served.wait(20)

    def test_malformed_messages_are_answered_or_ignored_and_harm_nobody(self):
        self.lab.run_in("caller", gateway.PYTHON, "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("{gateway.CALLER}", 5070)); s.settimeout(2)
head = "INVITE sip:expert@x.example SIP/2.0\\r\\nVia: SIP/2.0/UDP {gateway.CALLER}:5070;branch=z9hG4bK%d;rport\\r\\nMax-Forwards: %s\\r\\nFrom: <sip:a@b.example>;tag=1\\r\\nTo: <sip:expert@x.example>\\r\\n%sCSeq: 1 %s\\r\\nContact: <sip:a@{gateway.CALLER}:5070>\\r\\n%sContent-Length: 0\\r\\n\\r\\n"
cases = [(head % (1, "70", "", "INVITE", ""), b"400"), (head % (2, "0", "Call-ID: m2\\r\\n", "INVITE", ""), b"483"), (head % (3, "70", "Call-ID: m3\\r\\n", "ACK", ""), b"400"),
         (head % (4, "70", "Call-ID: m4\\r\\n", "INVITE", "Require: teleport\\r\\n"), b"420"), ((head % (5, "70", "Call-ID: m5\\r\\n", "INVITE", "")).replace("SIP/2.0\\r\\nVia", "SIP/7.0\\r\\nVia"), b"505"),
         ((head % (6, "70", "Call-ID: m6\\r\\n", "FLY", "")).replace("INVITE sip", "FLY sip"), b"501"), ((head % (7, "70", "Call-ID: m7\\r\\n", "PUBLISH", "")).replace("INVITE sip", "PUBLISH sip"), b"405")]
for text, code in cases:
    s.sendto(text.encode(), ("{gateway.OUTSIDE}", 5060))
    answer = s.recv(4096)
    assert answer.startswith(b"SIP/2.0 " + code), (code, answer[:80])
for junk in (b"", b"\\0", b"GET / HTTP/1.1\\r\\n\\r\\n", b"INVITE", b"SIP/2.0 200 OK\\r\\n\\r\\n", bytes(range(256)) * 5):
    s.sendto(junk, ("{gateway.OUTSIDE}", 5060))
""")
        self.test_call_over_udp()


class Advertised(unittest.TestCase):
    def test_behind_a_nat_signalling_and_media_name_the_address_that_is_advertised(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            route = (f'id = "expert"\nuser = "*"\ntarget = "sip:{{user}}@{gateway.CALLER}:5070"\nlocal = "{gateway.OUTSIDE}:5060"\n'
                     'caller_codecs = ["PCMU"]\ncallee_codecs = ["PCMA"]')
            gateway.ControlPlane(the_lab, gateway.basic_config(**{
                "sip": f'udp = ["{gateway.OUTSIDE}:5060"]\nadvertised = "198.51.100.7"', "[route]": route,
                "[media.address]": f'local = "{gateway.OUTSIDE}"\nadvertised = "198.51.100.10"'}))
            capture = Capture(the_lab, "caller", "c0", "udp and (port 5060 or port 5070)")
            served = peers.Sipp(the_lab, "caller", callee(*ANSWERS), f"{gateway.CALLER}:5070", "-m", "1", "-timeout", "40", name="callee")
            peers.Sipp(the_lab, "caller", caller(*ANSWERED), f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert", "-d", "300", "-timeout", "40", target=GATEWAY, name="caller").wait(40)
            served.wait(10)
            ours = [p.payload.decode(errors="replace") for p in capture.stop() if p.source == gateway.OUTSIDE]
            invite = next(m for m in ours if m.startswith("INVITE"))
            answer = next(m for m in ours if m.startswith("SIP/2.0 200") and "INVITE" in m and "m=audio" in m)
            self.assertRegex(invite, r"Via: SIP/2\.0/UDP 198\.51\.100\.7")
            for message in (invite, answer):
                self.assertRegex(message, r"Contact: <sip:[^>]*198\.51\.100\.7")
                self.assertIn("c=IN IP4 198.51.100.10", message)
                self.assertNotIn(gateway.OUTSIDE, message.split("\r\n\r\n", 1)[1], "the inner address in the description")


class Latching(unittest.TestCase):
    def test_a_caller_behind_a_nat_is_heard_and_hears_where_it_really_is(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.basic_config(media='latching = true\nlatch_window = "5s"', **SECTIONS))
            audio.write_wav(the_lab.dir / "tone.wav", audio.tone(440, 3))
            (the_lab.dir / "says.raw").write_bytes(audio.encode(0, audio.tone(440, 3)))
            at_caller = Capture(the_lab, "caller", "c0", "udp")
            phone = peers.Baresip(the_lab, "callee", gateway.CALLEE, "PCMA", the_lab.dir / "tone.wav", seconds=8)
            scenario = caller("invite", "recv? 100", "recv? 180", "recv? 183", "recv 200", "ack", "speak says.raw 0", "pause", "hush", "bye", "recv 200", types=(0,))
            hidden = scenario.replace("[media_ip]", "10.1.0.99")  # what it believes its address to be
            peers.Sipp(the_lab, "caller", hidden, f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert", "-d", "2000", "-timeout", "40", target=GATEWAY, name="caller").wait(40)
            phone.stop()
            moved = next(r for r in control.records() if r["event"] == "MEDIA_ADDRESS_CHANGED")
            self.assertTrue(moved["details"]["before"].startswith("10.1.0.99:"), moved)
            self.assertTrue(moved["details"]["after"].startswith(f"{gateway.CALLER}:"), moved)
            heard = [p for p in pcap.rtp(at_caller.stop()) if p.source == gateway.OUTSIDE and p.destination == gateway.CALLER]
            self.assertGreater(len(heard), 60)


class Crash(unittest.TestCase):
    def test_control_plane_killed_and_restarted_during_a_call_costs_no_packet(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.basic_config(media='timeout = "2s"', **SECTIONS))
            audio.write_wav(the_lab.dir / "tone.wav", audio.tone(440, 3))
            at_caller, at_callee = Capture(the_lab, "caller", "c0"), Capture(the_lab, "callee", "e0")
            phone = peers.Baresip(the_lab, "callee", gateway.CALLEE, "PCMA", the_lab.dir / "tone.wav", seconds=12)
            talking = peers.speaking_caller(the_lab, "caller", gateway.CALLER, GATEWAY, "expert", 0, the_lab.dir / "tone.wav", 6, last="recv 481")
            lab.wait_for(lambda: [c for c in control.ctl("calls show")["rows"] if c["state"] == "CONNECTED"], 15, "connected")
            for _ in range(3):
                time.sleep(0.7)  # they talk
                control.process.stop(signal.SIGKILL)
                control.start()
                self.assertEqual(len(control.ctl("legs show")["rows"]), 2, "the new control plane sees the legs")
            talking.wait(30)
            phone.stop()
            rtp_c, rtp_e = pcap.rtp(at_caller.stop()), pcap.rtp(at_callee.stop())
            for sent, received in (([p for p in rtp_c if p.source == gateway.CALLER], [p for p in rtp_e if p.source == gateway.INSIDE]),
                                   ([p for p in rtp_e if p.source == gateway.CALLEE], [p for p in rtp_c if p.source == gateway.OUTSIDE])):
                self.assertIsNone(shortfall(len(received), 6))
                self.assertEqual(lost_between(sent, received), [])
            lab.wait_for(lambda: not control.ctl("legs show")["rows"], 20, "media timeout removes the adopted legs")

    def test_a_dataplane_that_hangs_holds_up_no_answer(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            dataplane = gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.basic_config(**SECTIONS))
            control.process.stop()
            dataplane.process.popen.send_signal(signal.SIGSTOP)
            try:
                control.start(wait=False)
                lab.wait_for(lambda: control.ctl("status", check=False), 20, "control plane started")
                during = int(the_lab.run_in("gw", sys.executable, "-c", ASK_FOR_OPTIONS, gateway.OUTSIDE, control.process.popen.pid).stdout.split()[-1])
                self.assertGreater(during, 0, "while the dataplane is asked, requests wait")
                state = control.ctl("status")["dataplane"]
                self.assertFalse(state["attached"])
                self.assertRegex(state["error"], "hangs or is stopped")
            finally:
                dataplane.process.popen.send_signal(signal.SIGCONT)
            lab.wait_for(lambda: control.ctl("status")["dataplane"]["attached"], 20, "attached when it goes on")


    def test_control_plane_killed_two_hundred_times_under_load_costs_no_packet(self):
        """Calls come at 50 a second, several conversations are under way, and the real control plane dies 200 times:
        every second time wherever it is, the others after it attached and while it sets up calls."""
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            dataplane = gateway.Dataplane(the_lab)
            talks = []
            with gateway.Start(the_lab) as together:
                options = ("--linger", "1", "--until", "/run/lab/enough", *together.options)
                for i in range(3):
                    remote_a, remote_b = f"{gateway.CALLER}:{4000 + 2 * i}", f"{gateway.CALLEE}:{4000 + 2 * i}"
                    legs = dataplane.call(remote_a, "PCMU", remote_b, "PCMA")
                    talks.append([gateway.start_rtp(the_lab, f"talk_b{i}", "callee", remote_b, legs["b"], 8, 60, *options),
                                  gateway.start_rtp(the_lab, f"talk_a{i}", "caller", remote_a, legs["a"], 0, 60, *options)])
            lab.wait_for(lambda: all(leg["tx"] > 0 for leg in dataplane.legs()["legs"]), 20, "all are heard")
            control = gateway.ControlPlane(the_lab, gateway.basic_config(media='timeout = "2s"', **SECTIONS))
            served = peers.Sipp(the_lab, "callee", callee(*ANSWERS), f"{gateway.CALLEE}:5060", "-l", "10000", name="callee")
            load = peers.Sipp(the_lab, "caller", caller(*ANSWERED), f"{gateway.CALLER}:5060", "-r", "50", "-l", "10000", "-s", "expert", "-d", "100", target=GATEWAY, name="caller")
            rng = random.Random(7)
            for kill in range(200):
                control.process.stop(signal.SIGKILL)
                the_lab.processes.remove(control.process)
                control.start(wait=kill % 2 == 0)
                time.sleep(rng.random() * 0.06)  # the moment of the next kill
            control.process.stop(signal.SIGKILL)
            control.start()
            for process in (load.process, served.process):
                process.stop(signal.SIGKILL)
            pathlib.Path("/run/lab/enough").touch()
            for party_b, party_a in talks:
                heard_b, heard_a = gateway.rtp_result(party_b), gateway.rtp_result(party_a)
                self.assertGreater(heard_a["sent"], 200, "the conversations went on during the kills")
                for heard, sender in ((heard_b, heard_a), (heard_a, heard_b)):
                    numbers = [packet[1] for packet in heard["packets"]]
                    self.assertEqual(numbers, list(range(numbers[0], sender["sent"])), "every packet, in order, from the first heard, which was before the first kill")
            lab.wait_for(lambda: not control.ctl("legs show")["rows"] and not control.ctl("calls show")["rows"], 30, "the legs of the dead are removed, and the last one's calls")
            served = peers.Sipp(the_lab, "callee", callee(*ANSWERS), f"{gateway.CALLEE}:5060", "-m", "1", "-timeout", "40", name="callee")
            peers.Sipp(the_lab, "caller", caller(*ANSWERED), f"{gateway.CALLER}:5060", "-m", "1", "-s", "expert", "-d", "100", "-timeout", "40", target=GATEWAY, name="caller").wait(40)
            served.wait(10)
            control.process.stop()
            state = dataplane.legs()
            self.assertEqual((state["corrupt_rings"], state["invalid_messages"]), (0, 0))
            self.assertGreaterEqual(state["attaches"], 100, "most of the killed ones had attached")
            self.assertEqual((state["in_use"], state["legs"]), (0, []))

if __name__ == "__main__":
    lab.isolate()
    tap.main()
