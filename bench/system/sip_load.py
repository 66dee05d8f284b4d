#!/usr/bin/env python3
"""SIP load through the whole gateway: SIPp calls, both planes connect, SIPp answers; no media. Three runs:

  steady    RATE calls/s for SECONDS: retransmissions, CPU per call, set-up time
  overload  twice that: the excess must be refused with 503, the rest unharmed
  held      many calls held at once: memory per held call; then all of them and the steady run's are gone: memory flat

Usage: sip_load.py [--rate 250] [--seconds 60] [--held 2000] [--quick] [--json]     needs root and IFGW_BUILD
CPU is the control plane's own (utime + stime), so it holds on a machine where SIPp takes the rest. Set-up time is the
control plane's, from the INVITE's arrival to its 200, over all calls so far; SIPp's own clock is too coarse (1 ms).
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


def milliseconds(microseconds):
    return None if microseconds is None else round(microseconds / 1000, 2)


class Load:
    def __init__(self, the_lab, rate):
        self.lab, self.rate = the_lab, rate
        gateway.Network(the_lab)
        gateway.Dataplane(the_lab, "--media-ports", "16384-65535")
        self.control = gateway.ControlPlane(the_lab, gateway.basic_config(**{
            "limits": f"calls = 20000\ncalls_per_second = {rate * 6 // 5}\nsetups_per_second = {rate * 6 // 5}\nsetup_burst = {rate // 4}\nsip_legs = 65536",
            "log": 'level = "warning"', "[pike.exempt]": 'prefix = "10.0.0.0/8"'}))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.control.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_kb(self):
        status = pathlib.Path(f"/proc/{self.control.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def drive(self, rate, calls, hold_ms):
        """Starts a callee and a caller; returns the caller's statistics and the gateway's counters before and after."""
        served = peers.Sipp(self.lab, "callee", callee(*ANSWER), f"{gateway.CALLEE}:5060", "-l", "50000", name="callee")
        before, cpu = self.control.ctl("status"), self.cpu_seconds()
        dialled = peers.Sipp(self.lab, "caller", caller(*CALL), f"{gateway.CALLER}:5060", "-m", calls, "-r", rate, "-l", "50000", "-s", "expert", "-d", hold_ms,
                             "-timeout", int(calls / rate + hold_ms / 1000 + 60), target=TARGET, name="caller")
        return served, dialled, before, cpu

    def finish(self, served, dialled, before, cpu, started, calls, seconds):
        dialled.process.wait(seconds)
        elapsed = time.monotonic() - started
        statistics = dialled.last_statistics()
        after, spent = self.control.ctl("status"), self.cpu_seconds() - cpu
        served.process.stop()
        grew = lambda key: after["sip"][key] - before["sip"][key]  # noqa: E731
        connected = after["calls"]["connected"] - before["calls"]["connected"]
        sent = grew("requests_sent") + grew("responses_sent")
        again = grew("request_retransmissions_sent") + grew("response_retransmissions_sent")
        return {"calls": calls, "connected": connected, "shed": grew("calls_shed") + after["calls"]["refused_admission"] - before["calls"]["refused_admission"],
                "failed": int(statistics["FailedCall(C)"]), "seconds": round(elapsed, 1), "retransmissions": again,
                "retransmitted_percent": round(100 * again / max(1, sent), 3),
                "caller_retransmissions": int(statistics["Retransmissions(C)"]), "cpu_ms_per_call": round(1000 * spent / max(1, connected), 3),
                "cpu_percent_of_core": round(100 * spent / elapsed, 1),
                "setup_p50_ms": milliseconds(after["calls"]["setup"]["p50_us"]), "setup_p99_ms": milliseconds(after["calls"]["setup"]["p99_us"])}

    def run(self, rate, seconds):
        calls = int(rate * seconds)
        started = time.monotonic()
        return self.finish(*self.drive(rate, calls, 1000), started, calls, calls / rate + 60)

    def held(self, count):
        """Memory with `count` calls up, against with none; and again after they are gone."""
        idle = self.memory_kb()
        served, dialled, before, cpu = self.drive(min(self.rate, 200), count, 120_000)
        lab.wait_for(lambda: self.control.ctl("status")["calls"]["active"] >= count or not dialled.process.running(), 120, f"{count} calls up")
        held = self.memory_kb()
        dialled.process.stop()
        served.process.stop()
        return {"held": count, "idle_kb": idle, "held_kb": held, "kb_per_held_call": round((held - idle) / count, 1)}


def show(value):
    return "-" if value is None else str(value)


def table(results):
    print(f"{'run':10} {'calls':>7} {'connected':>9} {'shed 503':>8} {'failed':>6} {'retrans %':>9} {'CPU ms/call':>11} {'CPU %':>6} {'p50 ms':>7} {'p99 ms':>7}")
    for name in ("steady", "overload"):
        r = results[name]
        print(f"{name:10} {r['calls']:7} {r['connected']:9} {r['shed']:8} {r['failed']:6} {r['retransmitted_percent']:9} {r['cpu_ms_per_call']:11} {r['cpu_percent_of_core']:6} "
              f"{show(r['setup_p50_ms']):>7} {show(r['setup_p99_ms']):>7}")
    h = results["held"]
    print(f"memory: {h['kb_per_held_call']} KB per held call ({h['held']} held); resident {results['memory_kb_before']} KB before, {results['memory_kb_after']} KB after {results['calls_in_all']} calls")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--held", type=int, default=2000)
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
        results["steady"] = load.run(args.rate, args.seconds)
        results["overload"] = load.run(args.rate * 2, args.seconds / 2)
        results["held"] = load.held(args.held)
        results["calls_in_all"] = sum(results[k]["calls"] for k in ("steady", "overload"))
        results["memory_kb_after"] = load.memory_kb()
    print(json.dumps(results) if args.json else "", end="\n" if args.json else "")
    if not args.json:
        table(results)


main()
