"""The two gateways of the comparison, each behind wires of its own, and the observer at their outer ends:

    load:  o [10.1.0.2] -- veth -- d0 [10.1.0.1]  the gateway, namespace gate  d1 [10.2.0.1] -- veth -- i [10.2.0.2]

All their threads run on one CPU, the last; the observer on the others. Both have the same calls: PCMU from the caller.
"""
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests/support"))
import audio  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402

GATEWAY_CPU = os.cpu_count() - 1
CALLER, CALLEE = ("10.1.0.2", 20000), ("10.2.0.2", 20000)
NG = "127.0.0.1:2223"


def colon(endpoint):
    return f"{endpoint[0]}:{endpoint[1]}"


class Gateway:
    """Its wires; what both have in common. Subclasses start `self.process`."""

    _count = 0

    def __init__(self, the_lab, name):
        self.lab, self.name = the_lab, name
        number = Gateway._count = Gateway._count + 1
        self.load, self.gate = the_lab.namespace(f"load{number}"), the_lab.namespace(f"gate{number}")
        the_lab.link(self.load, "o", self.gate, "d0")
        the_lab.link(self.load, "i", self.gate, "d1")
        the_lab.address(self.load, "o", f"{CALLER[0]}/24")
        the_lab.address(self.load, "i", f"{CALLEE[0]}/24")
        # The observer has no sockets there: its kernel must not answer with ICMP errors, which would cost the gateway time.
        if shutil.which("nft"):
            the_lab.run_in(self.load, "nft", "add table ip quiet; add chain ip quiet in { type filter hook prerouting priority -300; }; add rule ip quiet in udp dport 1024-65535 drop")
        self.calls_made = 0

    def tasks(self):
        return [int(task.name) for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()]

    def pin(self):
        for task in self.tasks():
            os.sched_setaffinity(task, {GATEWAY_CPU})

    def cpu_ns(self):
        """CPU time of all its threads, with what the kernel did on their behalf."""
        return sum(int(pathlib.Path(f"/proc/{self.process.pid}/task/{task}/schedstat").read_text().split()[0]) for task in self.tasks())

    def prefer(self, fifo):
        """In a round with `fifo` nothing ordinary of this host gets in its way, for either gateway. The main thread goes before the
        others: who waits for it by polling, on the same CPU, would keep it from ever answering."""
        for task in self.tasks():
            priority = 41 if task == self.process.pid else 40
            os.sched_setscheduler(task, os.SCHED_FIFO if fifo else os.SCHED_OTHER, os.sched_param(priority if fifo else 0))

    def awake(self):
        """A busy-polling gateway takes the CPU from the other one, so it stands still between its rounds."""

    def asleep(self):
        pass


class Ours(Gateway):
    def __init__(self, the_lab, build, busy_poll):
        super().__init__(the_lab, "ifgw, busy polling" if busy_poll else "ifgw")
        self.build, self.busy_poll = build, busy_poll
        self.socket = f"/run/{self.gate}.sock"
        self.exception = the_lab.namespace(f"gw-{self.gate}")
        self.start()

    def start(self):
        ring, logged = "framecnt=4096,blocksz=65536,qpairs=1", self.lab.dir / f"{self.gate}.log"
        logged.unlink(missing_ok=True)
        self.process = self.lab.start(self.gate, [
            self.build / "dataplane/main/ifgw-dataplane", "--port", f"out=net_af_packet0,iface=d0,{ring}", "--port", f"in=net_af_packet1,iface=d1,{ring}",
            "--address", "out=10.1.0.1/24", "--address", "in=10.2.0.1/24", "--exception-netns", f"/run/netns/{self.exception}", "--socket", self.socket,
            "--user", "64101", "--media-ports", "16384-65535", "--transcoding-mb", "256", "--max-load", "0", "--cpus", GATEWAY_CPU, *(["--busy-poll"] if self.busy_poll else [])], ns=self.gate)
        lab.wait_for(lambda: "ready:" in self.process.output() or not self.process.running(), 60, "dataplane ready")
        if not self.process.running():
            raise lab.LabError("the dataplane ended:\n" + self.process.output())
        self.pin()

    def tool(self, *args):
        return lab.run(self.build / "tests/smoke/plane_tool", self.socket, *args, timeout=120).stdout

    def calls(self, codec, count):
        """Of a dataplane that has had none before: it does not give a port away again for a while."""
        if self.calls_made:
            self.process.stop()
            self.start()
        self.calls_made += 1
        return json.loads(self.tool("calls", colon(CALLER), "PCMU", colon(CALLEE), codec, count))

    def awake(self):
        if self.busy_poll:
            os.kill(self.process.pid, signal.SIGCONT)

    def asleep(self):
        if self.busy_poll:
            os.kill(self.process.pid, signal.SIGSTOP)


