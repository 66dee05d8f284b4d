#!/usr/bin/env python3
"""Two workers, one of them set apart for heavy codecs: a call that turns out to be one moves there when it is answered, and its
packets with it; relays stay. And more workers than the kernel's interfaces have queues. The parties are SIPp and baresip."""
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import pcap  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from capture import Capture  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

GATEWAY = f"{gateway.OUTSIDE}:5060"
RELAYED, HEAVY = "relayed", "heavy"
PHONES = {RELAYED: ("10.2.0.10", "PCMU/8000/1", 8000), HEAVY: ("10.2.0.11", "opus/48000/2", 48000)}
CALLERS = {RELAYED: "10.1.0.10", HEAVY: "10.1.0.11"}
SET_APART = {"media": "heavy_workers = [1]"}


def route(name):
    """Both calls look alike until the phone answers."""
    return (f'id = "{name}"\nuser = "{name}"\ntarget = "sip:expert@{PHONES[name][0]}:5060"\nlocal = "{gateway.INSIDE}:5060"\n'
            'caller_codecs = ["PCMU"]\ncallee_codecs = ["opus", "PCMU"]')


class Workers(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        gateway.Network(self.lab)
        for number in (10, 11):
            self.lab.address("caller", "c0", f"10.1.0.{number}/24")
            self.lab.address("callee", "e0", f"10.2.0.{number}/24")

    def test_a_call_that_turns_out_heavy_moves_and_a_relay_stays(self):
        gateway.Dataplane(self.lab, "--workers", "2", queues=2)
        control = gateway.ControlPlane(self.lab, gateway.basic_config(**SET_APART, **{"[route]": route(RELAYED) + "\n[[route]]\n" + route(HEAVY)}))
        audio.write_wav(self.lab.dir / "tone.wav", audio.tone(440, 5))
        at_callee, at_caller = Capture(self.lab, "callee", "e0", "udp"), Capture(self.lab, "caller", "c0", "udp")
        phones = {name: peers.Baresip(self.lab, "callee", address, account, self.lab.dir / "tone.wav", seconds=9, rate=rate, name=name)
                  for name, (address, account, rate) in PHONES.items()}
        calling = [peers.speaking_caller(self.lab, "caller", address, GATEWAY, name, 0, self.lab.dir / "tone.wav", 4) for name, address in CALLERS.items()]
        lab.wait_for(lambda: [c["state"] for c in control.ctl("calls show")["rows"]] == ["CONNECTED"] * 2, 20, "both connected")
        calls = {c["route"]: c for c in control.ctl("calls show")["rows"]}
        legs = {(leg["call"], leg["party"]): leg for leg in control.ctl("legs show")["rows"]}
        for process in calling:
            process.wait(40)
        pairs = {(row["worker"], row["from"], row["to"]): row["count"] for row in control.ctl("core show", pairs=True)["rows"]}
        workers = control.ctl("core show")["rows"]
        costs = {(row["worker"], row["from"], row["to"]): (row["start_ns"], row["now_ns"]) for row in control.ctl("core show", costs=True)["rows"]}
        for phone in phones.values():
            phone.stop()
        lab.wait_for(lambda: not control.ctl("legs show")["rows"], 15, "no leg is left")

        self.assertEqual({name: call["worker"] for name, call in calls.items()}, {RELAYED: 0, HEAVY: 1})
        self.assertEqual([worker["carries"] for worker in workers], ["light", "heavy"])
        self.assertEqual([(r["details"]["from"], r["details"]["to"]) for r in control.records() if r["event"] == "MEDIA_MOVED"], [("0", "1")])
        # Media ports belong to workers in turn: the callee's was told before the codec was known, and is worker 0's.
        phone_leg = legs[calls[HEAVY]["call"], "callee"]
        self.assertTrue(phone_leg["media_leg"].startswith("1:"), phone_leg)
        self.assertEqual((int(phone_leg["local"].split(":")[1]) - 16384) // 2 % 2, 0)
        self.assertEqual({key for key in pairs}, {(0, "PCMU", "PCMU"), (1, "PCMU", "opus"), (1, "opus", "PCMU")})
        heavy = pairs[1, "PCMU", "opus"] + pairs[1, "opus", "PCMU"]
        self.assertGreater(heavy, 200)
        self.assertGreaterEqual(workers[0]["handed_over"], heavy, "every packet of the heavy call came by way of worker 0")
        self.assertGreaterEqual(workers[1]["taken_over"], heavy)
        self.assertEqual({row["reason"] for row in control.ctl("drops show")["rows"]} & {"handover_full", "no_next_hop"}, set())

        start, now = costs[1, "PCMU", "opus"]
        self.assertTrue(start / 4 <= now <= start * 4, (start, now))
        self.assertIsNone(costs[0, "PCMU", "opus"][1], "worker 0 encoded nothing")

        heard = audio.read_wav(phones[HEAVY].recording())
        middle = heard[len(heard) // 4:len(heard) // 2]
        self.assertAlmostEqual(audio.dominant_frequency(middle), 440, delta=5)
        self.assertAlmostEqual(audio.rms(middle), 0.3 / 2**0.5, delta=0.04)
        forth, back = pcap.rtp(at_callee.stop()), pcap.rtp(at_caller.stop())
        for name, step in ((RELAYED, 160), (HEAVY, 960)):
            port = int(legs[calls[name]["call"], "callee"]["local"].split(":")[1])
            sent = [p for p in forth if p.source == gateway.INSIDE and p.sport == port]
            self.one_stream(sent, step)
            self.one_stream([p for p in back if p.destination == CALLERS[name]], 160)

    def test_a_running_call_moves_when_it_is_negotiated_anew(self):
        """From PCMU, which is relayed, to Opus. What the caller hears stays one stream."""
        gateway.Dataplane(self.lab, "--workers", "2", queues=2)
        control = gateway.ControlPlane(self.lab, gateway.basic_config(**SET_APART, **{"[route]": route(RELAYED).replace('caller_codecs = ["PCMU"]', 'caller_codecs = ["PCMU", "opus"]')}))
        (self.lab.dir / "says.raw").write_bytes(audio.encode(0, audio.tone(440, 10)))
        answering = callee("expect INVITE", "answer", "expect ACK", "speak says.raw 0", "expect BYE", "ok", types=(0,))
        phone = peers.Sipp(self.lab, "callee", answering, f"{PHONES[RELAYED][0]}:5060", "-m", "1", "-timeout", "60", name="phone")
        at_caller = Capture(self.lab, "caller", "c0", "udp")
        calling = self.dial(RELAYED, 5060, "recv 200", "ack", "pause 3000", "reinvite sendrecv 96", "recv? 100", "recv 200", "ack", "pause 3000", "bye", "recv 200")
        worker = lambda: [c["worker"] for c in control.ctl("calls show")["rows"] if c["state"] == "CONNECTED"]  # noqa: E731
        lab.wait_for(lambda: worker() == [0], 20, "connected, on the light worker")
        lab.wait_for(lambda: worker() == [1], 20, "moved to the heavy worker")
        calling.wait(30)
        phone.wait(30)
        lab.wait_for(lambda: not control.ctl("legs show")["rows"], 15, "no leg is left")
        self.assertEqual([(r["details"]["from"], r["details"]["to"]) for r in control.records() if r["event"] == "MEDIA_MOVED"], [("0", "1")])
        heard = [p for p in pcap.rtp(at_caller.stop()) if p.destination == gateway.CALLER]
        before, after = [p for p in heard if p.payload_type == 0], [p for p in heard if p.payload_type == 96]
        self.assertEqual(before + after, heard, "no payload that the answer did not accept, and no way back")
        self.one_stream(before, 160)
        self.one_stream(after, 960)
        self.assertEqual(after[0].ssrc, before[0].ssrc)
        self.assertEqual(after[0].sequence, (before[-1].sequence + 1) & 0xFFFF, "one stream")
        self.assertEqual(sum(w["booked_percent"] for w in control.ctl("core show")["rows"]), 0)

    def one_stream(self, packets, step):
        self.assertGreater(len(packets), 100)
        self.assertEqual(len({p.ssrc for p in packets}), 1)
        numbers = [p.sequence for p in packets]
        self.assertEqual(numbers, [(numbers[0] + i) & 0xFFFF for i in range(len(numbers))], "a gap")
        self.assertEqual({(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in zip(packets, packets[1:])}, {step})

    def test_when_the_heavy_worker_is_full_a_heavy_call_is_503_and_relays_go_on(self):
        """By the declared costs a call between PCMU and Opus takes 0.56 % of a worker, so of 1 % one has room."""
        gateway.Dataplane(self.lab, "--workers", "2", "--max-load", "1", "--no-measure", queues=2)
        control = gateway.ControlPlane(self.lab, gateway.basic_config(**SET_APART, **{"[route]": route(RELAYED) + "\n[[route]]\n" + route(HEAVY)}))
        first_phone, first = self.phone(HEAVY, 96), self.dial(HEAVY, 5060, "recv 200", "ack", "expect BYE", "ok")
        row = lab.wait_for(lambda: next((c for c in control.ctl("calls show")["rows"] if c["state"] == "CONNECTED"), None), 20, "connected")
        self.assertEqual(row["worker"], 1)
        booked = [worker["booked_percent"] for worker in control.ctl("core show")["rows"]]
        self.assertEqual(booked[0], 0)
        self.assertTrue(0.5 < booked[1] < 0.6, booked)
        # Its phone rings, for it might choose what is relayed.
        second_phone = self.phone(RELAYED, 96)
        self.dial(RELAYED, 5062, "recv? 180", "recv 503", "ack_failure").wait(30)
        second_phone.wait(30)
        refused = next(r for r in control.records() if r["event"] == "BRIDGE_ERROR")
        self.assertEqual((refused["details"]["status"], refused["details"]["rule"]), ("503", "no-headroom"))
        self.assertEqual(refused["details"]["observed"], "worker 1 has no time left for these codecs")
        third_phone = self.phone(RELAYED, 0)
        self.dial(RELAYED, 5064, "recv 200", "ack", "pause 200", "bye", "recv 200").wait(30)
        third_phone.wait(30)
        control.ctl("calls kill", call=row["call"])
        first.wait(20)
        first_phone.wait(20)
        lab.wait_for(lambda: not control.ctl("legs show")["rows"], 15, "no leg is left")
        self.assertEqual(sum(worker["booked_percent"] for worker in control.ctl("core show")["rows"]), 0)

    def test_more_workers_than_the_kernels_interfaces_have_queues(self):
        """What comes from the kernel goes to the first four, each its own; all send to it: pings, and calls over TCP."""
        workers = 6
        gateway.Dataplane(self.lab, "--workers", str(workers), "--no-measure", queues=workers)
        control = gateway.ControlPlane(self.lab, gateway.basic_config(**{"[pike.exempt]": f'prefix = "{gateway.CALLER}/32"'}))
        state = control.ctl("status")["dataplane"]
        # Rings of 1024 each way: 6 queues of two ports, 4 of their interfaces.
        self.assertGreater(state["buffers"], (6 + 4) * 2 * 2 * 1024)
        self.assertLess(state["buffers_in_use"], state["buffers"] // 2)
        self.lab.run_in("caller", "ping", "-c", "2", "-i", "0.2", gateway.OUTSIDE)  # addresses are learned
        polls = lambda: [row["polls"] for row in control.ctl("core show")["rows"]]  # noqa: E731
        before, pings = polls(), 200
        answer = self.lab.run_in("caller", "ping", "-c", str(pings), "-i", "0.01", gateway.OUTSIDE).stdout
        self.assertEqual(re.search(r"(\d+) received", answer)[1], str(pings), answer)
        looked = sorted(now - then for then, now in zip(before, polls()))
        self.assertLess(looked[-1], 15 * looked[0], "one that was woken for what it cannot read would look without end")
        calls = 12
        steps = callee("expect INVITE", "answer", "expect ACK", "expect BYE", "ok")
        served = peers.Sipp(self.lab, "callee", steps, f"{gateway.CALLEE}:5060", "-m", calls, "-timeout", "60", name="served")
        dialled = caller("invite", "recv? 100", "recv 200", "ack", "pause 300", "bye", "recv 200")
        # Every call has a connection of its own, and so ports that lead to one worker or another.
        peers.Sipp(self.lab, "caller", dialled, f"{gateway.CALLER}:5070", "-m", calls, "-r", "6", "-s", "expert", "-timeout", "60", "-t", "tn", "-max_socket", calls + 2, target=GATEWAY,
                   name="over-tcp").wait(60)
        served.wait(30)
        self.assertNotIn("tx_queue_full", {row["reason"] for row in control.ctl("drops show")["rows"]})
        self.assertGreater(sum(row["rx_packets"] > 0 for row in control.ctl("core show")["rows"]), 2, "the wire's packets are spread")

    def phone(self, name, payload_type):
        answer = callee("expect INVITE", "answer", "expect ACK", "expect BYE", "ok", types=(payload_type,))
        return peers.Sipp(self.lab, "callee", answer, f"{PHONES[name][0]}:5060", "-m", "1", "-timeout", "60", name="phone")

    def dial(self, user, port, *steps):
        return peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", *steps), f"{gateway.CALLER}:{port}", "-m", "1", "-s", user, "-timeout", "60", target=GATEWAY, name="caller")


if __name__ == "__main__":
    lab.isolate()
    tap.main()
