"""Chapter "codecs": five calls at once, each between two other codecs. SIPp callers say speech that the codecs' own libraries
made, baresip phones answer and record; every packet is watched on both outer ends."""
import shutil

import audio
import gateway
import lab
import library_codecs
import pcap
import peers
from capture import Capture, by_number, quantile, shortfall, tells
from story import Story

CALL_SECONDS = 5.0
CALLER_SAYS = "Hazard seven. The coolant loop shows a pressure drop that no model explains."
EXPERT_SAYS = "This is the safety expert. Close valve three, and log every reading."
# What the caller speaks: payload type, how it is made and understood.
CALLERS = {
    "PCMU": (0, lambda s: audio.encode(0, s), lambda p: audio.decode(0, p)),
    "PCMA": (8, lambda s: audio.encode(8, s), lambda p: audio.decode(8, p)),
    "G722": (9, library_codecs.encode_g722, library_codecs.decode_g722),
    "G729": (18, library_codecs.encode_g729, library_codecs.decode_g729),
}
# What the phone speaks: baresip's account, its PCM rate, payload type.
PHONES = {"PCMA": ("PCMA/8000/1", 8000, 8), "G722": ("G722/16000/1", 16000, 9), "opus": ("opus/48000/2", 48000, 96)}
CALLS = (("PCMU", "G722"), ("PCMA", "opus"), ("G729", "PCMA"), ("G722", "opus"), ("G729", "G722"))
ALIKE = 0.7  # correlation with what was said; G.729 and Opus at low rates model speech, they do not keep its waveform
REACH = 0.95  # of what was said until the caller hung up


def route(number, caller, phone):
    return (f'id = "call{number}"\nuser = "expert{number}"\ntarget = "sip:expert@10.2.0.{10 + number}:5060"\nlocal = "{gateway.INSIDE}:5060"\n'
            f'caller_codecs = ["{caller}"]\ncallee_codecs = ["{phone}"]')


