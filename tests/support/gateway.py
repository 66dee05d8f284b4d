"""The gateway in a lab: both planes as an operator would start them, two parties' networks around it.

    caller [c0 10.1.0.2] -- veth -- [d0] dataplane [d1] -- veth -- [e0 10.2.0.2] callee
                                    its taps ifgw-out 10.1.0.1, ifgw-in 10.2.0.1 and the control plane: in "gw"
"""
import json
import os
import pathlib
import socket

import lab

SUPPORT = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3"

CALLER, CALLEE = "10.1.0.2", "10.2.0.2"
CALLER6, CALLEE6 = "fd01::2", "fd02::2"
OUTSIDE, INSIDE = "10.1.0.1", "10.2.0.1"
OUTSIDE6, INSIDE6 = "fd01::1", "fd02::1"


def build_dir():
    path = pathlib.Path(os.environ.get("IFGW_BUILD", "build"))
    if not (path / "dataplane/main/ifgw-dataplane").exists():
        raise lab.LabError(f"no programs in {path.absolute()}: build first, and set IFGW_BUILD to the build directory")
    return path.absolute()


def veths(the_lab):
    the_lab.link("caller", "c0", "wire", "d0")
    the_lab.link("callee", "e0", "wire", "d1")


def af_packet(number, interface, queues=1):
    return f"net_af_packet{number},iface={interface},framecnt=4096,blocksz=65536,qpairs={queues}"


class Network:
    """The namespaces and wires, without the gateway. `wires` makes c0 for the caller and e0 for the callee."""

    def __init__(self, the_lab, wires=veths):
        self.lab = the_lab
        for ns in ("wire", "gw", "caller", "callee"):
            the_lab.namespace(ns)
        wires(the_lab)
        the_lab.address("caller", "c0", f"{CALLER}/24", f"{CALLER6}/64")
        the_lab.address("callee", "e0", f"{CALLEE}/24", f"{CALLEE6}/64")


class Dataplane:
    SOCKET = "/run/dataplane.sock"

    def __init__(self, the_lab, *options, name="dataplane", wait=True, queues=1, devices=None):
        self.lab, self.build = the_lab, build_dir()
        out, inside = devices or (af_packet(0, "d0", queues), af_packet(1, "d1", queues))
        self.process = the_lab.start(name, [
            self.build / "dataplane/main/ifgw-dataplane",
            "--port", f"out={out}", "--port", f"in={inside}",
            "--address", f"out={OUTSIDE}/24", "--address", f"in={INSIDE}/24", "--address", f"out={OUTSIDE6}/64", "--address", f"in={INSIDE6}/64",
            "--exception-netns", "/run/netns/gw", "--socket", self.SOCKET, "--allow-user", "64102", "--user", "64101", *options], ns="wire")
        if wait:
            lab.wait_for(lambda: "ready:" in self.process.output() or not self.process.running(), 30, "dataplane ready")
            if not self.process.running():
                raise lab.LabError("the dataplane ended:\n" + self.process.output())

    def route(self, *args):
        """ip route, where the gateway's own routes are."""
        return self.lab.run_in("gw", "ip", "route", *args)

    def tool(self, *args):
        """plane_tool, the control plane of a few lines."""
        return lab.run(self.build / "tests/smoke/plane_tool", self.SOCKET, *args).stdout

    def legs(self):
        return json.loads(self.tool("legs"))

    def call(self, remote_a, codec_a, remote_b, codec_b):
        return json.loads(self.tool("call", remote_a, codec_a, remote_b, codec_b))


def start_rtp(the_lab, name, ns, local, remote, payload_type, seconds, *options):
    """An RTP party; returns it once its socket is bound. rtp_result() reads what it heard."""
    out = the_lab.dir / f"{name}.json"
    process = the_lab.start(name, [PYTHON, SUPPORT / "rtp_peer.py", local, remote, payload_type, seconds, "--out", out, *options], ns=ns)
    process.out = out
    lab.wait_for(lambda: "ready" in process.output() or not process.running(), 20, f"{name} bound its socket")
    return process


class Start:
    """RTP parties that are started inside begin to talk together, when it ends: pass them its options."""

    def __init__(self, the_lab):
        self.file = the_lab.dir / "go"
        self.options = ("--go", self.file)

    def __enter__(self):
        self.file.unlink(missing_ok=True)
        return self

    def __exit__(self, *_):
        self.file.touch()


