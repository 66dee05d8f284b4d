"""Parties that are not ours: baresip and linphonec as softphones, SIPp as a caller, callee or load; and a flood of plain datagrams."""
import json
import pathlib
import re
import subprocess

import audio
import lab
import pcap
import sipp_scenario

SUPPORT = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3"


class Baresip:
    """A softphone that answers by itself (or dials), says a WAV and records what it hears. Port 5060, over TLS 5061; `ca` is
    whom it trusts, `identity` its own (certificate, key); `ptime` in ms is what it asks for."""

    def __init__(self, the_lab, ns, address, codec, wav, seconds, name="baresip", dial=None, transport="udp", ca=None, identity=None, extra=(), rate=audio.RATE, ptime=20):
        self.home = the_lab.dir / name
        self.home.mkdir()
        # It hangs up when its file ends, so the file goes on in silence.
        speech = audio.read_wav(wav)
        said = self.home / "says.wav"
        audio.write_wav(said, list(speech) + [0.0] * int(max(0, seconds * audio.RATE - len(speech))), rate)
        if identity:
            (self.home / "identity.pem").write_text("".join(path.read_text() for path in identity))
        (self.home / "config").write_text(f"""
sip_listen {address}:5060
audio_player aubridge,sink
audio_alert aubridge,sink
audio_source aufile,{said}
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
audio_txmode poll
rtp_ports 30000-30100
module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module opus.so
module gsm.so
module g726.so
module l16.so
module aubridge.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
snd_path {self.home}
{"sip_cafile " + str(ca) if ca else ""}
{f"sip_certificate {self.home}/identity.pem" if identity else ""}
""" + "\n".join(extra) + "\n")
        codec = codec if "/" in codec else f"{codec}/8000/1"
        (self.home / "accounts").write_text(f"<sip:expert@{address};transport={transport}>;regint=0;answermode=auto;ptime={ptime};audio_codecs={codec}\n")
        command = ["baresip", "-f", self.home, "-t", int(seconds + 60)] + (["-e", f"/dial {dial}"] if dial else [])
        self.process = the_lab.start(name, command, ns=ns, env={"HOME": str(self.home)})
        lab.wait_for(lambda: "is ready" in self.process.output() or not self.process.running(), 15, "baresip ready")

    def stop(self):
        self.process.stop()

    def recording(self):
        """What it decoded, as it wrote it."""
        found = sorted(self.home.glob("dump-*-dec.wav"))
        if not found:
            raise lab.LabError("the softphone recorded nothing; its log:\n" + self.process.output()[-1500:])
        return found[-1]


class Linphone:
    """linphonec, answering by itself on port 5060 in `codec` alone ("G729", "opus", "speex/16000", ...): says a WAV and records what
    it hears. `ptime` in ms is what it asks for."""

    def __init__(self, the_lab, ns, codec, wav, name="linphone", ptime=None):
        self.home = the_lab.dir / name
        (self.home / ".local/share/linphone").mkdir(parents=True)
        (self.home / "rc").write_text("[sip]\nsip_port=5060\nsip_tcp_port=0\nsip_tls_port=0\nauto_net_state_mon=0\nuse_ipv6=0\n[sound]\nechocancellation=0\n[rtp]\naudio_rtp_port=31000\n"
                                      + (f"download_ptime={ptime}\n" if ptime else ""))
        the_lab.run_in(ns, "ip", "route", "replace", "default", "via", "10.2.0.1")  # without one it believes that there is no network
        self.process = the_lab.start(name, ["linphonec", "-a", "-c", self.home / "rc"], ns=ns, env={"HOME": str(self.home)}, stdin=subprocess.PIPE)
        self.say("codec list")
        listed = lab.wait_for(lambda: re.findall(r"(\d+): (\S+) \((\d+)\) (?:en|dis)abled", self.process.output()) if "AAL2-G726-40" in self.process.output() else None, 20, "linphonec ready")
        for index, kind, rate in listed:
            self.say(f"codec {'enable' if codec in (kind, f'{kind}/{rate}') else 'disable'} {index}")
        # From a file and into a file; a file that is played once and then goes on in silence would do as well.
        for command in ("soundcard use files", f"play {wav}", f"record {self.home}/heard.wav", "status register"):
            self.say(command)
        lab.wait_for(lambda: "registered=" in self.process.output() or not self.process.running(), 20, "linphonec told")

    def say(self, command):
        self.process.popen.stdin.write(command.encode() + b"\n")
        self.process.popen.stdin.flush()

    def stop(self):
        if self.process.running():
            self.say("quit")  # it finishes its recording
            try:
                self.process.wait(10)
            except lab.LabError:
                pass
        self.process.stop()

    def recording(self):
        return self.home / "heard.wav"


