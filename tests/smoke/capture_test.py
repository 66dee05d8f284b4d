#!/usr/bin/env python3
"""`ifgw capture` while parties that are not ours talk, judged by tshark and capinfos, by tcpdump at the other end of the wire, and by
what the gateway itself counted."""
import json
import pathlib
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import tap  # noqa: E402
from capture import Capture  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

LIMIT = 30  # requests in 10 s: the default
FLOODER = "10.1.0.9"
SPEECH = b"nobody but the parties may read this; "
UNLIMITED = {"[pike.exempt]": f'prefix = "{gateway.CALLER}/32"\n[[pike.exempt]]\nprefix = "{gateway.CALLEE}/32"'}
# Whom "wideband" calls is spoken to in G.722, so that the gateway transcodes; all others in PCMA.
ROUTES = "\n[[route]]\n".join([gateway.EXPERT_ROUTE.replace('"expert"', '"wideband"').replace('user = "*"', 'user = "wideband"')
                                .replace('callee_codecs = ["PCMA", "PCMU"]', 'callee_codecs = ["G722"]'), gateway.EXPERT_ROUTE])


class Base(unittest.TestCase):
    POLICY, OPTIONS, QUEUES = None, (), 1

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab)
        cls.lab.address("caller", "c0", *(f"10.1.0.{n}/24" for n in range(9, 15)))
        gateway.Dataplane(cls.lab, *cls.OPTIONS, queues=cls.QUEUES)
        cls.control = gateway.ControlPlane(cls.lab, gateway.basic_config(**UNLIMITED, capture=cls.POLICY, **{"[route]": ROUTES}))

    def tearDown(self):
        for process in self.lab.processes:
            if process.name.startswith("test_"):
                process.stop()
        events = lambda: [r["event"] for r in self.control.records()]  # noqa: E731
        if self.control.process.running():
            lab.wait_for(lambda: events().count("CAPTURE_ENDED") == events().count("CAPTURE_STARTED") - self.without_end, 10, "no capture is left")

    without_end = 0  # captures of control planes that were killed

    def flood(self, source, rate, seconds):
        name = f"flood-{len(self.lab.processes)}"
        return peers.Flood(self.lab, "caller", source, gateway.OUTSIDE, rate, seconds, name=name).result()

    def capture(self, *args):
        """The command line, under way; its file is `.file`."""
        name = f"{self.id().rsplit('.', 1)[-1]}-{len(self.lab.processes)}"
        file = self.lab.dir / f"{name}.pcapng"
        before = len(self.started())
        process = self.lab.start(name, [self.control.build / "tools/ifgw/ifgw", "-s", self.control.SOCKET, "capture", "-j", "-o", file, *args])
        process.file = file
        lab.wait_for(lambda: len(self.started()) > before and file.stat().st_size or not process.running(), 10, "the capture has begun")
        self.assertTrue(process.running() or "--seconds" in args, process.output())
        return process

    def started(self):
        return [r for r in self.control.records() if r["event"] == "CAPTURE_STARTED"]

    def ended(self, process, seconds=30):
        """Its summary, once it has ended well; capinfos and the witness must agree with it."""
        self.assertEqual(process.wait(seconds), 0, process.output())
        summary = json.loads(process.output())
        self.assertEqual(process.file.stat().st_size, summary["bytes"])
        about = lab.run("capinfos", "-M", process.file).stdout
        self.assertEqual(int(re.search(r"Number of packets:\s+(\d+)", about)[1]), summary["packets"], about)
        self.assertIn("Capture application: ifgw", about)
        record = [r for r in self.control.records() if r["event"] == "CAPTURE_ENDED"][-1]["details"]
        self.assertEqual((record["rule"], record["packets"], record["bytes"]), (summary["end"], str(summary["packets"]), str(summary["bytes"])))
        return summary

    @staticmethod
    def fields(file, *names, show="frame"):
        """What tshark reads: a list of texts per packet."""
        out = lab.run("tshark", "-r", file, "-o", "rtp.heuristic_rtp:TRUE", "-Y", show, "-T", "fields", "-E", "separator=|", *(part for n in names for part in ("-e", n)),
                      timeout=60).stdout
        return [line.split("|") for line in out.splitlines()]

    def talk(self, seconds=2, user="expert", callee_type=8):
        """A call whose callee rings for a while; returns its legs while it does."""
        (self.lab.dir / "speech.raw").write_bytes((SPEECH * 200)[:160 * 40])
        served = peers.Sipp(self.lab, "callee", callee("expect INVITE", "status 180 Ringing", "pause 3000", "answer", "expect ACK", f"speak speech.raw {callee_type}", "expect BYE", "ok", types=(callee_type,)),
                            f"{gateway.CALLEE}:5060", "-m", "1", "-timeout", "40", name="callee")
        dialled = peers.Sipp(self.lab, "caller", caller("invite", "recv? 100", "recv? 180", "recv 200", "ack", "speak speech.raw 0", "pause", "hush", "bye", "recv 200"),
                             f"{gateway.CALLER}:5060", "-m", "1", "-s", user, "-d", int(seconds * 1000), "-timeout", "40", target=f"{gateway.OUTSIDE}:5060", name="caller")
        legs = lambda: {row["party"]: row for row in self.control.ctl("legs show")["rows"]}  # noqa: E731
        self.legs = lab.wait_for(lambda: len(legs()) == 2 and legs(), 20, "both legs are there")
        self.parties = (served, dialled)
        return self.legs

    def hang_up(self):
        for party in self.parties:
            party.wait(40)
        return next(r for r in reversed(self.control.records()) if r["event"] == "TERMINATED")

    def leg_as_counted_and_as_on_the_wire(self, **call):
        wire = Capture(self.lab, "callee", "e0", "udp portrange 10000-40000")
        leg = self.talk(**call)["callee"]["media_leg"]
        process = self.capture("--leg", leg, "--seconds", "30")
        call = self.hang_up()
        summary = self.ended(process)
        on_wire = wire.stop()
        self.assertEqual((summary["end"], summary["payload"], summary["lost_ring"], summary["lost_reader"]), ("leg-gone", "full", 0, 0))
        self.assertEqual(self.started()[-1]["trace_id"], call["trace_id"])
        rtp = self.fields(process.file, "frame.packet_flags_direction", "ip.src", "frame.cap_len", "frame.len", "frame.comment", show="rtp")
        received = [row for row in rtp if row[0] in ("1", "0x00000001")]
        sent = [row for row in rtp if row[0] in ("2", "0x00000002")]
        # One of each may come between the record of the call's end and that of its leg.
        for frames, counted in ((received, "callee_rx_packets"), (sent, "callee_tx_packets")):
            self.assertIn(len(frames) - int(call["details"][counted]), (0, 1), counted)
        self.assertGreater(min(len(received), len(sent)), 80, "two seconds both ways")
        self.assertEqual({row[1] for row in received}, {gateway.CALLEE})
        self.assertEqual({row[1] for row in sent}, {gateway.INSIDE})
        self.assertTrue(all(row[2] == row[3] for row in rtp), "whole packets")
        self.assertTrue(all(row[4].startswith(f"leg {leg}") for row in rtp))
        self.assertEqual(self.fields(process.file, "frame.number", show="_ws.malformed"), [])
        seen = self.fields(process.file, "ip.src", "udp.payload", show="udp")
        ours, theirs = ([row[1] for row in seen if (row[0] == gateway.INSIDE) == mine] for mine in (True, False))
        self.assertEqual(ours, [p.payload.hex() for p in on_wire if p.source == gateway.INSIDE], "byte for byte what was on the wire")
        self.assertEqual(theirs, [p.payload.hex() for p in on_wire if p.source == gateway.CALLEE][:len(theirs)], "which goes on when the leg is gone")
        times = [float(row[0]) for row in self.fields(process.file, "frame.time_epoch")]
        self.assertEqual(times, sorted(times))
        said = [float(row[0]) for row in self.fields(process.file, "frame.time_epoch", show=f"udp && ip.src == {gateway.INSIDE}")]
        apart = sorted(abs(at - p.time_ns / 1e9) for at, p in zip(said, (p for p in on_wire if p.source == gateway.INSIDE)))
        self.assertLess(apart[len(apart) // 2], 0.05, "seconds between our clock and that of the other end")


class Whole(Base):
    POLICY = 'payload = "full"'

    def test_a_leg_as_it_is_counted_and_as_it_is_on_the_wire(self):
        self.leg_as_counted_and_as_on_the_wire()

    def test_a_leg_whose_stream_the_gateway_makes(self):
        self.leg_as_counted_and_as_on_the_wire(user="wideband", callee_type=9)

    def test_a_flood_by_its_source_with_the_reason_of_each_drop(self):
        process = self.capture("--source", FLOODER)
        sent = self.flood(FLOODER, 400, 1)
        self.assertEqual(sent["answered"], LIMIT)
        process.popen.send_signal(signal.SIGINT)
        summary = self.ended(process)
        self.assertEqual(summary["end"], "stopped")
        rows = self.fields(process.file, "ip.src", "frame.comment", show="sip")
        comments = [row[1] for row in rows if row[0] == FLOODER]
        self.assertEqual((len(comments), comments.count("")), (sent["sent"], LIMIT))
        self.assertTrue(all(c == "" or c.startswith("dropped: source_limited: source spent its request budget") for c in comments))
        self.assertEqual(sum(row[0] == gateway.OUTSIDE for row in rows), LIMIT, "and the answers")

    def test_media_without_a_leg_says_so(self):
        process = self.capture("--source", "10.1.0.10/31")
        self.lab.run_in("caller", gateway.PYTHON, "-c",
                        f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.1.0.11', 9)); [s.sendto(bytes([128] * 50), ('{gateway.OUTSIDE}', 20000)) for _ in range(5)]")
        lab.wait_for(lambda: process.file.stat().st_size > 1000, 10, "packets in the file")
        process.popen.send_signal(signal.SIGINT)
        self.ended(process)
        comments = [row[0] for row in self.fields(process.file, "frame.comment", show="udp.dstport == 20000")]
        self.assertEqual(len(comments), 5)
        self.assertTrue(all(c.startswith("dropped: unknown_media_port") for c in comments), comments)

    def test_it_ends_at_its_bounds(self):
        began = time.monotonic()
        self.assertEqual(self.ended(self.capture("--source", FLOODER, "--seconds", "1"))["end"], "time")
        self.assertLess(time.monotonic() - began, 8)
        process = self.capture("--source", "10.1.0.12", "--bytes", "64K")
        self.flood("10.1.0.12", 800, 1)
        summary = self.ended(process)
        self.assertEqual(summary["end"], "bytes")
        self.assertTrue(60_000 < summary["bytes"] <= 65536, summary)

    def test_one_at_a_time_and_who_has_it(self):
        process = self.capture("--source", FLOODER)
        second = self.control.cli("capture", "--source", "10.1.0.12", "-o", self.lab.dir / "second.pcapng")
        self.assertEqual(second.returncode, 1)
        self.assertFalse(self.lab.dir.joinpath("second.pcapng").exists())
        self.assertRegex(second.stderr, rf"uid 0 \(pid \d+\) captures source {FLOODER}/32")
        process.popen.kill()  # nobody reads any longer
        lab.wait_for(lambda: self.control.records()[-1]["event"] == "CAPTURE_ENDED", 10, "the capture ends with its reader")
        self.assertEqual(self.control.records()[-1]["details"]["rule"], "reader-gone")
        third = self.capture("--source", FLOODER)
        third.popen.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(third)["end"], "stopped")

    def test_a_reader_that_stands_still_loses_packets_and_is_told(self):
        process = self.capture("--source", "10.1.0.13", "--bytes", "50M")
        process.popen.send_signal(signal.SIGSTOP)
        for _ in range(2):
            self.flood("10.1.0.13", 2000, 2)
        process.popen.send_signal(signal.SIGCONT)
        lab.wait_for(lambda: process.file.stat().st_size > 1 << 19, 10, "it reads again")
        self.control.ctl("pike unblock", source="10.1.0.13")
        self.assertGreater(self.flood("10.1.0.13", 100, 1)["answered"], 0, "the gateway was not held up")
        process.popen.send_signal(signal.SIGINT)
        summary = self.ended(process)
        self.assertGreater(summary["lost_reader"], 0)
        raw = process.file.read_bytes()
        lost = sum(int.from_bytes(raw[m.start() + 4:m.start() + 12], "little") for m in re.finditer(rb"\x04\x00\x08\x00", raw) if m.start() % 4 == 0)
        self.assertEqual(lost, summary["lost_reader"] + summary["lost_ring"], "epb_dropcount of the packets after the gaps")

    def test_mistakes_are_told(self):
        out = self.lab.dir / "none.pcapng"
        for args, code, words in ((("--leg", "0:1:77"), 1, "no leg 0:1:77"), (("--leg", "seven"), 2, "ifgw legs show"), ((), 2, ""),
                                  (("--leg", "0:1:2", "--source", FLOODER), 2, ""), (("--source", "10.1.0.9/24"), 2, "host bits zero"),
                                  (("--source", FLOODER, "--seconds", "3601"), 2, ""), (("--source", FLOODER, "--bytes", "2G"), 2, "max_bytes"),
                                  (("--source", FLOODER, "--bytes", "ten"), 2, "no size")):
            done = self.control.cli("capture", "-o", out, *args)
            self.assertEqual(done.returncode, code, (args, done.stderr))
            self.assertIn(words, done.stderr)
        self.assertEqual(self.control.cli("capture", "--source", FLOODER, "-o", "/proc/none").returncode, 1)
        out.write_text("precious")
        self.assertEqual(self.control.cli("capture", "--leg", "0:1:77", "-o", out).returncode, 1)
        self.assertEqual(out.read_text(), "precious", "what was there stays when there is nothing to write")
        whole = self.control.cli("capture", "--source", FLOODER, "--seconds", "1", "-o", out)
        self.assertEqual((whole.returncode, out.read_bytes()[:4]), (0, b"\x0a\x0d\x0d\x0a"))
        self.assertRegex(whole.stderr, r"0 packets, 0 lost, \d+ bytes in .*; whole packets; ended: time")
        piped = lab.run("sh", "-c", f"{self.control.build}/tools/ifgw/ifgw -s {self.control.SOCKET} capture --source {FLOODER} --seconds 1 2>/dev/null | capinfos -M -")
        self.assertIn("pcapng", piped.stdout)


class HeadersByDefault(Base):
    def test_nothing_that_was_said_is_in_the_file(self):
        leg = self.talk()["caller"]["media_leg"]
        process = self.capture("--leg", leg)
        self.hang_up()
        self.assertEqual(self.ended(process)["payload"], "headers")
        rtp = self.fields(process.file, "frame.cap_len", "frame.len", "rtp.ssrc", show="rtp")
        self.assertGreater(len(rtp), 80)
        self.assertEqual({(row[0], row[1]) for row in rtp}, {("54", "214")})
        self.assertNotIn(SPEECH[:10], process.file.read_bytes())
        process = self.capture("--source", FLOODER)
        self.flood(FLOODER, 100, 0.5)
        process.popen.send_signal(signal.SIGINT)
        self.ended(process)
        self.assertEqual({row[0] for row in self.fields(process.file, "frame.cap_len")}, {"42"})
        self.assertNotIn(b"OPTIONS", process.file.read_bytes())

    def test_what_a_gateway_that_dies_leaves_is_a_file(self):
        process = self.capture("--source", "10.1.0.14")
        self.flood("10.1.0.14", 100, 0.5)
        self.control.process.stop(signal.SIGKILL)
        type(self).without_end = 1
        self.assertEqual(process.wait(10), 1)
        self.assertIn("closed the connection", process.output())
        self.assertGreater(len(self.fields(process.file, "frame.number")), 50)
        self.control.start()
        again = self.capture("--source", "10.1.0.14", "--seconds", "1")
        self.assertEqual(self.ended(again)["end"], "time", "the dataplane ended that of the control plane that is gone")
        again = self.capture("--source", "10.1.0.14")
        self.control.process.stop()
        self.assertEqual(again.wait(10), 0)
        self.assertEqual(json.loads(again.output())["end"], "gateway-is-stopping")
        self.control.start()


class TwoWorkers(Base):
    """Packets come to either worker, and most are handed over to the one that owns them."""
    POLICY, OPTIONS, QUEUES = 'payload = "full"', ("--workers", "2"), 2

    def test_a_leg(self):
        self.leg_as_counted_and_as_on_the_wire()

    def test_sources_of_whatever_worker_are_there_once(self):
        process = self.capture("--source", "10.1.0.8/29")
        floods = {source: self.flood(source, 200, 0.5) for source in (f"10.1.0.{n}" for n in range(9, 15))}
        process.popen.send_signal(signal.SIGINT)
        self.ended(process)
        rows = self.fields(process.file, "ip.src", "frame.comment", show="sip")
        for source, flood in floods.items():
            comments = [row[1] for row in rows if row[0] == source]
            self.assertEqual((len(comments), comments.count("")), (flood["sent"], LIMIT))
        self.assertEqual(sum(row[0] == gateway.OUTSIDE for row in rows), LIMIT * len(floods))


class Forbidden(Base):
    POLICY = "enabled = false"

    def test_it_is_refused(self):
        done = self.control.cli("capture", "--source", FLOODER, "-o", self.lab.dir / "none.pcapng")
        self.assertEqual((done.returncode, self.started()), (1, []))
        self.assertIn("[capture] enabled", done.stderr)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
