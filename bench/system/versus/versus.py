#!/usr/bin/env python3
"""rtpengine and ifgw side by side: the same calls, the same wires (veth), the same CPU, one observer. Prints ratios of one run.

  relay latency   200 streams of PCMU, 10 000 packets/s, in rounds of 0.55 s that alternate between the gateways; median over
                  the rounds of each round's quantiles
  relay rate      as fast as it goes with 512 packets in flight, in rounds of 0.8 s that alternate: packets per second of the
                  gateway's own CPU time; median
  codecs          PCMU to each: latency at 10 streams; the most streams that are kept up with, to 5 %, in runs of 0.8 s; and
                  what a stream's packets take of the CPU there
  engine only     this gateway's worker without wires (net_ring): what is left when the kernel's packet sockets are not in the way

Whoever's round it is has real-time priority, and so has the observer: for at most 0.8 s at a time where one of them would take a
whole CPU, because the kernel lets nobody have 0.95 s of a second. rtpengine runs in user space with one worker thread, as Debian 12 packages it. Its Opus encoder runs at 48 kHz and complexity
10, ours at the caller's 8 kHz and complexity 5: each gateway as it is by default. A stream is one direction.

Usage: versus.py [--build DIR] [--rounds 15] [--seconds 4] [--quick] [-j]
Needs root, and rtpengine-daemon (tools/dev/packages-bench.txt; ifgw-bench versus installs it). The exit status is 1 only when
something could not be measured.
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "tests/support")]
import gateways  # noqa: E402
import lab  # noqa: E402

CODECS = ("PCMA", "G722", "G729", "opus")
LATENCY_STREAMS, RELAY_STREAMS, WINDOW = 10, 200, 512
MOST_STREAMS, LOAD_SECONDS = 14_000, 0.8
PACKETS_PER_SECOND = 50
GOALS = {"relay p50": 0.12, "relay p99": 0.15, "relay p99.9": 0.25, "relay packets/s": 1.6, "PCMA streams": 8, "G722 latency": 0.01, "opus latency": 0.01}


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Versus:
    def __init__(self, the_lab, args):
        self.build, self.args = args.build, args
        self.fifo = os.cpu_count() > 1
        self.says = the_lab.dir / "says.ulaw"
        gateways.write_speech(self.says)
        self.theirs = gateways.Rtpengine(the_lab) if gateways.Rtpengine.version() else None
        self.ours = gateways.Ours(the_lab, self.build, busy_poll=False)
        self.busy = gateways.Ours(the_lab, self.build, busy_poll=True)
        self.busy.asleep()

    def all(self):
        return [g for g in (self.theirs, self.ours, self.busy) if g]

    def observer(self, which, codec, count):
        return gateways.Observer(which, self.build, codec, count, self.says)

    def in_turns(self, which, streams, rounds, question):
        """Each gateway's answers to one question about relayed streams, in rounds that alternate between them; one more warms up."""
        with contextlib.ExitStack() as stack:
            observers = {g.name: stack.enter_context(self.observer(g, "PCMU", streams)) for g in which}
            answers = [{name: observer.ask(question, fifo=self.fifo) for name, observer in observers.items()} for _ in range(rounds + 1)]
        return {name: [answer[name] for answer in answers[1:]] for name in observers}

    def relay_latency(self):
        """Per gateway the median over the rounds; a round in which a packet got lost or was not seen says so."""
        streams, seconds = (20, 0.2) if self.args.quick else (RELAY_STREAMS, 0.55)
        rounds = self.in_turns(self.all(), streams, self.args.rounds, f"paced {seconds} {streams} 1")
        result = {}
        for name, answers in rounds.items():
            result[name] = {key: round(median([a[key] for a in answers]), 2) for key in ("p50_us", "p99_us", "p999_us", "cpu_us_per_packet")}
            result[name] |= {"packets": sum(a["arrived"] for a in answers), "lost": sum(a["lost"] for a in answers), "early": sum(a["early"] for a in answers),
                             "unseen": sum(a["unseen"] for a in answers), "sender_late": sum(a["sender_late"] for a in answers)}
        return result

    def relay_rate(self):
        streams, seconds = (20, 0.3) if self.args.quick else (1000, 0.8)
        gates = [g for g in (self.theirs, self.ours) if g]
        rounds = self.in_turns(gates, streams, 1 if self.args.quick else 7, f"saturate {seconds} {WINDOW} {streams}")
        result = {}
        for name, answers in rounds.items():
            middle = lambda value, answers=answers: median([value(a) for a in answers])  # noqa: E731
            result[name] = {"packets_per_second": round(middle(lambda a: a["arrived"] / a["seconds"])), "per_core": round(1e6 / middle(lambda a: a["cpu_us_per_packet"])),
                            "cpu_us_per_packet": round(middle(lambda a: a["cpu_us_per_packet"]), 3), "cpu_share": round(middle(lambda a: a["cpu_share"]), 2),
                            "lost": sum(a["lost"] for a in answers), "unseen": sum(a["unseen"] for a in answers)}
        return result

    def codec(self, which, codec):
        seconds = self.args.seconds
        with self.observer(which, codec, LATENCY_STREAMS) as observer:
            few = observer.ask(f"paced {seconds} {LATENCY_STREAMS} 0", fifo=self.fifo)
        found = {key: few[key] for key in ("p50_us", "p99_us", "p999_us", "early", "measured")}
        found |= {"held_or_lost": few["lost"], "cpu_us_per_packet_few": round(few["cpu_us_per_packet"], 2)}
        return found if self.args.quick else found | self.capacity(which, codec, int(0.5e6 / few["cpu_us_per_packet"] / PACKETS_PER_SECOND))

    def capacity(self, which, codec, streams):
        """The most streams that the gateway keeps up with, to 5 %."""
        most, too_many, best, meter = 0, None, None, False
        while most < MOST_STREAMS and not (most and too_many and too_many <= 1.05 * most):
            run, met = self.load(which, codec, streams)
            progress(f"  {streams} streams: {'kept up' if met else 'did not keep up'}, {100 * run['cpu_share']:.0f} % of the CPU")
            if met:
                most, best = streams, run
            else:
                too_many, meter = streams, run["seconds"] > 1.05 * LOAD_SECONDS
            streams = int((most * too_many) ** 0.5) if most and too_many else min(MOST_STREAMS, int(streams * 1.6) + 1) if most else int(streams * 0.6)
            if not streams or streams in (most, too_many):
                break
        if not best:
            raise lab.LabError(f"{which.name} keeps up with no stream of {codec}")
        return {"streams_per_core": most, "cpu_us_per_packet": round(best["cpu_us_per_packet"], 2), "cpu_share": round(best["cpu_share"], 2), "unseen": best["unseen"],
                "observer_limit": meter or most == MOST_STREAMS}

    def load(self, which, codec, streams):
        """So many streams for a short time; whether all but 1 % of what was sent had come out when the last was sent. One packet of
        each stream may be held back: some gateways do."""
        with self.observer(which, codec, streams) as observer:
            observer.ask(f"load 0.1 {streams} 0", fifo=self.fifo)  # decoders and encoders are made with the first packets
            time.sleep(0.3)  # real-time priority is rationed
            run = observer.ask(f"load {LOAD_SECONDS} {streams} 1", fifo=self.fifo)
        return run, run["in_time"] >= 0.99 * run["sent"] - streams and run["seconds"] <= 1.05 * LOAD_SECONDS

    def engine_only(self):
        """ns per packet of a worker's iteration on net_ring, best window; the CPU is free then."""
        if self.args.quick:
            return {}
        done = subprocess.run([self.build / "bench/pipeline/ifgw-pipeline", "--memory=none", "--legs=2000", "--benchmark_filter=burst:32", "--benchmark_min_time=0.5", "--benchmark_format=json"],
                              capture_output=True, text=True, check=True, timeout=300)
        found = {b["name"].split("/")[0]: b["ns_min"] for b in json.loads(done.stdout)["benchmarks"]}
        return {"relay": found["BM_Relay"], "PCMA": found["BM_TranscodePcmuToPcma"]}

    def run(self):
        progress("relay latency ...")
        results = {"relay_latency": self.relay_latency()}
        progress("relay rate ...")
        results["relay_rate"] = self.relay_rate()
        results["codecs"] = {}
        for codec in CODECS:
            for which in (self.theirs, self.ours):
                if which:
                    progress(f"PCMU to {codec}, {which.name} ...")
                    results["codecs"].setdefault(codec, {})[which.name] = self.codec(which, codec)
        for which in self.all():
            if not which.process.running():
                raise lab.LabError(f"{which.name} ended: {which.process.output()[-1000:]}")
        progress("engine only ...")
        self.busy.process.stop(9)
        results["engine_only"] = self.engine_only()
        return results