def rtp_result(process, seconds=60):
    if process.wait(seconds) != 0:
        raise lab.LabError(f"{process.name}: {process.output()}")
    return json.loads(process.out.read_text())


def start_talkers(the_lab, ns, host, first_port, remotes, until):
    """A party for each of `remotes`, all talking until the file `until` exists; the process prints then what each has sent."""
    return the_lab.start("talkers", [PYTHON, SUPPORT / "talkers.py", host, first_port, until, *remotes], ns=ns)


def expert_route(caller_codecs, callee_codecs, user="*", name="expert"):
    """A route to the callee; codecs as the configuration names them, preferred first."""
    texts = lambda codecs: ", ".join(f'"{codec}"' for codec in codecs)  # noqa: E731
    return (f'id = "{name}"\nuser = "{user}"\ntarget = "sip:{{user}}@{CALLEE}:5060"\nlocal = "{INSIDE}:5060"\n'
            f'caller_codecs = [{texts(caller_codecs)}]\ncallee_codecs = [{texts(callee_codecs)}]')


EXPERT_ROUTE = expert_route(("PCMU", "PCMA"), ("PCMA", "PCMU"))


def basic_config(**more):
    """A route from anywhere to the callee: PCMU outside, PCMA inside. `more` replaces or adds whole sections."""
    sections = {
        "dataplane": f'socket = "{Dataplane.SOCKET}"',
        "sip": f'udp = ["{OUTSIDE}:5060", "{INSIDE}:5060"]\ntcp = ["{OUTSIDE}:5060", "{INSIDE}:5060"]',
        "witness": 'file = "/run/ifgw/witness.jsonl"',
        "admin": f'socket = "{ControlPlane.SOCKET}"',
        "[route]": EXPERT_ROUTE,
        **more,
    }
    return "\n".join(f"[{name}]\n{body}\n" for name, body in sections.items() if body is not None)


def codec_config(caller_codec, callee_codec, **more):
    """basic_config() with one codec for each party."""
    return basic_config(**{"[route]": expert_route([caller_codec], [callee_codec]), **more})


class ControlPlane:
    SOCKET = "/run/ifgw/control.sock"
    USER = ["setpriv", "--reuid", "64102", "--regid", "64102", "--clear-groups"]

    def __init__(self, the_lab, config, name="controlplane", wait=True):
        self.lab, self.build, self.name = the_lab, build_dir(), name
        self.file = the_lab.dir / f"{name}.toml"
        self.file.write_text(config)
        state = pathlib.Path("/run/ifgw")
        state.mkdir(exist_ok=True)
        os.chown(state, 64102, 64102)
        self.start(wait)

    def start(self, wait=True):
        """Starts it (again): unprivileged, in the namespace of the exception interfaces."""
        before = self.lab.dir.joinpath(f"{self.name}.log").stat().st_size if self.lab.dir.joinpath(f"{self.name}.log").exists() else 0
        self.process = self.lab.start(self.name, [*self.USER, self.build / "controlplane/main/ifgw-controlplane", "-c", self.file], ns="gw")
        if not wait:
            return
        attached = lambda: self.ctl("status", check=False).get("dataplane", {}).get("attached")  # noqa: E731
        lab.wait_for(lambda: attached() or not self.process.running(), 20, "control plane attached")
        if not self.process.running():
            raise lab.LabError("the control plane ended:\n" + self.process.log.read_text()[before:])

    def ctl(self, command, check=True, **args):
        """One command of the admin protocol; its result. Without `check` an unreachable control plane is an empty answer."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(10)
                sock.connect(self.SOCKET)
                sock.sendall(json.dumps({"id": 1, "command": command, "args": args}).encode() + b"\n")
                answer = json.loads(sock.makefile("rb").readline())
        except (OSError, ValueError):
            if check:
                raise
            return {}
        if check and not answer["ok"]:
            raise lab.LabError(f"{command}: {answer['error']}")
        return answer.get("result", {})

    def cli(self, *args, prefix=()):
        """The operator's command line, as an operator runs it; the ended process."""
        return lab.run(*prefix, self.build / "tools/ifgw/ifgw", "-s", self.SOCKET, *args, check=False)

    def records(self):
        """The records that are whole: a reader may meet the file while the last is being written."""
        *lines, _ = pathlib.Path("/run/ifgw/witness.jsonl").read_text().split("\n")
        return [json.loads(line) for line in lines]
