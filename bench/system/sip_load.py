#!/usr/bin/env python3
"""SIP load through the whole gateway: SIPp calls, both planes connect, SIPp answers; no media. The runs:

  steady    RATE calls/s for SECONDS: retransmissions, CPU per call, set-up time
  overload  twice that: the excess must be refused with 503, the rest unharmed
  held      many calls held at once: memory per held call
  soak      as many calls as told, one after the other: resident memory after each tenth of them (only with --soak)

Usage: sip_load.py [--rate 250] [--seconds 60] [--held 2000] [--soak CALLS] [--quick] [--json] [--check]
Needs root and IFGW_BUILD. With --check the exit status is 1 when a promise (PROMISES below) is not kept.
Both planes run on one core, pinned; SIPp on the others. CPU is that of both planes (utime + stime). Rates are calls over
the time they took, without the hold. Retransmissions are ours and the caller's. Set-up time is the control plane's, from the INVITE's arrival to its 200, over all calls so far; SIPp's own clock is too coarse (1 ms).
"""
import argparse
import json
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
from sipp_scenario import callee, caller  # noqa: E402

TARGET = f"{gateway.OUTSIDE}:5060"
TICK = os.sysconf("SC_CLK_TCK")
# A caller that is refused acknowledges the 503 and is done.
CALL = ("invite", "recv? 100", "recv? 180", "recv? 503 goto 1", "recv 200", "ack", "pause", "bye", "recv 200 goto 2", "label 1", "ack_failure", "label 2")
ANSWER = ("expect INVITE", "answer", "expect ACK", "expect BYE", "ok")

# What the results must show: name, a function of the results that gives the value, and one that judges it.
PROMISES = (
    ("steady: calls a second, of what was offered", lambda r: round(r["steady"]["connected_per_second"] / r["steady"]["rate"], 3), ">= 0.98", lambda v: v >= 0.98),
    ("steady: every call connected", lambda r: r["steady"]["calls"] - r["steady"]["connected"], "= 0 missing", lambda v: v == 0),
    ("steady: retransmitted messages", lambda r: r["steady"]["retransmitted_percent"], "< 0.1 %", lambda v: v < 0.1),
    ("overload: calls that failed otherwise than by 503", lambda r: r["overload"]["failed"] + r["overload"]["calls"] - r["overload"]["connected"] - r["overload"]["shed"], "= 0",
     lambda v: v == 0),
    ("overload: connected, of the steady run's rate", lambda r: round(r["overload"]["connected_per_second"] / r["steady"]["connected_per_second"], 2), ">= 1", lambda v: v >= 1),
    ("held: memory per call", lambda r: r["held"]["kb_per_held_call"], "<= 16 KB", lambda v: v <= 16),
    ("soak: resident memory at the end, of that after three tenths", lambda r: r["soak"]["growth"], "<= 1.02", lambda v: v <= 1.02),
)


def milliseconds(microseconds):
    return None if microseconds is None else round(microseconds / 1000, 2)