def row(what, unit, theirs, ours, goal=None, at_least=False):
    """Ours by theirs, and the goal for that."""
    ratio = ours / theirs if ours and theirs else None
    reached = None if goal is None or ratio is None else ratio >= goal if at_least else ratio <= goal
    return {"what": what, "unit": unit, "rtpengine": theirs, "ifgw": ours, "ratio": ratio, "goal": goal, "at_least": at_least, "reached": reached}


def rows_of(results):
    at = lambda key, name: results[key].get(name, {})  # noqa: E731
    rows = []
    for name in ("ifgw, busy polling", "ifgw"):
        how = "busy polling" if "busy" in name else "sleeping when idle"
        for label, key in (("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")):
            goal = GOALS[f"relay {label}"] if "busy" in name else None
            rows.append(row(f"relay latency {label}, {how}", "us", at("relay_latency", "rtpengine").get(key), at("relay_latency", name).get(key), goal))
    rate = lambda key: (at("relay_rate", "rtpengine").get(key), at("relay_rate", "ifgw").get(key))  # noqa: E731
    rows.append(row("relay, packets/s of a core", "packets/s", *rate("per_core"), GOALS["relay packets/s"], at_least=True))
    rows.append(row("relay, packets/s that came through", "packets/s", *rate("packets_per_second")))
    for codec, found in results["codecs"].items():
        value = lambda key, found=found: (found.get("rtpengine", {}).get(key), found["ifgw"].get(key))  # noqa: E731
        rows.append(row(f"PCMU to {codec}: latency p50, {LATENCY_STREAMS} streams", "us", *value("p50_us"), GOALS.get(f"{codec} latency")))
        rows.append(row(f"PCMU to {codec}: latency p99, {LATENCY_STREAMS} streams", "us", *value("p99_us")))
        rows.append(row(f"PCMU to {codec}: CPU per stream", "us/s", *((v and v * PACKETS_PER_SECOND) for v in value("cpu_us_per_packet"))))
        rows.append(row(f"PCMU to {codec}: streams of a core", "streams", *value("streams_per_core"), GOALS.get(f"{codec} streams"), at_least=True))
    if results["engine_only"]:
        engine = results["engine_only"]
        rows.append(row("ENGINE ONLY, no wires: relay, packets/s of a core", "packets/s", rate("per_core")[0], 1e9 / engine["relay"]))
        rows.append(row("ENGINE ONLY, no wires: PCMU to PCMA, streams of a core", "streams", results["codecs"]["PCMA"].get("rtpengine", {}).get("streams_per_core"),
                        1e9 / engine["PCMA"] / PACKETS_PER_SECOND))
    return rows


