"""Captures on both outer ends of the gateway, and what they say about a call: loss and the time the gateway added."""
import lab
import pcap

PACKETS_PER_SECOND = 50  # packets of 20 ms


class Capture:
    """tcpdump on one interface; the kernel stamps each packet as it passes the outer end of the wire."""

    def __init__(self, the_lab, ns, interface, expression="udp"):
        self.path = the_lab.dir / f"{interface}.pcap"
        # -Z root: tcpdump would else give up the right to write into the lab's directory.
        self.process = the_lab.start(f"tcpdump-{interface}", ["tcpdump", "-Z", "root", "-i", interface, "-n", "-U", "--immediate-mode", "-B", "8192", "--time-stamp-precision=nano",
                                                               "-w", self.path, expression], ns=ns)
        lab.wait_for(lambda: "listening on" in self.process.output() or not self.process.running(), 10, f"capture on {interface}")

    def stop(self):
        self.process.stop()
        return pcap.udp_packets(self.path)


def one_way(sent, received):
    """RTP of one direction, as it left one end and as it reached the other: (nanoseconds in between per packet, sequence
    numbers that never arrived). Packets are told apart by number and time stamp, which the gateway keeps in a party's first
    stream; the SSRC is its own."""
    arrival = {(p.sequence, p.timestamp): p for p in received}
    deltas, lost = [], []
    for p in sent:
        there = arrival.get((p.sequence, p.timestamp))
        if there is None:
            lost.append(p.sequence)
        else:
            deltas.append(there.time_ns - p.time_ns)
    return deltas, lost


def by_number(sent, received):
    """one_way() where the gateway begins a stream of its own: a packet that arrives belongs to the one whose number has the same
    distance from the first. Also how many were sent before the one that the first belongs to, which is the last that was sent
    before it. What stops for good is not seen here: shortfall()."""
    first = max((i for i, p in enumerate(sent) if p.time_ns <= received[0].time_ns), default=0) if received else len(sent)
    arrival = {(p.sequence - received[0].sequence) & 0xFFFF: p.time_ns for p in received}
    last = max(arrival, default=0)
    deltas, lost = [], []
    for p in sent[first:]:
        number = (p.sequence - sent[first].sequence) & 0xFFFF
        if number in arrival:
            deltas.append(arrival[number] - p.time_ns)
        elif number < last:  # what comes after the last that arrived was sent after the end of the call
            lost.append(p.sequence)
    return deltas, lost, first


def lost_between(sent, received):
    """Sequence numbers that never arrived although something sent before and something sent after them did. What a party
    sends before the other's address is agreed on, or after the call has ended, is not the gateway's to deliver. A stream that
    stops for good loses nothing here: shortfall()."""
    there = {(p.sequence, p.timestamp) for p in received}
    arrived = [(p.sequence, p.timestamp) in there for p in sent]
    if True not in arrived:
        return [p.sequence for p in sent]
    first, last = arrived.index(True), len(arrived) - arrived[::-1].index(True)
    return [p.sequence for p, ok in zip(sent[first:last], arrived[first:last]) if not ok]


def shortfall(arrived, seconds, least=0.98):
    """Says what is wrong when fewer packets arrived than that share of what the call's seconds mean, else None."""
    expected = round(seconds * PACKETS_PER_SECOND)
    return None if arrived >= least * expected else f"{arrived} of {expected} packets in {seconds:g} s: the stream began late or stopped"


def tells(count, q):
    """Whether so many values tell this quantile from the largest of them."""
    return count > 0 and (q == 1 or int(q * count) < count - 1)


def quantile(values, q):
    """Nearest rank; the largest for q = 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
