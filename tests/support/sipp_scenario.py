"""SIPp scenarios written as lists of steps, so that a test shows the flow it is about.

Caller:  "invite", "ack" (to a 2xx), "ack_failure", "cancel", "bye", "reinvite SDP_DIRECTION [TYPE]", "options"
Callee:  "answer", "status CODE REASON" (to the INVITE), "answer_again DIRECTION" (to a re-INVITE), "update" and "update offer"
         (after a status below 200)
Both:    "ok" (to any other request), "recv CODE", "recv? CODE" (optional), either with "goto N"; "label N"; "expect METHOD",
         "pause MS" or "pause" (-d), "speak FILE PT", "hush", "play CAPTURE" (with port="[media_port]")
"""

_CALLER_HEAD = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: {name}<sip:swarm@[local_ip]>;tag=[pid]c[call_number]
{to}
Call-ID: [call_id]
CSeq: {cseq} {method}
Max-Forwards: 70
{extra}"""

# Of the INVITE, kept for when it is no longer the last message.
_KEPT = "".join(f'<ereg regexp=".*" search_in="hdr" header="{name}:" assign_to="{name.lower()}"/>' for name in ("Via", "From", "To", "CSeq"))
_KEPT_ECHO = "Via: [$via]\nFrom: [$from]\nTo: [$to]{tag}\nCall-ID: [call_id]\nCSeq: [$cseq]\n"

_ECHO = "[last_Via:]\n[last_From:]\n{to}\n[last_Call-ID:]\n[last_CSeq:]\n"

_SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 {version} IN IP[media_ip_type] [media_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio {port} RTP/AVP {types}
{maps}
a=ptime:20
a={direction}
{more}"""