def show(value, digits=None):
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if digits is not None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def table(rows):
    lines = [("what", "rtpengine", "ifgw", "unit", "ratio", "goal", "")]
    for r in rows:
        goal = "-" if r["goal"] is None else f"{'>=' if r['at_least'] else '<='} {r['goal']:g}"
        ratio = show(r["ratio"], 4 if r["ratio"] is not None and r["ratio"] < 0.1 else 2)
        lines.append((r["what"], show(r["rtpengine"]), show(r["ifgw"]), r["unit"], ratio, goal, {None: "", True: "reached", False: "NOT reached"}[r["reached"]]))
    widths = [max(len(line[i]) for line in lines) for i in range(7)]
    for line in lines:
        print("  ".join([line[0].ljust(widths[0]), line[1].rjust(widths[1]), line[2].rjust(widths[2]), line[3].ljust(widths[3]), line[4].rjust(widths[4]), line[5].rjust(widths[5]), line[6]]).rstrip())


def doubts(results):
    """What a reader must know before believing a row."""
    for key in ("relay_latency", "relay_rate"):
        for name, r in results[key].items():
            for what in ("lost", "unseen", "early"):
                if r.get(what):
                    yield f"{key}, {name}: {r[what]} packets {what}"
    for name, r in results["relay_rate"].items():
        if r["cpu_share"] < 0.85:
            yield f"relay_rate, {name}: {100 * r['cpu_share']:.0f} % of its CPU was in use: the observer could not send more"
    for codec, found in results["codecs"].items():
        for name, r in found.items():
            if r["held_or_lost"]:
                yield f"PCMU to {codec}, {name}: {r['held_or_lost']} packets of {LATENCY_STREAMS} streams held back or lost"
            if r["early"] or r.get("unseen"):
                yield f"PCMU to {codec}, {name}: {r['early']} packets early, {r.get('unseen')} unseen"
            if r.get("observer_limit"):
                yield f"PCMU to {codec}, {name}: the observer could not send more streams"
            if "cpu_share" in r:
                yield f"PCMU to {codec}, {name}: at {r['streams_per_core']} streams {100 * r['cpu_share']:.0f} % of the CPU; a packet of {LATENCY_STREAMS} streams takes {r['cpu_us_per_packet_few']} us of it"


