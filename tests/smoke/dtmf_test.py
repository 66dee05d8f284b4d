#!/usr/bin/env python3
"""Digits pressed on one phone, heard by another through the gateway, between clocks: linphonec speaks Opus with telephone-event/48000,
baresip PCMU with telephone-event/8000. Judged by what the other phone says that it heard, and by tshark on both sides."""
import json
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import impaired  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from capture import Capture  # noqa: E402

DIGITS = "159*0#"
FIELDS = ("rtp.seq", "rtp.timestamp", "rtp.marker", "rtpevent.event_id", "rtpevent.end_of_event", "rtpevent.duration")
KEYS = {**{str(n): str(n) for n in range(10)}, "10": "*", "11": "#"}


def events(path, source, payload_type):
    """What tshark reads of a source's telephone-events: its digit and (end, duration, marker, number) of each packet, per event, in order."""
    known = ("--enable-heuristic", "rtp_udp", "-o", f"rtpevent.event_payload_type_value:{payload_type}")
    out = lab.run("tshark", "-r", path, *known, "-Y", f"rtpevent && ip.src=={source}", "-T", "fields", *(part for field in FIELDS for part in ("-e", field)), timeout=60).stdout
    found = {}
    for line in out.splitlines():
        number, timestamp, marker, event, end, duration = line.split("\t")
        told = found.setdefault(timestamp, (KEYS[event], []))
        told[1].append((end in ("1", "True"), int(duration), marker in ("1", "True"), int(number)))
    return list(found.values())


class Dtmf(unittest.TestCase):
    def press(self, phone, digit):
        if isinstance(phone, peers.Linphone):
            return phone.say(digit)
        text = json.dumps({"command": "sndcode", "params": digit})
        return self.lab.run_in("caller", gateway.PYTHON, "-c", "import socket, sys; s = socket.create_connection(('127.0.0.1', 4444)); "
                               "s.sendall(sys.argv[1].encode()); s.recv(999)", f"{len(text)}:{text},")

    def heard(self, phone):
        """The digits that the phone says it heard, in order."""
        if isinstance(phone, peers.Linphone):
            return "".join(re.findall(r"Receiving tone (\S) from", phone.process.output()))
        return "".join(re.findall(r"received event: '(\S)' \(end=0\)", phone.process.output()))

    def call(self, **harm):
        with lab.Lab() as self.lab:
            the_lab = self.lab
            if harm:
                impaired.Harmed(the_lab, **harm)
            else:
                gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.codec_config("PCMU", "opus"))
            audio.write_wav(the_lab.dir / "tone.wav", audio.tone(440, 2))
            at_callee, at_caller = Capture(the_lab, "callee", "e0", "udp"), Capture(the_lab, "caller", "c0", "udp")
            linphone = peers.Linphone(the_lab, "callee", "opus", the_lab.dir / "tone.wav")
            baresip = peers.Baresip(the_lab, "caller", gateway.CALLER, "PCMU", the_lab.dir / "tone.wav", seconds=60, dial=f"sip:expert@{gateway.OUTSIDE}",
                                    extra=("module_app ctrl_tcp.so", "ctrl_tcp_listen 127.0.0.1:4444"))
            both_speak = lambda: (rows := control.ctl("legs show")["rows"]) and len(rows) == 2 and all(leg["rx_packets"] > 50 for leg in rows)  # noqa: E731
            lab.wait_for(both_speak, 30, "both phones speak")
            for sender, listener in ((linphone, baresip), (baresip, linphone)):
                for count, digit in enumerate(DIGITS, 1):
                    self.press(sender, digit)
                    lab.wait_for(lambda listener=listener, count=count: len(self.heard(listener)) >= count, 10, f"digit {digit} is heard: {self.heard(listener)}")
            settled = lab.wait_for(lambda: (self.heard(baresip), self.heard(linphone)), 1, "said")
            baresip.stop()
            linphone.stop()
            at_callee.stop()
            at_caller.stop()
            self.assertEqual(settled, (DIGITS, DIGITS), "each digit once")
            self.assertEqual((self.heard(baresip), self.heard(linphone)), (DIGITS, DIGITS), "and not again")
            # Durations: 48 kHz on linphonec's side, 8 kHz on baresip's.
            self.judge(events(at_callee.path, gateway.CALLEE, 102), events(at_caller.path, gateway.OUTSIDE, 101), 1 / 6, bool(harm))
            self.judge(events(at_caller.path, gateway.CALLER, 101), events(at_callee.path, gateway.INSIDE, 102), 6, bool(harm))

    def judge(self, pressed, left, ratio, harmed):
        self.assertEqual("".join(digit for digit, _ in pressed), DIGITS, "as the sender's own wire has it")
        self.assertEqual("".join(digit for digit, _ in left), DIGITS, "each event once, under one time stamp")
        for (digit, said), (_, told) in zip(pressed, left):
            durations = [duration for _, duration, *_ in told]
            self.assertEqual(durations, sorted(durations), f"{digit}: a duration only grows")
            self.assertEqual([marker for _, _, marker, _ in told], [True] + [False] * (len(told) - 1), f"{digit}: the first has the marker")
            ends = [duration for end, duration, *_ in told if end]
            self.assertEqual(len(set(ends)), 1, f"{digit}: its end is told, with one duration")
            whole = max(duration for _, duration, *_ in said)
            self.assertAlmostEqual(ends[0], whole * ratio, delta=max(1, ratio), msg=f"{digit}: the same time by the other clock")
            if not harmed:
                self.assertEqual(len(told), len(said), f"{digit}: one packet for one")

    def test_between_clocks(self):
        self.call()

    def test_between_clocks_over_a_bad_wire(self):
        self.call(loss=0.05, swap=0.03, duplicate=0.05, jitter=10)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
