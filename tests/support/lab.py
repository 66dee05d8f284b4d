"""A laboratory of network namespaces on one machine: what the smoke tests and the demo have in common.

Everything lives in mount, network and process namespaces of its own (isolate()), so that any number of labs run side by
side with the same names and ports, and nothing is left behind however a run ends.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time


class LabError(Exception):
    """What went wrong, for a person; the lab's logs say more."""


def isolate():
    """Runs the calling script again as root of its own namespaces, once. Never returns in the outer process."""
    if os.environ.get("IFGW_LAB") == "inside":
        return
    if os.geteuid() != 0:
        sys.exit("This needs root: it makes network namespaces. Try: sudo " + " ".join(sys.argv))
    os.environ["IFGW_LAB"] = "inside"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv])


def run(*argv, check=True, timeout=30, **kwargs):
    """A command that ends by itself; its output as text. Raises LabError with that output when it fails."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, **kwargs)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(str(a) for a in argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


# How many times slower the programs are than an ordinary build's: sanitizers (tools/dev/check).
SLOW = int(os.environ.get("IFGW_SLOW", "1"))


def wait_for(condition, seconds, what, interval=0.02):
    """Polls until condition() is truthy and returns it. The limit is for a loaded machine, not a measurement."""
    seconds *= SLOW
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {seconds} s in vain: {what}")
        time.sleep(interval)


class Process:
    """A program that runs until it is stopped, or ends by itself. Its output goes to `log`."""

    def __init__(self, name, argv, log, **kwargs):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen([str(a) for a in argv], stdin=kwargs.pop("stdin", subprocess.DEVNULL), stdout=out, stderr=out, **kwargs)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def wait(self, seconds):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {seconds} s; its log: {self.log}\n{self.output()[-2000:]}") from None

    def stop(self, sig=signal.SIGTERM, seconds=10):
        if self.running():
            self.popen.send_signal(sig)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait(5)


class Lab:
    """Namespaces, links and processes; a context manager that ends all of them."""

    def __init__(self):
        run("mount", "-t", "tmpfs", "none", "/run")  # ours alone, and gone with us: /run/netns, the sockets, all files
        pathlib.Path("/run/netns").mkdir()
        self.dir = pathlib.Path("/run/lab")
        self.dir.mkdir(mode=0o755)
        self.processes = []
        run("ip", "link", "set", "lo", "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop(seconds=5)
        shutil.rmtree(self.dir, ignore_errors=True)

    def namespace(self, name):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        # No router solicitations, no duplicate address detection: a quiet lab is a countable one.
        for setting in ("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.router_solicitations=0"):
            run("ip", "netns", "exec", name, "sysctl", "-q", "-w", setting)
        return name

    def link(self, ns_a, if_a, ns_b, if_b):
        run("ip", "link", "add", if_a, "netns", ns_a, "type", "veth", "peer", "name", if_b, "netns", ns_b)
        for ns, interface in ((ns_a, if_a), (ns_b, if_b)):
            # DPDK must see finished checksums and frames of wire size.
            run("ip", "netns", "exec", ns, "ethtool", "-K", interface, "tx", "off", "gro", "off", "tso", "off", "gso", "off")
            run("ip", "-n", ns, "link", "set", interface, "up")

    def address(self, ns, interface, *addresses):
        for address in addresses:
            run("ip", "-n", ns, "addr", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))

    def start(self, name, argv, ns=None, env=None, **kwargs):
        if ns:
            argv = ["ip", "netns", "exec", ns, *argv]
        log = self.dir / f"{name}.log"
        process = Process(name, argv, log, env={**os.environ, **(env or {})}, **kwargs)
        self.processes.append(process)
        return process

    def run_in(self, ns, *argv, **kwargs):
        return run("ip", "netns", "exec", ns, *argv, **kwargs)