class Codecs:
    def __init__(self, the_lab):
        self.lab = the_lab
        self.story = Story("Five calls between five codecs")

    def prepare(self):
        gateway.Network(self.lab)
        for number in range(len(CALLS)):
            self.lab.address("caller", "c0", f"10.1.0.{10 + number}/24")
            self.lab.address("callee", "e0", f"10.2.0.{10 + number}/24")
        for name, text in (("caller", CALLER_SAYS), ("expert", EXPERT_SAYS)):
            audio.speak(text, self.lab.dir / f"{name}.wav")
        gateway.Dataplane(self.lab)
        routes = "\n\n[[route]]\n".join(route(number, *pair) for number, pair in enumerate(CALLS))
        self.control = gateway.ControlPlane(self.lab, gateway.basic_config(**{"[route]": routes}))
        self.phones = []
        for number, (_, phone) in enumerate(CALLS):
            account, rate, _ = PHONES[phone]
            self.phones.append(peers.Baresip(self.lab, "callee", f"10.2.0.{10 + number}", account, self.lab.dir / "expert.wav", seconds=CALL_SECONDS + 10, rate=rate, name=f"phone{number}"))
        self.at_caller, self.at_callee = Capture(self.lab, "caller", "c0"), Capture(self.lab, "callee", "e0")
        self.story.tell("both planes and five softphones are up")

    def talk(self):
        said = audio.read_wav(self.lab.dir / "caller.wav")
        callers = []
        for number, (caller, _) in enumerate(CALLS):
            payload_type, encode, _ = CALLERS[caller]
            callers.append(peers.playing_caller(self.lab, "caller", f"10.1.0.{10 + number}", f"{gateway.OUTSIDE}:5060", f"expert{number}", payload_type, encode(said), CALL_SECONDS))
        lab.wait_for(lambda: sum(c["state"] == "CONNECTED" for c in self.control.ctl("calls show")["rows"]) == len(CALLS), 10, "all calls connect")
        self.story.tell(f"{len(CALLS)} calls are connected, and talk")
        legs = self.control.ctl("legs show")["rows"]
        party = lambda name: {leg["call"]: leg for leg in legs if leg["party"] == name}  # noqa: E731
        caller_of, phone_of = party("caller"), party("callee")
        # The phones share an address for their audio: their streams are told apart by the gateway's port.
        self.ports = {caller_of[call]["remote"].split(":")[0]: int(leg["local"].split(":")[1]) for call, leg in phone_of.items()}
        for caller in callers:
            caller.wait(CALL_SECONDS + 20)
        self.story.tell("all have hung up")
        for phone in self.phones:
            phone.stop()

    def report(self):
        story, rows = self.story, []
        rtp_c, rtp_e = pcap.rtp(self.at_caller.stop()), pcap.rtp(self.at_callee.stop())
        for number, (caller, phone) in enumerate(CALLS):
            here = f"10.1.0.{10 + number}"
            port = self.ports[here]
            ways = ((caller, phone, [p for p in rtp_c if p.source == here], [p for p in rtp_e if p.source == gateway.INSIDE and p.sport == port], PHONES[phone][2]),
                    (phone, caller, [p for p in rtp_e if p.destination == gateway.INSIDE and p.dport == port], [p for p in rtp_c if p.destination == here], CALLERS[caller][0]))
            if not all(sent and received for _, _, sent, received, _ in ways):
                raise lab.LabError(f"{caller} and {phone}: a direction has no packets")
            heard = (audio.read_wav(self.phones[number].recording()), CALLERS[caller][2](b"".join(p.payload for p in ways[1][3])))
            shutil.copy(self.phones[number].recording(), self.lab.dir / f"{caller}-to-{phone}.wav")
            audio.write_wav(self.lab.dir / f"{phone}-to-{caller}.wav", heard[1])
            for (codec_in, codec_out, sent, received, payload_type), signal, said in zip(ways, heard, ("caller", "expert")):
                added, lost, unanswered = by_number(sent, received)
                lost = unanswered + len(lost)
                alike, reach = audio.heard(audio.read_wav(self.lab.dir / f"{said}.wav")[:int(CALL_SECONDS * audio.RATE)], signal)
                short = shortfall(len(received), CALL_SECONDS)
                name = f"{codec_in} -> {codec_out}"
                rows.append([name, len(received), lost, *(f"{quantile(added, q) / 1000:.0f}" if tells(len(added), q) else "-" for q in (0.5, 0.99, 1.0)), f"{alike:.3f}"])
                clean = {(p.payload_type, p.ssrc) for p in received} == {(payload_type, received[0].ssrc)}
                if lost or short or not clean or alike < ALIKE or reach < REACH:
                    story.check(False, f"{name}: {lost} packets lost, {short or len(received)}, payload types {sorted({p.payload_type for p in received})}, "
                                       f"correlation {alike:.3f} over {reach:.0%} of what was said")
        story.check(not story.failed, f"{len(rows)} directions: no packet lost, one stream each in the codec that was answered, and each side heard what the other said")
        story.table("Time added by transcoding, microseconds", ["pair", "packets", "lost", "p50", "p99", "max", "alike"], rows)
        print("""
  Method: the kernel's time stamps on both outer veth ends (tcpdump); a packet that leaves belongs to the one that came under
  the same number, counted from the stream's first. They hold two wires, two packet sockets and the scheduling of this machine,
  which runs ten parties beside the gateway. "alike" is the correlation of what was said with what was heard: of the phone's
  recording, and of what reached the caller, decoded by the codec's library. G.729 and Opus do not keep the waveform.""")


def run(keep):
    with lab.Lab() as the_lab:
        codecs = Codecs(the_lab)
        try:
            codecs.prepare()
            codecs.talk()
            codecs.report()
        except lab.LabError as error:
            codecs.story.check(False, str(error))
        good = codecs.story.end()
        if keep:
            for file in the_lab.dir.glob("*-to-*.wav"):
                shutil.copy(file, keep)
            print(f"  What each side heard is in {keep}: CODEC-to-CODEC.wav.")
    return good
