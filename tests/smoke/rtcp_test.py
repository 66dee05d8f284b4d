#!/usr/bin/env python3
"""RTCP between two softphones (baresip) with the gateway in the middle, relayed and made by it, on ports of its own and on those of the
streams. Judged by tshark, and by what the gateway knows of each leg in the end."""
import pathlib
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

FIELDS = ("ip.src", "rtcp.pt", "rtcp.senderssrc", "rtcp.ssrc.identifier", "rtcp.sdes.text", "_ws.malformed")


class Rtcp(unittest.TestCase):
    def reports(self, capture, path, phone_port, rtcp_port):
        """What tshark reads on the RTCP port of a phone: [(from the gateway, {field: values})], and the SSRCs of RTP both ways."""
        out = lab.run("tshark", "-r", path, "-d", f"udp.port=={rtcp_port},{'rtp' if rtcp_port == phone_port else 'rtcp'}",
                      "-Y", f"rtcp && udp.port=={rtcp_port} && !icmp", "-T", "fields",
                      *(part for field in FIELDS for part in ("-e", field)), "-E", "separator=|", timeout=60).stdout
        rows = [dict(zip(FIELDS, (value.split(",") if value else [] for value in line.split("|")))) for line in out.splitlines()]
        streams = {True: set(), False: set()}
        for p in pcap.rtp(capture):
            if phone_port in (p.sport, p.dport) and p.payload_type < 128:
                streams[p.dport == phone_port].add(f"0x{p.ssrc:08x}")
        return rows, streams

    def call(self, phone_codec, account, rate, mux=False):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            gateway.Dataplane(the_lab)
            control = gateway.ControlPlane(the_lab, gateway.codec_config("PCMU", phone_codec))
            audio.write_wav(the_lab.dir / "tone.wav", audio.tone(440, 30))
            wire = Capture(the_lab, "callee", "e0", "udp")
            callee = peers.Baresip(the_lab, "callee", gateway.CALLEE, account, the_lab.dir / "tone.wav", seconds=40, name="callee", rate=rate,
                                   extra=("rtcp_mux yes",) if mux else ())
            caller = peers.Baresip(the_lab, "caller", gateway.CALLER, "PCMU", the_lab.dir / "tone.wav", seconds=40, name="caller",
                                   dial=f"sip:expert@{gateway.OUTSIDE}")
            rows = lambda: {leg["party"]: leg for leg in control.ctl("legs show")["rows"]}  # noqa: E731
            # A round trip is known once a phone has answered a sender report: two reports of baresip's, five seconds apart.
            legs = lab.wait_for(lambda: (r := rows()) and len(r) == 2 and all(leg["rtt_ms"] is not None and leg["tx_rtcp"] > 1 for leg in r.values()) and r, 40,
                                "both round trips are known", 0.5)
            for party, other in (("caller", "callee"), ("callee", "caller")):
                # No measurement: a machine that stands still for a second makes a round trip of one, and 1000 / 16 ms of jitter.
                self.assertLess(legs[party]["rtt_ms"], 1000)
                self.assertLess(legs[party]["jitter_ms"], 100)
                self.assertLessEqual(legs[party]["remote_lost"], legs[other]["lost"] + legs[other]["dropped"], legs)
            phone_port = int(legs["callee"]["remote"].rsplit(":", 1)[1])
            caller.stop()
            callee.stop()
            capture = wire.stop()
            reports, streams = self.reports(capture, wire.path, phone_port, phone_port if mux else phone_port + 1)
            self.assertEqual(any(phone_port + 1 in (p.sport, p.dport) for p in capture), not mux)
            ours = [r for r in reports if r["ip.src"] == [gateway.INSIDE]]
            self.assertGreaterEqual(len(ours), 2)
            self.assertEqual((len(streams[True]), len(streams[False])), (1, 1), "one stream each way")
            for report in reports:
                self.assertEqual(report["_ws.malformed"], [])
            for report in ours:
                self.assertEqual(set(report["rtcp.senderssrc"]), streams[True], "the sender is the stream that is heard")
                blocks = set(report["rtcp.ssrc.identifier"]) - streams[True]  # the names have the sender's
                self.assertLessEqual(blocks, streams[False], "and it reports on the phone's own")
                self.assertIn("202", report["rtcp.pt"])
                self.assertNotIn("expert", " ".join(report["rtcp.sdes.text"]))
            self.assertTrue(any("200" in report["rtcp.pt"] for report in ours), "sender reports")
            self.assertTrue(any(streams[False] <= set(report["rtcp.ssrc.identifier"]) for report in ours), "with a report block")

    def test_relayed(self):
        self.call("PCMU", "PCMU", audio.RATE)

    def test_made_where_streams_are_transcoded(self):
        self.call("opus", "opus/48000/2", 48000)

    def test_on_the_port_of_the_stream_where_both_multiplex(self):
        """RFC 5761: the callee multiplexes, the caller of the same call does not."""
        self.call("PCMU", "PCMU", audio.RATE, mux=True)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
