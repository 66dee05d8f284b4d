"""Chapter "call": a softphone answers a SIPp caller through both planes. Speech is transcoded PCMU <-> PCMA on the way, a
flood is refused at the queue, and the control plane dies and comes back while they talk."""
import shutil
import signal
import time

import audio
import gateway
import lab
import pcap
import peers
from capture import Capture, lost_between, one_way, quantile, shortfall, tells
from story import Story

CALLER_SAYS = "Hazard seven. The coolant loop of reactor two shows a pressure drop that no model explains. We ask for an independent view."
EXPERT_SAYS = "This is the safety expert. Do not restart. Close valve three, log every reading, and wait for my call."
CALL_SECONDS = 10.0
FLOOD_RATE, FLOOD_SECONDS = 500, 5
ALLOWED = 30
QUANTILES = (0.5, 0.99, 0.999, 1.0)
ALIKE, REACH = 0.9, 0.95  # correlation with what was said, and how much of its length was heard


def microseconds(nanoseconds):
    return f"{nanoseconds / 1000:.0f}"


def quantiles_row(name, values):
    return [name, len(values), *(microseconds(quantile(values, q)) if tells(len(values), q) else "-" for q in QUANTILES)]


class Call:
    def __init__(self, the_lab):
        self.lab = the_lab
        self.story = Story("A call through both planes")

    def prepare(self):
        tell = self.story.tell
        network = gateway.Network(self.lab)
        audio.speak(CALLER_SAYS, self.lab.dir / "caller.wav")
        audio.speak(EXPERT_SAYS, self.lab.dir / "expert.wav")
        self.lab.address("caller", "c0", "10.1.0.66/24")
        tell("speech synthesised; namespaces caller -- gateway -- callee are up")
        self.dataplane = gateway.Dataplane(self.lab)
        memory = next(line for line in self.dataplane.process.output().splitlines() if "memory:" in line)
        tell(f"dataplane ready ({memory.split('memory: ')[1]})")
        self.control = gateway.ControlPlane(self.lab, gateway.basic_config())
        tell("control plane attached, SIP on 10.1.0.1 and 10.2.0.1")
        self.expert = peers.Baresip(self.lab, "callee", gateway.CALLEE, "PCMA", self.lab.dir / "expert.wav", seconds=CALL_SECONDS + 10)
        self.at_caller = Capture(self.lab, "caller", "c0")
        self.at_callee = Capture(self.lab, "callee", "e0")
        return network

    def talk(self):
        """The call, with the flood and the crash in the middle of it."""
        story = self.story
        caller = peers.speaking_caller(self.lab, "caller", gateway.CALLER, f"{gateway.OUTSIDE}:5060", "expert", 0, self.lab.dir / "caller.wav", CALL_SECONDS, last="recv 481")
        self.calls = lab.wait_for(self.connected, 10, "the call connects")
        story.tell("connected: SIPp speaks PCMU, the softphone PCMA")
        flood = peers.Flood(self.lab, "caller", "10.1.0.66", gateway.OUTSIDE, FLOOD_RATE, FLOOD_SECONDS)
        time.sleep(2.5)  # let them talk: the story needs a middle
        self.control.process.stop(signal.SIGKILL)
        story.tell("control plane killed (SIGKILL) in the middle of a word")
        self.control.start()
        story.tell("control plane started again and attached")
        adopted = self.control.ctl("legs show")["rows"]
        story.check(len(adopted) == 2, f"it found the call's {len(adopted)} media legs in the dataplane's table")
        self.flood = flood.result()
        caller.wait(CALL_SECONDS + 10)
        story.tell("the caller has hung up")
        self.inside = self.control.ctl("core show")
        self.drops = self.control.ctl("drops show")

    def connected(self):
        calls = self.control.ctl("calls show")["rows"]
        return calls if calls and calls[0]["state"] == "CONNECTED" else None

    def judge(self):
        caller_side, callee_side = self.at_caller.stop(), self.at_callee.stop()
        self.expert.stop()
        rtp_c, rtp_e = pcap.rtp(caller_side), pcap.rtp(callee_side)
        pick = lambda packets, **fields: [p for p in packets if all(getattr(p, k) == v for k, v in fields.items())]  # noqa: E731
        ways = ((pick(rtp_c, source=gateway.CALLER), pick(rtp_e, source=gateway.INSIDE)), (pick(rtp_e, source=gateway.CALLEE), pick(rtp_c, source=gateway.OUTSIDE)))
        to_expert, to_caller = ((one_way(*way)[0], lost_between(*way)) for way in ways)
        return caller_side, rtp_c, rtp_e, to_expert, to_caller

    def setup_ms(self, packets):
        invite = next(p for p in packets if p.payload.startswith(b"INVITE ") and p.source == gateway.CALLER)
        ok = next(p for p in packets if p.payload.startswith(b"SIP/2.0 200") and b"INVITE" in p.payload and p.destination == gateway.CALLER)
        return (ok.time_ns - invite.time_ns) / 1e6

    def heard(self, rtp, source, payload_type, said):
        """What arrived at one end, decoded by the demo itself, held against what was said at the other."""
        packets = sorted((p for p in rtp if p.source == source), key=lambda p: p.timestamp)
        signal = audio.decode(payload_type, b"".join(p.payload for p in packets if p.payload_type == payload_type))
        return signal, audio.heard(audio.read_wav(said), signal)

    def check_heard(self, heard, claim):
        alike, reach = heard
        self.story.check(alike > ALIKE and reach >= REACH, f"{claim} (correlation {alike:.3f}, over {reach:.0%} of its length)")

    def report(self, caller_side, rtp_c, rtp_e, to_expert, to_caller):
        story = self.story
        at_expert, _ = self.heard(rtp_e, gateway.INSIDE, 8, self.lab.dir / "caller.wav")
        at_caller, heard_by_caller = self.heard(rtp_c, gateway.OUTSIDE, 0, self.lab.dir / "expert.wav")
        recording = self.expert.recording()
        recorded = audio.heard(audio.read_wav(self.lab.dir / "caller.wav"), audio.read_wav(recording))
        audio.write_wav(self.lab.dir / "heard-by-expert.wav", at_expert)
        audio.write_wav(self.lab.dir / "heard-by-caller.wav", at_caller)
        shutil.copy(recording, self.lab.dir / "recorded-by-softphone.wav")

        for direction, (arrived, lost) in (("to the expert", to_expert), ("to the caller", to_caller)):
            short = shortfall(len(arrived), CALL_SECONDS)
            story.check(not lost and not short, f"no packet {direction} was lost: {len(arrived)}, across the crash" if not lost and not short else
                        f"{direction}: {len(lost)} packets lost" + (f", and {short}" if short else ""))
        self.check_heard(recorded, "the softphone's own recording is what the caller said")
        self.check_heard(heard_by_caller, "what reached the caller is what the expert said")
        story.check(self.flood["answered"] == ALLOWED, f"of {self.flood['sent']} requests of a flood ({FLOOD_RATE}/s), {self.flood['answered']} got an answer")
        refused = next((row["packets"] for row in self.drops["rows"] if row["reason"] == "source_limited"), 0)
        story.check(refused == self.flood["sent"] - ALLOWED, f"the other {refused} were dropped at the queue, in silence")

        codecs = lambda rtp, source: "/".join(sorted({{0: "PCMU", 8: "PCMA"}.get(p.payload_type, str(p.payload_type)) for p in rtp if p.source == source}))  # noqa: E731
        story.table("The call", ["direction", "in", "out", "packets", "lost"], [
            ["caller -> expert", codecs(rtp_c, gateway.CALLER), codecs(rtp_e, gateway.INSIDE), len(to_expert[0]) + len(to_expert[1]), len(to_expert[1])],
            ["expert -> caller", codecs(rtp_e, gateway.CALLEE), codecs(rtp_c, gateway.OUTSIDE), len(to_caller[0]) + len(to_caller[1]), len(to_caller[1])]])
        print(f"\n  Set-up: {self.setup_ms(caller_side):.0f} ms from INVITE to 200 OK, seen at the caller's end; the softphone picks up by itself.")
        inside = self.inside["rows"][0]["inside"]
        story.table("Time added, microseconds", ["where", "packets", "p50", "p99", "p99.9", "max"], [
            quantiles_row("outer end to outer end, to the expert", to_expert[0]),
            quantiles_row("outer end to outer end, to the caller", to_caller[0]),
            ["of it inside, from receive to transmit", inside["count"],
             *(f"{inside[k]:.0f}" if tells(inside["count"], q) else "-" for k, q in zip(("p50_us", "p99_us", "p999_us", "max_us"), QUANTILES))]])
        print("""
  Method: the kernel's time stamps on both outer veth ends (tcpdump), packet by packet; they hold two wires, two packet
  sockets and the scheduling of this machine. "Inside" is the dataplane's own clock, all RTP of both directions. "-": of so
  few packets that quantile is the largest.
  After a crash signalling is not taken up again yet: the caller's BYE was answered 481, the media legs end by timeout.""")


def run(keep):
    with lab.Lab() as the_lab:
        call = Call(the_lab)
        try:
            call.prepare()
            call.talk()
            call.report(*call.judge())
        except lab.LabError as error:
            call.story.check(False, str(error))
            for process in the_lab.processes:
                if not process.running() and process.name in ("dataplane", "controlplane"):
                    print(process.output()[-2000:])
        good = call.story.end()
        if keep:
            for process in reversed(the_lab.processes):
                process.stop()
            for file in the_lab.dir.iterdir():
                if file.is_file():
                    shutil.copy(file, keep)
            print(f"  Recordings, captures and logs are in {keep}: listen to heard-by-expert.wav and heard-by-caller.wav.")
    return good