class Rtpengine(Gateway):
    def __init__(self, the_lab):
        super().__init__(the_lab, "rtpengine")
        the_lab.address(self.gate, "d0", "10.1.0.1/24")
        the_lab.address(self.gate, "d1", "10.2.0.1/24")
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # four descriptors a call
        # In user space (table -1), one worker thread: one core is what is compared.
        self.process = the_lab.start(self.gate, [
            "rtpengine", "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=3", "--num-threads=1", f"--listen-ng={NG}",
            "--interface=outside/10.1.0.1", "--interface=inside/10.2.0.1", "--port-min=20000", "--port-max=65000", "--timeout=3600", "--silent-timeout=3600"], ns=self.gate)
        lab.wait_for(self.listening, 20, "rtpengine answers")
        self.prefix, self.count = "", 0
        self.pin()

    def listening(self):
        if not self.process.running():
            raise lab.LabError("rtpengine ended:\n" + self.process.output())
        return ":2223" in self.lab.run_in(self.gate, "ss", "-Hlnu").stdout

    def ng(self, *args):
        return self.lab.run_in(self.gate, gateway.PYTHON, HERE / "ng_calls.py", NG, *args, timeout=120).stdout

    def calls(self, codec, count):
        if self.count:
            self.ng("delete", self.prefix, self.count)
        self.calls_made += 1
        self.prefix, self.count = f"versus{self.calls_made}", count
        made = json.loads(self.ng("call", self.prefix, colon(CALLER), colon(CALLEE), codec, count))
        self.pin()  # threads it may have started since
        return made

    @staticmethod
    def version():
        if not shutil.which("rtpengine"):
            return None
        done = subprocess.run(["rtpengine", "--version"], capture_output=True, text=True, check=False)
        return "rtpengine " + (done.stdout + done.stderr).replace("Version:", "").strip().splitlines()[0]


class Observer:
    """versus_observer with `count` new calls of its gateway: streams from the caller that start from nothing."""

    def __init__(self, the_gateway, build, codec, count, says):
        self.gateway, the_lab = the_gateway, the_gateway.lab
        the_gateway.awake()
        calls = the_gateway.calls(codec, count)
        streams = the_lab.dir / f"{the_gateway.gate}.streams"
        streams.write_text("".join(f"{CALLER[0]}:{CALLER[1] + 2 * i} {towards} {CALLEE[1] + 2 * i}\n" for i, (towards, _) in enumerate(calls)))
        for end, address in (("o", "10.1.0.1"), ("i", "10.2.0.1")):  # both ends know each other before anything is measured
            the_lab.run_in(the_gateway.load, "ping", "-c", "1", "-w", "5", "-I", end, address)
        neighbour = the_lab.run_in(the_gateway.load, "ip", "-j", "neigh", "show", "10.1.0.1", "dev", "o").stdout
        self.process = subprocess.Popen(["ip", "netns", "exec", the_gateway.load, build / "bench/system/versus_observer", "o", "i", json.loads(neighbour)[0]["lladdr"], streams, says],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, set(range(GATEWAY_CPU)) or {0}))
        if self.process.stdout.readline() != "ready\n":
            raise lab.LabError("the observer ended")
        the_gateway.asleep()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, command, fifo=False):
        """One command; its answer with the gateway's CPU time in it."""
        self.gateway.awake()
        try:
            self.prefer(fifo)
            before = self.gateway.cpu_ns()
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            spent = self.gateway.cpu_ns() - before
        finally:
            self.prefer(False)
            self.gateway.asleep()
        if not line:
            raise lab.LabError(f"the observer ended at: {command}")
        answer = json.loads(line)
        answer["cpu_us_per_packet"] = spent / 1000 / max(1, answer["arrived"])
        answer["cpu_share"] = spent / 1e9 / answer["seconds"]
        answer["lost"] = answer["sent"] - answer["arrived"]
        return answer

    def prefer(self, fifo):
        self.gateway.prefer(fifo)
        os.sched_setscheduler(self.process.pid, os.SCHED_FIFO if fifo else os.SCHED_OTHER, os.sched_param(40 if fifo else 0))


def write_speech(path):
    """Four seconds like speech, as PCMU: what an encoder has to work for."""
    import numpy as np
    t = np.arange(4 * audio.RATE) / audio.RATE
    phase = np.cumsum(110 + 40 * np.sin(2 * np.pi * 0.7 * t)) * 2 * np.pi / audio.RATE
    envelope = np.where(t % 0.3 < 0.2, np.sin(np.pi * (t % 0.3) / 0.2), 0)
    signal = sum((np.exp(-((120 * h - 600) / 300) ** 2) + 0.4 * np.exp(-((120 * h - 1800) / 400) ** 2) + 0.02) * np.sin(phase * h) for h in range(1, 26))
    path.write_bytes(audio.encode(0, 0.12 * envelope * signal))
