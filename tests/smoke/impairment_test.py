#!/usr/bin/env python3
"""Calls over wires that lose, double, swap and delay packets on their way to the gateway, from both parties. Judged by what the
softphones (baresip, linphonec) decoded, and by the packets that left the gateway: the receiver must see the loss that was made, and no other."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import impaired  # noqa: E402
import lab  # noqa: E402
import pcap  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from capture import Capture  # noqa: E402

GATEWAY = f"{gateway.OUTSIDE}:5060"
CALLER_HZ, PHONE_HZ = 440, 650
# baresip's account and its PCM rate, payload type on the wire; linphonec has no account
PHONES = {"G722": ("G722/16000/1", 16000, 9), "opus": ("opus/48000/2", 48000, 96), "PCMA": ("PCMA/8000/1", 8000, 8), "G729": (None, 8000, 18)}


def in_order(numbers):
    """Without those that came after a later one, and doubles."""
    kept = numbers[:1]
    for number in numbers[1:]:
        if 0 < (number - kept[-1]) & 0xFFFF < 0x8000:
            kept.append(number)
    return kept


def mirrored(arrived, sent):
    """How many of the packets that went out have the same distances between their numbers as those that came in; what came in
    before the legs were joined, or after they were parted, has no counterpart."""
    distances = lambda numbers: [(b - a) & 0xFFFF for a, b in zip(numbers, numbers[1:])]  # noqa: E731
    before, after = distances(arrived), distances(sent)
    for start in range(min(50, len(before))):
        if before[start:start + len(after)] == after or after[:len(before) - start] == before[start:]:
            return min(len(after), len(before) - start) + 1
    return 0


class Impairment(unittest.TestCase):
    def call(self, caller_type, caller_codec, phone_codec, seconds=5, redundant=False, linphone=False, **harm):
        """A call both of whose parties say a tone. `redundant`: the phone's stream may carry what was lost once more."""
        account, rate, phone_type = PHONES[phone_codec]
        with lab.Lab() as the_lab:
            network = impaired.Harmed(the_lab, **harm)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.codec_config(caller_codec, phone_codec))
            audio.write_wav(the_lab.dir / "caller.wav", audio.tone(CALLER_HZ, seconds + 2))
            at_callee, at_caller = Capture(the_lab, "callee", "e0"), Capture(the_lab, "caller", "c0")
            audio.write_wav(the_lab.dir / "phone.wav", audio.tone(PHONE_HZ, seconds + 4))
            if linphone:
                phone = peers.Linphone(the_lab, "callee", phone_codec, the_lab.dir / "phone.wav")
            else:
                phone = peers.Baresip(the_lab, "callee", gateway.CALLEE, account, the_lab.dir / "phone.wav", seconds=seconds + 4, rate=rate)
            peers.speaking_caller(the_lab, "caller", gateway.CALLER, GATEWAY, "expert", caller_type, the_lab.dir / "caller.wav", seconds).wait(60)
            phone.stop()
            drops = {row["reason"]: row["packets"] for row in control.ctl("drops show")["rows"]}
            from_caller, from_phone = network.report("caller"), network.report("callee")
            forth = [p for p in pcap.rtp(at_callee.stop()) if p.source == gateway.INSIDE]
            back = [p for p in pcap.rtp(at_caller.stop()) if p.source == gateway.OUTSIDE]
            for packets, payload_type in ((forth, phone_type), (back, caller_type)):
                self.assertEqual({p.payload_type for p in packets}, {payload_type}, "only what was answered")
                self.assertEqual(len({p.ssrc for p in packets}), 1)
            self.judge_numbers(from_caller, forth, seconds)
            if not redundant:
                self.judge_numbers(from_phone, back, seconds)
            self.assertGreater(len(from_caller["lost"]) + len(from_caller["swapped"]) + len(from_caller["doubled"]), 0, "harm was done")
            late = sum(len(r["passed"]) - len(in_order(r["passed"])) for r in (from_caller, from_phone))
            if late:
                self.assertGreater(drops.get("out_of_sequence", 0), 0)
                self.assertLessEqual(drops["out_of_sequence"], late)
            heard = audio.read_wav(phone.recording())
            self.assertAlmostEqual(audio.dominant_frequency(heard[len(heard) // 4:len(heard) // 2]), CALLER_HZ, delta=5)
            returned = audio.decode(caller_type, b"".join(p.payload for p in back))
            self.assertAlmostEqual(audio.dominant_frequency(returned[len(returned) // 4:len(returned) // 2]), PHONE_HZ, delta=8)

    def judge_numbers(self, told, sent, seconds):
        arrived = in_order(told["passed"])
        numbers = [p.sequence for p in sent]
        self.assertEqual(numbers, in_order(numbers), "what leaves is in order")
        matched = mirrored(arrived, numbers)
        self.assertGreater(matched, seconds * 50 * 0.6, f"came {arrived}, lost {told['lost']}, left {numbers}")
        step = {(b.timestamp - a.timestamp & 0xFFFFFFFF) / (b.sequence - a.sequence & 0xFFFF) for a, b in zip(sent, sent[1:])}
        self.assertEqual(len(step), 1, "the time of what was lost stays unused")

    def test_one_percent_loss_opus(self):
        self.call(0, "PCMU", "opus", seconds=6, redundant=True, loss=0.01)

    def test_five_percent_loss_g722(self):
        self.call(8, "PCMA", "G722", loss=0.05)

    def test_twenty_percent_loss_g722(self):
        self.call(0, "PCMU", "G722", loss=0.2)

    def test_twenty_percent_loss_opus(self):
        self.call(8, "PCMA", "opus", redundant=True, loss=0.2)

    def test_disorder_and_doubles_opus(self):
        self.call(0, "PCMU", "opus", swap=0.05, duplicate=0.05, jitter=15)

    def test_everything_at_once_g722(self):
        self.call(8, "PCMA", "G722", loss=0.05, swap=0.05, duplicate=0.05, jitter=15)

    def test_five_percent_loss_g729(self):
        self.call(0, "PCMU", "G729", linphone=True, loss=0.05)

    def test_disorder_and_loss_g729(self):
        self.call(8, "PCMA", "G729", linphone=True, loss=0.05, swap=0.05, duplicate=0.05, jitter=15)

    def test_five_percent_loss_opus_of_linphone(self):
        self.call(8, "PCMA", "opus", redundant=True, linphone=True, loss=0.05)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