class Sipp:
    """One run of SIPp with a scenario (XML text, see sipp_scenario.py). `local` is "address:port"."""

    _count = 0

    def __init__(self, the_lab, ns, scenario, local, *options, target=None, name="sipp"):
        Sipp._count += 1
        self.name = f"{name}-{Sipp._count}"
        file = the_lab.dir / f"{self.name}.xml"
        file.write_text(scenario)
        host, port = local.rsplit(":", 1)
        host = host.strip("[]")
        argv = ["sipp", "-sf", file, "-i", host, "-p", port, "-mi", host, "-nostdin", "-trace_err",
                "-error_file", the_lab.dir / f"{self.name}.errors", "-trace_stat", "-stf", the_lab.dir / f"{self.name}.csv", "-fd", "1"]
        self.lab = the_lab
        self.errors = the_lab.dir / f"{self.name}.errors"
        self.statistics = the_lab.dir / f"{self.name}.csv"
        self.process = the_lab.start(self.name, [*argv, *options, *([target] if target else [])], ns=ns, cwd=the_lab.dir)

    def wait(self, seconds):
        """Waits for its end; raises with its own explanation unless every call went as the scenario says."""
        status = self.process.wait(seconds)
        if status != 0:
            errors = self.errors.read_text(errors="replace")[-3000:] if self.errors.exists() else ""
            raise lab.LabError(f"{self.name}: exit {status}\n{errors}\n{self.process.output()[-1500:]}")
        return self.last_statistics()

    def last_statistics(self):
        lines = self.statistics.read_text().splitlines()
        return dict(zip(lines[0].split(";"), lines[-1].split(";")))


def playing_caller(the_lab, ns, address, target, user, payload_type, payload, seconds, last="recv 200"):
    """One call that says ready-made payload (bytes, packets of 20 ms) for so many seconds and hangs up."""
    raw = f"says-{address}.raw"
    (the_lab.dir / raw).write_bytes(payload)
    scenario = sipp_scenario.caller("invite", "recv? 100", "recv? 180", "recv? 183", "recv 200", "ack", f"speak {raw} {payload_type}", "pause", "hush", "bye", last,
                                    types=(payload_type,))
    return Sipp(the_lab, ns, scenario, f"{address}:5060", "-m", "1", "-s", user, "-d", int(seconds * 1000), "-timeout", int(seconds + 30), target=target, name="caller")


def speaking_caller(the_lab, ns, address, target, user, payload_type, wav, seconds, last="recv 200"):
    """One call that says a WAV in G.711 for so many seconds and hangs up."""
    return playing_caller(the_lab, ns, address, target, user, payload_type, audio.encode(payload_type, audio.read_wav(wav)), seconds, last)


def caller_from_capture(the_lab, ns, address, target, user, payload_type, payloads, clock, seconds):
    """One call that says ready-made payloads, a packet of 20 ms each, of a codec that SIPp's own streams do not know: from a capture."""
    (the_lab.dir / "says.pcap").write_bytes(pcap.rtp_capture(payload_type, payloads, clock // 50))
    scenario = sipp_scenario.caller("invite", "recv? 100", "recv? 180", "recv? 183", "recv 200", "ack", "play says.pcap", "pause", "bye", "recv 200",
                                    types=(payload_type,), port="[media_port]")
    return Sipp(the_lab, ns, scenario, f"{address}:5060", "-m", "1", "-s", user, "-d", int(seconds * 1000), "-timeout", int(seconds + 30), target=target, name="caller")


class Flood:
    """Requests of one source at a steady rate; counts the answers."""

    def __init__(self, the_lab, ns, source, target, rate, seconds, name="flood", port=5060):
        self.process = the_lab.start(name, [PYTHON, SUPPORT / "flood.py", source, target, rate, seconds, port], ns=ns)

    def result(self, seconds=60):
        if self.process.wait(seconds) != 0:
            raise lab.LabError(self.process.output())
        return json.loads(self.process.output())