def main():
    parser = argparse.ArgumentParser(prog="versus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=os.environ.get("IFGW_BUILD", ROOT / "build"))
    parser.add_argument("--rounds", type=int, default=15, help="of the relay latency (default: 15)")
    parser.add_argument("--seconds", type=float, default=4, help="of each codec's runs (default: 4)")
    parser.add_argument("--quick", action="store_true", help="only to see that everything runs; without rtpengine where it is missing")
    parser.add_argument("-j", "--json", action="store_true", help="JSON instead of the table")
    args = parser.parse_args()
    lab.isolate()
    args.build = args.build.resolve()
    if args.quick:
        args.rounds, args.seconds = 1, 0.5
    version = gateways.Rtpengine.version()
    if not args.quick and not (version and shutil.which("nft")):
        sys.exit("versus: rtpengine-daemon and nftables are needed: tools/ifgw-bench/ifgw-bench versus installs them")
    try:
        with lab.Lab() as the_lab:
            results = Versus(the_lab, args).run()
    except lab.LabError as error:
        sys.exit(f"versus: {str(error)[-1000:]}")
    rows = rows_of(results)
    about = {"cpus": os.cpu_count(), "kernel": platform.release(), "rtpengine": version, "load": round(os.getloadavg()[0], 1)}
    if args.json:
        print(json.dumps({"host": about, "quick": args.quick, "rows": rows, "results": results, "doubts": list(doubts(results))}, indent=2))
        return
    print(f"{version or 'rtpengine: not installed'}; Linux {about['kernel']}, {about['cpus']} processors, load {about['load']} at the end; gateways on CPU {gateways.GATEWAY_CPU}")
    table(rows)
    for line in doubts(results):
        print("note:", line)


main()
