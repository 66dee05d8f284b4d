#!/usr/bin/env python3
"""The control plane without a dataplane, as a service manager sees it: starting, rotating its files, ending. Wrong settings
are in config_test.py, the command line in cli_test.py."""
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402

EXE = gateway.build_dir() / "controlplane/main/ifgw-controlplane"
CLI = gateway.build_dir() / "tools/ifgw/ifgw"
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


class ControlStartup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        cls.ns = cls.lab.namespace("gw")

    def setUp(self):
        self.dir = self.lab.dir / self.id().rsplit(".", 1)[-1]
        self.dir.mkdir(mode=0o777)
        self.dir.chmod(0o777)
        self.socket = self.dir / "control.sock"
        self.records = self.dir / "witness.jsonl"

    def tearDown(self):
        for process in list(self.lab.processes):
            process.stop(seconds=10)
            self.lab.processes.remove(process)

    def config(self, sip='udp = "127.0.0.1:5060"\ntcp = "127.0.0.1:5060"', more="", witness=None):
        path = self.dir / "gateway.toml"
        path.write_text(
            f'[sip]\n{sip}\n[dataplane]\nsocket = "{self.dir}/none.sock"\n[witness]\nfile = "{witness or self.records}"\n'
            f'[admin]\nsocket = "{self.socket}"\nmode = "0660"\n[[route]]\nid = "all"\ntarget = "sip:{{user}}@127.0.0.1:5080"\n{more}')
        return path

    def start(self, config, prefix=(), name="control"):
        process = self.lab.start(f"{self.dir.name}-{name}", [*prefix, EXE, "-c", config], ns=self.ns)
        lab.wait_for(lambda: "ready:" in process.output() or not process.running(), 20, "ready, or an error")
        return process

    def refuses(self, status, words, config, name="refused"):
        process = self.start(config, name=name)
        self.assertEqual(process.wait(10), status, process.output())
        for word in words:
            self.assertIn(word, process.output())
        self.assertNotIn("terminate called", process.output())

    def cli(self, *args, check=True):
        return lab.run(CLI, "-s", self.socket, *args, check=check)

    def test_starts_unprivileged_answers_and_ends_when_told(self):
        process = self.start(self.config(), prefix=NOBODY)
        self.assertTrue(process.running(), process.output())
        self.assertIn("allow-all", process.output())
        self.assertEqual(stat.S_IMODE(os.stat(self.socket).st_mode), 0o660)
        status = json.loads(self.cli("status", "-j").stdout)
        self.assertFalse(status["dataplane"]["attached"])
        self.assertIn("ifgw-dataplane", status["dataplane"]["error"])
        self.assertEqual(status["guard"]["rule"], "allow-all")
        self.assertEqual(process.stop(signal.SIGTERM), 0, process.output())
        self.assertFalse(self.socket.exists())
        self.assertEqual([json.loads(line)["event"] for line in self.records.read_text().splitlines()], ["STARTED"])

    def test_witness_disk_full(self):
        self.refuses(1, ["[witness] file", "/dev/full"], self.config(witness="/dev/full"))

    def test_missing_tls_certificate(self):
        self.refuses(1, ["[sip] tls", "/nonexistent.pem"],
                     self.config(sip='udp = "127.0.0.1:5060"\ntls = "127.0.0.1:5061"\ntls_certificate = "/nonexistent.pem"\ntls_key = "/nonexistent.pem"'))

    def test_open_files(self):
        config = self.config(sip='udp = "127.0.0.1:5060"\ntcp = "127.0.0.1:5060"\nmax_connections = 1000')
        self.start(config, prefix=["prlimit", "--nofile=100:5000"])
        pid = self.lab.processes[-1].pid
        self.assertRegex(pathlib.Path(f"/proc/{pid}/limits").read_text(), r"Max open files +5000 +5000")
        self.lab.processes[-1].stop()
        few = self.start(config, prefix=["prlimit", "--nofile=500:500"], name="few")
        self.assertEqual(few.wait(10), 1, few.output())
        told = re.search(r"\[sip\] max_connections = 1000 needs (\d+) open files .* the hard limit is 500: .*LimitNOFILE=(\d+).* at most (\d+)", few.output())
        self.assertTrue(told, few.output())
        needed, advised, at_most = map(int, told.groups())
        self.assertEqual(needed, advised)
        self.assertEqual(needed - 1000, 500 - at_most)
        self.start(config, prefix=["prlimit", f"--nofile={needed}:{needed}"], name="enough")
        self.assertTrue(self.lab.processes[-1].running(), self.lab.processes[-1].output())

    def test_every_connection_that_is_allowed_finds_a_descriptor(self):
        config = self.config(sip='udp = "127.0.0.1:5060"\ntcp = "127.0.0.1:5060"\nmax_connections = 300\nmax_connections_per_source = 300')
        refused = self.start(config, prefix=["prlimit", "--nofile=200:200"], name="limit")
        needed = re.search(r"LimitNOFILE=(\d+)", refused.output())[1]
        process = self.start(config, prefix=["prlimit", f"--nofile={needed}:{needed}"])
        script = ("import socket\nmany = [socket.create_connection(('127.0.0.1', 5060), timeout=10) for _ in range(310)]\nprint('open', flush=True)\ninput()\n")
        crowd = self.lab.start(f"{self.dir.name}-crowd", [sys.executable, "-c", script], ns=self.ns, stdin=subprocess.PIPE)
        try:
            lab.wait_for(lambda: json.loads(self.cli("status", "-j").stdout)["sip"]["connections"] == 300, 20, "all that are allowed are served")
            sip = json.loads(self.cli("status", "-j").stdout)["sip"]
            self.assertEqual(sip["accept_failures"], 0)
        finally:
            crowd.popen.stdin.close()
        self.assertTrue(process.running())

    def test_rotation_by_hangup(self):
        process = self.start(self.config())
        self.records.rename(self.dir / "old.jsonl")
        process.popen.send_signal(signal.SIGHUP)
        lab.wait_for(self.records.exists, 5, "the witness file is made again")
        self.assertTrue(process.running())

    def test_a_log_that_nobody_reads_holds_nothing_up(self):
        # The pipe of another user cannot be opened anew: then it is asked.
        for name, mode in (("own", 0o666), ("others", 0o600)):
            with self.subTest(pipe=name):
                fifo = self.dir / f"{name}.fifo"
                os.mkfifo(fifo)
                fifo.chmod(mode)
                reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
                self.addCleanup(os.close, reader)
                with self.assertRaises(BlockingIOError):
                    while True:
                        os.write(reader, b"x" * 4096)
                process = self.lab.start(f"{self.dir.name}-{name}", ["sh", "-c", 'exec "$@" 2>"$0"', fifo, *NOBODY, EXE, "-c", self.config()], ns=self.ns)
                lab.wait_for(lambda: self.cli("status", "-j", check=False).returncode == 0 or not process.running(), 20, "control plane answers")
                self.assertGreater(json.loads(self.cli("status", "-j").stdout)["log"]["lines_dropped"], 0)
                os.read(reader, 1 << 20)
                process.popen.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(10), 0)
                self.assertRegex(os.read(reader, 1 << 16).decode(), r"W log: \d+ lines dropped: nobody read them in time\n.* stopping")

    def test_tells_systemd(self):
        notify = self.dir / "notify.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(notify))
            sock.settimeout(20)
            process = self.lab.start(f"{self.dir.name}-control", [EXE, "-c", self.config()], ns=self.ns, env={"NOTIFY_SOCKET": str(notify)})
            self.assertEqual(sock.recv(100), b"READY=1")
            process.stop()
            self.assertEqual(sock.recv(100), b"STOPPING=1")

    def test_without_a_dataplane_a_call_is_refused_with_the_reason(self):
        self.start(self.config())
        invite = (
            "INVITE sip:x@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
            "From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: 1@t\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:5099>\r\n"
            "Content-Length: 0\r\n\r\n")
        script = ("import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('127.0.0.1',5099))\ns.settimeout(10)\n"
                  "s.sendto(sys.argv[1].encode(),('127.0.0.1',5060))\n"
                  "for _ in range(2): print(s.recv(65536).decode())\n")
        heard = self.lab.run_in(self.ns, sys.executable, "-c", script, invite).stdout
        self.assertIn("SIP/2.0 503", heard)
        self.assertIn("Retry-After: 5", heard)
        ended = json.loads(self.cli("calls", "show", "--ended", "-j").stdout)["rows"]
        self.assertEqual(ended[-1]["refusal"]["rule"], "no-dataplane")


if __name__ == "__main__":
    lab.isolate()
    tap.main()
