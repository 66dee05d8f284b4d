#!/usr/bin/env python3
"""Calls between codecs: SIPp says a tone in one, a softphone (baresip, linphonec) hears it in another and answers with a tone of its
own. Judged by what the softphone decoded, and by the packets on the wire."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import library_codecs  # noqa: E402
import pcap  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from capture import Capture  # noqa: E402
from sipp_scenario import callee, sdp  # noqa: E402

GATEWAY = f"{gateway.OUTSIDE}:5060"
# name in the configuration: baresip's account (none: linphonec), its PCM rate, RTP clock, payload type on the wire
PHONES = {"PCMU": ("PCMU/8000/1", 8000, 8000, 0), "G722": ("G722/16000/1", 16000, 8000, 9), "opus": ("opus/48000/2", 48000, 48000, 96), "PCMA": ("PCMA/8000/1", 8000, 8000, 8),
          "GSM": ("GSM/8000/1", 8000, 8000, 3), "G726-32": ("G726-32/8000/1", 8000, 8000, 106), "L16/16000": ("L16/16000/1", 16000, 16000, 109),
          "G729": (None, 8000, 8000, 18), "speex/8000": (None, 8000, 8000, 97), "speex/16000": (None, 16000, 16000, 98)}


class Codecs(unittest.TestCase):
    def caller(self, the_lab, payload_type):
        says = audio.tone(440, 4)
        if payload_type == 18:
            return peers.playing_caller(the_lab, "caller", gateway.CALLER, GATEWAY, "expert", payload_type, library_codecs.encode_g729(says), 3)
        if payload_type != 3:
            return peers.speaking_caller(the_lab, "caller", gateway.CALLER, GATEWAY, "expert", payload_type, the_lab.dir / "tone.wav", 3)
        frames = library_codecs.encode_gsm(says)
        return peers.caller_from_capture(the_lab, "caller", gateway.CALLER, GATEWAY, "expert", 3, [frames[i:i + 33] for i in range(0, len(frames), 33)], 8000, 3)

    def call(self, caller_type, caller_codec, phone_codec):
        account, rate, clock, payload_type = PHONES[phone_codec]
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.codec_config(caller_codec, phone_codec))
            audio.write_wav(the_lab.dir / "tone.wav", audio.tone(440, 4))
            at_callee = Capture(the_lab, "callee", "e0", "udp")
            at_caller = Capture(the_lab, "caller", "c0", "udp")
            if account is None:
                phone = peers.Linphone(the_lab, "callee", phone_codec, the_lab.dir / "tone.wav")
            else:
                phone = peers.Baresip(the_lab, "callee", gateway.CALLEE, account, the_lab.dir / "tone.wav", seconds=8, rate=rate)
            calling = self.caller(the_lab, caller_type)
            lab.wait_for(lambda: [c for c in control.ctl("calls show")["rows"] if c["state"] == "CONNECTED"], 15, "connected")
            codecs = {leg["party"]: leg["codec"] for leg in control.ctl("legs show")["rows"]}
            calling.wait(40)
            phone.stop()
            self.assertEqual(codecs, {"caller": caller_codec, "callee": phone_codec})
            heard = audio.read_wav(phone.recording())
            middle = heard[len(heard) // 4:len(heard) // 2]
            self.assertAlmostEqual(audio.dominant_frequency(middle), 440, delta=5)
            self.assertAlmostEqual(audio.rms(middle), 0.3 / 2**0.5, delta=0.04)
            sent = [p for p in pcap.rtp(at_callee.stop()) if p.source == gateway.INSIDE]
            self.assertGreater(len(sent), 100)
            self.assertEqual({p.payload_type for p in sent}, {payload_type})
            numbers = [p.sequence for p in sent]
            self.assertEqual(numbers, [(numbers[0] + i) & 0xFFFF for i in range(len(numbers))], "one stream without a gap")
            self.assertEqual({(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in zip(sent, sent[1:])}, {clock // 50})
            back = [p for p in pcap.rtp(at_caller.stop()) if p.source == gateway.OUTSIDE]
            self.assertGreater(len(back), 80)
            self.assertEqual({p.payload_type for p in back}, {caller_type})
            decode = {3: library_codecs.decode_gsm, 18: library_codecs.decode_g729}.get(caller_type, lambda payload: audio.decode(caller_type, payload))
            returned = decode(b"".join(p.payload for p in back))
            self.assertAlmostEqual(audio.dominant_frequency(returned[len(returned) // 4:len(returned) // 2]), 440, delta=5)

    def test_pcmu_to_g722(self):
        self.call(0, "PCMU", "G722")

    def test_pcma_to_opus(self):
        self.call(8, "PCMA", "opus")

    def test_pcmu_to_opus(self):
        self.call(0, "PCMU", "opus")

    def test_pcmu_to_narrow_speex(self):
        self.call(0, "PCMU", "speex/8000")

    def test_pcma_to_wide_speex(self):
        self.call(8, "PCMA", "speex/16000")

    def test_pcmu_to_gsm(self):
        self.call(0, "PCMU", "GSM")

    def test_gsm_to_g726(self):
        self.call(3, "GSM", "G726-32")

    def test_gsm_to_wide_l16(self):
        self.call(3, "GSM", "L16/16000")

    def test_g729_to_pcma(self):
        self.call(18, "G729", "PCMA")

    def test_g729_to_opus(self):
        self.call(18, "G729", "opus")

    def test_pcmu_to_g729(self):
        self.call(0, "PCMU", "G729")


class PacketTimes(unittest.TestCase):
    """A softphone (baresip) calls another (linphonec): each asks for packets of its own length, and gets them."""

    def call(self, **parties):
        """parties: caller and callee, each (its codec, its packet time in ms)."""
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.codec_config(parties["caller"][0], parties["callee"][0]))
            wires = {"caller": Capture(the_lab, "caller", "c0", "udp"), "callee": Capture(the_lab, "callee", "e0", "udp")}
            said = {"caller": 440, "callee": 620}
            for party, tone in said.items():
                audio.write_wav(the_lab.dir / f"{party}.wav", audio.tone(tone, 20))
            (caller_codec, caller_ptime), (callee_codec, callee_ptime) = parties["caller"], parties["callee"]
            phones = {"callee": peers.Linphone(the_lab, "callee", callee_codec, the_lab.dir / "callee.wav", ptime=callee_ptime)}
            phones["caller"] = peers.Baresip(the_lab, "caller", gateway.CALLER, PHONES[caller_codec][0], the_lab.dir / "caller.wav", seconds=20, name="caller",
                                             dial=f"sip:expert@{GATEWAY}", rate=PHONES[caller_codec][1], ptime=caller_ptime)
            rows = lambda: {leg["party"]: leg for leg in control.ctl("legs show")["rows"]}  # noqa: E731
            lab.wait_for(lambda: (legs := rows()).keys() == parties.keys() and all(legs[party]["tx_packets"] * ptime > 4000 for party, (_, ptime) in parties.items()), 40,
                         "four seconds to each party")
            for phone in phones.values():
                phone.stop()
            for party, ours, heard_tone in (("caller", gateway.OUTSIDE, said["callee"]), ("callee", gateway.INSIDE, said["caller"])):
                codec, ptime = parties[party]
                _, _, clock, payload_type = PHONES[codec]
                sent = [p for p in pcap.rtp(wires[party].stop()) if p.source == ours]
                self.assertEqual({p.payload_type for p in sent}, {payload_type})
                self.assertEqual({(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in zip(sent, sent[1:])}, {clock * ptime // 1000}, party)
                self.assertEqual({(b.sequence - a.sequence) & 0xFFFF for a, b in zip(sent, sent[1:])}, {1}, party)
                heard = audio.read_wav(phones[party].recording())
                middle = heard[len(heard) // 4:len(heard) // 2]
                self.assertAlmostEqual(audio.dominant_frequency(middle), heard_tone, delta=5)
                self.assertAlmostEqual(audio.rms(middle), 0.3 / 2**0.5, delta=0.04)

    def test_g722_of_30_ms_to_opus_of_40(self):
        self.call(caller=("G722", 30), callee=("opus", 40))

    @unittest.skipIf(lab.SLOW > 1, "frames of 60 ms have to be made in time")
    def test_opus_of_60_ms_to_wide_speex_of_20(self):
        self.call(caller=("opus", 60), callee=("speex/16000", 20))

    def test_pcmu_of_40_ms_to_pcma_of_10(self):
        self.call(caller=("PCMU", 40), callee=("PCMA", 10))


class Answers(unittest.TestCase):
    """Callees (SIPp) whose answers are as RFC 3264 allows and few phones write them."""

    def call(self, callee_codecs, steps, body, types, payload_type, payloads, step):
        """Speech of both sides; returns what each was sent, the records, and the bodies of our INVITEs."""
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.basic_config(**{"[route]": gateway.expert_route(("PCMU",), callee_codecs)}))
            (the_lab.dir / "says.pcap").write_bytes(pcap.rtp_capture(payload_type, payloads, step))
            audio.write_wav(the_lab.dir / "tone.wav", audio.tone(440, 4))
            wires = {party: Capture(the_lab, party, interface, "udp") for party, interface in (("caller", "c0"), ("callee", "e0"))}
            scenario = callee("expect INVITE", "answer", "expect ACK", *steps, "play says.pcap", "expect BYE", "ok", types=types, body=body)
            answering = peers.Sipp(the_lab, "callee", scenario, f"{gateway.CALLEE}:5060", "-m", "1", "-timeout", "40", name="callee")
            peers.speaking_caller(the_lab, "caller", gateway.CALLER, GATEWAY, "expert", 0, the_lab.dir / "tone.wav", 3).wait(40)
            answering.wait(20)
            drops = {row["reason"] for row in control.ctl("drops show")["rows"] if row["packets"]}
            packets = {party: wire.stop() for party, wire in wires.items()}
            self.assertNotIn("unexpected_payload_type", drops)
            invites = [p.payload for p in packets["callee"] if p.payload.startswith(b"INVITE") and p.source == gateway.INSIDE]
            return ([p for p in pcap.rtp(packets["caller"]) if p.source == gateway.OUTSIDE], [p for p in pcap.rtp(packets["callee"]) if p.source == gateway.INSIDE], invites)

    def test_with_a_payload_type_of_its_own(self):
        """We offer Opus as 96; the callee wants it as 110, and sends it as 96 (RFC 3264 section 6.1)."""
        body = sdp((110,), port="[media_port]", names={110: "opus/48000/2"})
        to_caller, to_callee, _ = self.call(("opus",), (), body, (96,), 96, [b"\x08" + bytes(range(40))] * 120, 960)
        self.assertGreater(len(to_caller), 100)
        self.assertEqual({p.payload_type for p in to_callee}, {110})

    def test_with_two_codecs_is_followed_by_an_offer_of_one(self):
        steps = ("expect INVITE", "answer_again sendrecv", "expect ACK")
        says = audio.encode(8, audio.tone(620, 3))
        to_caller, to_callee, invites = self.call(("PCMA", "PCMU"), steps, sdp((8, 0), port="[media_port]"), (8,), 8, [says[i:i + 160] for i in range(0, len(says), 160)], 160)
        self.assertEqual({p.payload_type for p in to_callee}, {8})
        heard = audio.decode(0, b"".join(p.payload for p in to_caller))
        self.assertAlmostEqual(audio.dominant_frequency(heard[len(heard) // 4:len(heard) // 2]), 620, delta=5)
        formats = [next(line for line in invite.split(b"\r\n") if line.startswith(b"m=audio")).split()[3:] for invite in invites]
        self.assertEqual(formats, [[b"8", b"0"], [b"8"]])


if __name__ == "__main__":
    lab.isolate()
    tap.main()