class Load:
    def __init__(self, the_lab, rate):
        self.lab, self.rate = the_lab, rate
        gateway.Network(the_lab)
        self.dataplane = gateway.Dataplane(the_lab, "--media-ports", "16384-65535")
        self.control = gateway.ControlPlane(the_lab, gateway.basic_config(**{
            "limits": f"calls = 20000\ncalls_per_second = {rate * 6 // 5}\nsetups_per_second = {rate * 6 // 5}\nsetup_burst = {rate // 4}\nsip_legs = 65536",
            "log": 'level = "warning"', "[pike.exempt]": 'prefix = "10.0.0.0/8"'}))
        for process in (self.dataplane.process, self.control.process):
            for thread in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {0})
        if os.cpu_count() > 1:
            os.sched_setaffinity(0, set(range(1, os.cpu_count())))  # inherited by SIPp

    def cpu_seconds(self):
        ticks = 0
        for process in (self.dataplane.process, self.control.process):
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICK

    def memory_kb(self):
        status = pathlib.Path(f"/proc/{self.control.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def drive(self, rate, calls, hold_ms):
        """Starts a callee and a caller; returns the caller's statistics and the gateway's counters before and after."""
        self.hold = hold_ms / 1000
        served = peers.Sipp(self.lab, "callee", callee(*ANSWER), f"{gateway.CALLEE}:5060", "-l", "50000", name="callee")
        before, cpu = self.control.ctl("status"), self.cpu_seconds()
        dialled = peers.Sipp(self.lab, "caller", caller(*CALL), f"{gateway.CALLER}:5060", "-m", calls, "-r", rate, "-l", "50000", "-s", "expert", "-d", int(hold_ms),
                             "-timeout", int(calls / rate + hold_ms / 1000 + 60), target=TARGET, name="caller")
        return served, dialled, before, cpu

    def finish(self, served, dialled, before, cpu, started, calls, rate):
        dialled.process.wait(calls / rate + 60)
        elapsed = time.monotonic() - started
        statistics = dialled.last_statistics()
        after, spent = self.control.ctl("status"), self.cpu_seconds() - cpu
        served.process.stop()
        grew = lambda key: after["sip"][key] - before["sip"][key]  # noqa: E731
        connected = after["calls"]["connected"] - before["calls"]["connected"]
        sent = grew("requests_sent") + grew("responses_sent")
        theirs = int(statistics["Retransmissions(C)"])
        again = grew("request_retransmissions_sent") + grew("response_retransmissions_sent") + theirs
        return {"rate": rate, "calls": calls, "connected": connected, "connected_per_second": round(connected / max(elapsed - self.hold, 0.001), 1), "shed": grew("calls_shed") + after["calls"]["refused_admission"] - before["calls"]["refused_admission"],
                "failed": int(statistics["FailedCall(C)"]), "seconds": round(elapsed, 1), "retransmissions": again,
                "retransmitted_percent": round(100 * again / max(1, sent), 3),
                "caller_retransmissions": theirs, "cpu_ms_per_call": round(1000 * spent / max(1, connected), 3),
                "cpu_percent_of_core": round(100 * spent / elapsed, 1),
                "setup_p50_ms": milliseconds(after["calls"]["setup"]["p50_us"]), "setup_p99_ms": milliseconds(after["calls"]["setup"]["p99_us"])}

    def run(self, rate, seconds):
        calls = int(rate * seconds)
        started = time.monotonic()
        return self.finish(*self.drive(rate, calls, 1000), started, calls, rate)

    def held(self, count):
        """Memory with `count` calls up, against with none."""
        idle = self.memory_kb()
        rate = min(self.rate, 200)
        served, dialled, _, _ = self.drive(rate, count, count / rate * 1000 + 5000)
        lab.wait_for(lambda: self.control.ctl("status")["calls"]["active"] >= count or not dialled.process.running(), 120, f"{count} calls up")
        held = self.memory_kb()
        dialled.process.wait(count / rate + 90)  # all are hung up: calls left behind would be retransmitted to in the next run
        served.process.stop()
        return {"held": count, "idle_kb": idle, "held_kb": held, "kb_per_held_call": round((held - idle) / count, 1)}

    def soak(self, calls):
        """Memory while many calls come and go. The first tenths fill the tables: a transaction stays 32 s after its call."""
        started = time.monotonic()
        load = self.drive(self.rate, calls, 1000)
        dialled, resident = load[1], []
        for tenth in range(1, 11):
            lab.wait_for(lambda: time.monotonic() - started > tenth * calls / self.rate / 10 or not dialled.process.running(), calls / self.rate + 60, "the soak", interval=0.2)
            resident.append(self.memory_kb())
        return {**self.finish(*load, started, calls, self.rate), "resident_kb": resident, "growth": round(resident[-1] / resident[2], 3)}


def show(value):
    return "-" if value is None else str(value)


def table(results):
    print(f"{'run':10} {'calls':>7} {'connected':>9} {'shed 503':>8} {'failed':>6} {'retrans %':>9} {'CPU ms/call':>11} {'CPU %':>6} {'p50 ms':>7} {'p99 ms':>7}")
    for name in ("steady", "overload", "soak"):
        r = results.get(name)
        if not r:
            continue
        print(f"{name:10} {r['calls']:7} {r['connected']:9} {r['shed']:8} {r['failed']:6} {r['retransmitted_percent']:9} {r['cpu_ms_per_call']:11} {r['cpu_percent_of_core']:6} "
              f"{show(r['setup_p50_ms']):>7} {show(r['setup_p99_ms']):>7}")
    h = results["held"]
    print(f"memory: {h['kb_per_held_call']} KB per held call ({h['held']} held); resident {results['memory_kb_before']} KB before all runs")
    if "soak" in results:
        print(f"memory over {results['soak']['calls']} calls, KB resident after each tenth: {' '.join(map(str, results['soak']['resident_kb']))}")


def judge(results):
    """Each promise with its value; True when all that were measured are kept."""
    kept = True
    for name, value_of, wanted, judgement in PROMISES:
        if name.split(":")[0] not in results:
            continue
        value = value_of(results)
        good = judgement(value)
        kept = kept and good
        print(f"{'kept' if good else 'NOT KEPT':9} {name}: {value} (promised {wanted})", file=sys.stderr)
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--held", type=int, default=2000)
    parser.add_argument("--soak", type=int, default=0, metavar="CALLS")
    parser.add_argument("--check", action="store_true", help="exit status 1 when a promise is not kept")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything, to see that it runs")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.rate, args.seconds, args.held = 50, 2, 50
    lab.isolate()
    with lab.Lab() as the_lab:
        load = Load(the_lab, args.rate)
        load.run(20, 1)  # warm
        results = {"memory_kb_before": load.memory_kb()}
        results["held"] = load.held(args.held)  # first: memory that earlier calls gave back would flatter it
        results["steady"] = load.run(args.rate, args.seconds)
        results["overload"] = load.run(args.rate * 2, args.seconds / 2)
        if args.soak:
            results["soak"] = load.soak(args.soak)
    if args.json:
        print(json.dumps(results))
    else:
        table(results)
    return 0 if judge(results) or not args.check else 1


sys.exit(main())