_NAMES = {0: "PCMU/8000", 3: "GSM/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 96: "opus/48000/2"}


def sdp(types=(0,), direction="sendrecv", version=1, port="[rtpstream_audio_port]", more="", names=_NAMES):
    maps = "\n".join(f"a=rtpmap:{t} {names[t]}" for t in types)
    return _SDP.format(version=version, types=" ".join(map(str, types)), maps=maps, direction=direction, port=port, more=more).rstrip() + "\n"


class _Writer:
    def __init__(self, types, extra, body):
        self.types, self.extra, self.body = types, extra, body
        self.cseq, self.parts, self.invite_at = 1, [], 0

    def invite_branch(self):
        """SIPp counts back over all steps to the message whose branch is meant."""
        return f"branch=[branch-{len(self.parts) - self.invite_at}]"

    def send(self, text, retransmit=False):
        timer = ' retrans="500"' if retransmit else ""
        timer += ' start_rtd="1"' if text.startswith("INVITE") and len(self.parts) == self.invite_at else ""
        self.parts.append(f"<send{timer}><![CDATA[\n{text.rstrip()}\n\n]]></send>")

    def common(self, step):
        words = step.split()
        if words[0] in ("recv", "recv?"):
            optional = ' optional="true"' if words[0] == "recv?" else ""
            timed = ' rtd="1"' if words[1] == "200" and self.cseq == 1 else ""
            record = ' rrs="true"' if words[1].startswith("2") else ""
            onwards = f' next="{words[3]}"' if len(words) > 3 else ""
            self.parts.append(f'<recv response="{words[1]}"{optional}{timed}{record}{onwards}/>')
        elif words[0] == "label":
            self.parts.append(f'<label id="{words[1]}"/>')
        elif words[0] == "expect":
            record = ' rrs="true"' if words[1] == "INVITE" else ""
            self.parts.append(f'<recv request="{words[1]}"{record}/>')
        elif words[0] == "expect?":
            self.parts.append(f'<recv request="{words[1]}" optional="true"/>')
        elif words[0] == "pause":
            self.parts.append(f'<pause milliseconds="{words[1]}"/>' if len(words) > 1 else "<pause/>")
        elif words[0] == "speak":
            self.parts.append(f'<nop><action><exec rtp_stream="{words[1]},-1,{words[2]}"/></action></nop>')
        elif words[0] == "play":
            self.parts.append(f'<nop><action><exec play_pcap_audio="{words[1]}"/></action></nop>')
        elif words[0] == "ok":
            self.send("SIP/2.0 200 OK\n" + _ECHO.format(to="[last_To:]") + "Content-Length: 0\n")
        elif words[0] == "hush":
            self.parts.append('<nop><action><exec rtp_stream="pause"/></action></nop>')
        else:
            raise ValueError(f"unknown step: {step}")

    def xml(self, name):
        body = "\n".join(self.parts)
        if ' rtd="1"' not in body:  # SIPp refuses a clock that nothing stops
            body = body.replace(' start_rtd="1"', "")
        return f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{name}">\n{body}\n</scenario>\n'


def caller(*steps, types=(0,), extra="", body=None, port="[rtpstream_audio_port]", name=""):
    """`name`: what it calls itself, quoted as in the header. `extra`: more header lines of the INVITE. `body`: instead of the SDP, with its own Content-Type and -Length lines."""
    w = _Writer(types, extra, body)
    new_to = "To: <sip:[service]@[remote_ip]:[remote_port]>"
    uri = "sip:[service]@[remote_ip]:[remote_port]"

    def head(method, cseq, to, more=""):
        return _CALLER_HEAD.format(name=f"{name} " if name else "", to=to, cseq=cseq, method=method, extra=more).rstrip()

    contact = "Contact: <sip:swarm@[local_ip]:[local_port];transport=[transport]>"
    for step in steps:
        words = step.split()
        if words[0] == "invite":
            w.invite_at = len(w.parts)
            w.send(f"INVITE {uri} SIP/2.0\n" + head("INVITE", 1, new_to, f"{contact}\n{extra}".rstrip()) + "\n" + (body or sdp(types, port=port)), retransmit=True)
        elif words[0] == "reinvite":
            w.cseq += 1
            w.send("INVITE [next_url] SIP/2.0\n" + head("INVITE", w.cseq, "[last_To:]\n[routes]", contact) + "\n" + sdp([int(t) for t in words[2:]] or types, words[1], w.cseq), retransmit=True)
        elif words[0] == "ack":
            w.send("ACK [next_url] SIP/2.0\n" + head("ACK", w.cseq, "[last_To:]\n[routes]") + "\nContent-Length: 0\n")
        elif words[0] == "ack_failure":
            w.send(f"ACK {uri} SIP/2.0\n" + head("ACK", w.cseq, "[last_To:]").replace("branch=[branch]", w.invite_branch()) + "\nContent-Length: 0\n")
        elif words[0] == "cancel":
            w.send(f"CANCEL {uri} SIP/2.0\n" + head("CANCEL", 1, new_to).replace("branch=[branch]", w.invite_branch()) + "\nContent-Length: 0\n", retransmit=True)
        elif words[0] == "bye":
            w.cseq += 1
            w.send("BYE [next_url] SIP/2.0\n" + head("BYE", w.cseq, "[last_To:]\n[routes]") + "\nContent-Length: 0\n", retransmit=True)
        elif words[0] == "options":
            w.send(f"OPTIONS {uri} SIP/2.0\n" + head("OPTIONS", 1, new_to, contact) + "\nContent-Length: 0\n", retransmit=True)
        else:
            w.common(step)
    return w.xml("caller")


def callee(*steps, types=(8,), direction="sendrecv", body=None):
    """`body`: as for caller(), of "answer"."""
    w = _Writer(types, "", None)
    tag = ";tag=[pid]s[call_number]"
    updates = any(step.startswith("update") for step in steps)
    echo = _KEPT_ECHO.format(tag=tag) if updates else _ECHO.format(to="[last_To:]" + tag)
    contact = "Contact: <sip:expert@[local_ip]:[local_port];transport=[transport]>\n"
    for step in steps:
        words = step.split()
        if words[0] == "answer":
            w.send("SIP/2.0 200 OK\n" + echo + contact + (body or sdp(types, direction)), retransmit=True)
        elif words[0] == "answer_again":  # to a re-INVITE: the tag is already there
            w.send("SIP/2.0 200 OK\n" + _ECHO.format(to="[last_To:]") + contact + sdp(types, words[1], 2), retransmit=True)
        elif words[0] == "status":
            code = int(words[1])
            w.send(f"SIP/2.0 {words[1]} {' '.join(words[2:])}\n" + echo + (contact if code < 200 else "") + "Content-Length: 0\n", retransmit=code >= 300)
        elif words[0] == "update":
            w.cseq += 1
            w.send("UPDATE [next_url] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
                   f"From: [$to]{tag}\nTo: [$from]\nCall-ID: [call_id]\nCSeq: {w.cseq} UPDATE\nMax-Forwards: 70\n{contact}"
                   + (sdp(types, direction) if words[1:] == ["offer"] else "Content-Length: 0\n"), retransmit=True)
        elif updates and step == "expect INVITE":
            w.parts.append(f'<recv request="INVITE" rrs="true"><action>{_KEPT}</action></recv>')
        else:
            w.common(step)
    return w.xml("callee")
