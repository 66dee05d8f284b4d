#!/usr/bin/env python3
"""Starting the dataplane: on every kind of port, with and without huge pages, and every way an operator can get it
wrong. An error must name the setting and say what to do; nothing may be left behind."""
import json
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402

EXE = gateway.build_dir() / "dataplane/main/ifgw-dataplane"
TOOL = gateway.build_dir() / "tests/smoke/plane_tool"
ADDRESS = ["--address", "out=10.1.0.1/24"]


class Startup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        for ns in ("wire", "caller"):
            cls.lab.namespace(ns)
        cls.lab.link("caller", "c0", "wire", "d0")
        cls.lab.address("caller", "c0", "10.1.0.2/24")

    def start(self, *options, prefix=()):
        self.count = getattr(self, "count", 0) + 1
        process = self.lab.start(f"{self.id().rsplit('.', 1)[-1]}-{self.count}", [*prefix, EXE, "--socket", "/run/dp.sock", *options], ns="wire")
        lab.wait_for(lambda: "ready:" in process.output() or not process.running(), 30, "ready, or an error")
        return process

    def runs(self, *options):
        """Starts, is asked for its leg table, and stops as told. Returns its log and counters."""
        process = self.start(*options)
        self.assertTrue(process.running(), process.output())
        state = json.loads(lab.run(TOOL, "/run/dp.sock", "legs").stdout)
        self.assertEqual(process.stop(), 0, process.output())
        return process.output(), state

    def refuses(self, status, words, *options, prefix=()):
        process = self.start(*options, prefix=prefix)
        self.assertEqual(process.wait(10), status, process.output())
        for word in words:
            self.assertIn(word, process.output())
        self.assertNotIn("terminate called", process.output())

    def test_port_af_packet(self):
        self.runs("--port", "out=net_af_packet0,iface=d0", *ADDRESS)

    def test_port_af_xdp(self):
        log, _ = self.runs("--port", "out=net_af_xdp0,iface=d0", *ADDRESS)
        self.assertIn("net_af_xdp", log)

    def test_port_tap(self):
        self.runs("--port", "out=net_tap0,iface=t0", *ADDRESS)

    def test_port_ring(self):
        self.runs("--port", "out=net_ring0", *ADDRESS)

    def test_port_null(self):
        self.runs("--port", "out=net_null0,size=64", *ADDRESS)

    def test_port_pcap(self):
        self.runs("--port", "out=net_pcap0,iface=d0", *ADDRESS)

    def test_two_workers_with_a_queue_each(self):
        log, state = self.runs("--port", "out=net_af_packet0,iface=d0,qpairs=2", *ADDRESS, "--workers", "2")
        self.assertEqual(state["in_use"], 0)

    def test_without_huge_pages(self):
        log, _ = self.runs("--port", "out=net_null0", *ADDRESS, "--memory", "none")
        self.assertIn("ordinary pages: --memory none", log)

    def test_chooses_memory_by_itself_and_says_why(self):
        log, _ = self.runs("--port", "out=net_null0", *ADDRESS)
        self.assertRegex(log, r"memory: (huge|ordinary) pages: \d+ MB needed, \d+ MB of huge pages free")

    def test_leaves_no_interface_and_no_socket_behind(self):
        self.runs("--port", "out=net_af_packet0,iface=d0", *ADDRESS, "--user", "root")
        self.assertNotIn("ifgw-out", self.lab.run_in("wire", "ip", "-br", "link").stdout)
        self.assertFalse(os.path.exists("/run/dp.sock"))

    def test_replaces_the_socket_of_a_dead_dataplane(self):
        self.start("--port", "out=net_null0", *ADDRESS).popen.kill()
        self.runs("--port", "out=net_null0", *ADDRESS)

    def test_idle_worker_sleeps_and_busy_worker_does_not(self):
        _, idle = self.runs("--port", "out=net_af_packet0,iface=d0", *ADDRESS)
        self.assertGreater(idle["sleeps"], 0)
        process = self.start("--port", "out=net_null0", *ADDRESS, "--busy-poll")
        polls = lambda: json.loads(lab.run(TOOL, "/run/dp.sock", "legs").stdout)  # noqa: E731
        lab.wait_for(lambda: polls()["polls"] > 100_000, 20, "100000 polls")
        self.assertEqual(polls()["sleeps"], 0)
        process.stop()

    def test_privileges_are_gone_after_start(self):
        process = self.start("--port", "out=net_af_packet0,iface=d0", *ADDRESS, "--user", "64101")
        threads = {}
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
            threads[task.name] = status
            self.assertEqual(set(status["Uid"].split()), {"64101"})
            self.assertEqual(status["Seccomp"], "2", "the system call filter")
            self.assertEqual(status["NoNewPrivs"], "1")
        net_admin = f"{1 << 12:016x}"
        self.assertEqual(threads[str(process.pid)]["CapEff"], net_admin, "the main thread keeps CAP_NET_ADMIN for neighbours")
        for task, status in threads.items():
            if task != str(process.pid):
                self.assertEqual(int(status["CapEff"], 16), 0, f"thread {status['Name']}")
        process.stop()

    def test_interface_that_is_not_there(self):
        self.refuses(1, ["--port out=net_af_packet0,iface=nosuch", "check"], "--port", "out=net_af_packet0,iface=nosuch", *ADDRESS)

    def test_driver_that_is_not_there(self):
        self.refuses(1, ["--port out=net_nosuch0", "driver"], "--port", "out=net_nosuch0", *ADDRESS)

    def test_pci_device_that_is_not_there(self):
        self.refuses(1, ["0000:ff:1f.7", "vfio-pci"], "--port", "out=0000:ff:1f.7", *ADDRESS)

    def test_without_privileges(self):
        self.refuses(1, ["--port out=net_af_packet0,iface=d0", "privileges"], "--port", "out=net_af_packet0,iface=d0", *ADDRESS, "--memory", "none",
                     prefix=["setpriv", "--reuid", "64101", "--regid", "64101", "--clear-groups"])

    def test_socket_of_a_running_dataplane(self):
        first = self.start("--port", "out=net_null0", *ADDRESS)
        self.refuses(1, ["--socket /run/dp.sock", "another dataplane is running"], "--port", "out=net_null0", *ADDRESS)
        first.stop()

    def test_huge_pages_that_are_not_there(self):
        self.refuses(1, ["--memory hugepages", "vm.nr_hugepages="], "--port", "out=net_null0", *ADDRESS, "--memory", "hugepages", "--packet-buffers", "4194303")

    def test_usage_errors_name_the_setting_and_the_range(self):
        for words, options in [
            (["--port"], []),
            (["--media-ports", "even"], ["--port", "out=net_null0", *ADDRESS, "--media-ports", "16385-20000"]),
            (["--address", "PREFIXLENGTH"], ["--port", "out=net_null0", "--address", "out=10.1.0.1"]),
            (["--address in", "no --port in"], ["--port", "out=net_null0", "--address", "in=10.1.0.1/24"]),
            (["--port out", "twice"], ["--port", "out=net_null0", "--port", "out=net_null1", *ADDRESS]),
            (["--cpus", "--workers"], ["--port", "out=net_null0", *ADDRESS, "--cpus", "0,1"]),
            (["--cpus 4711", "it may on "], ["--port", "out=net_null0", *ADDRESS, "--cpus", "4711"]),
            (["--address", "multicast"], ["--port", "out=net_null0", "--address", "out=224.0.0.1/8"]),
            (["--user", "does not exist"], ["--port", "out=net_null0", *ADDRESS, "--user", "nosuchuser"]),
            (["--workers"], ["--port", "out=net_null0", *ADDRESS, "--workers", "0"]),
        ]:
            with self.subTest(options=options):
                process = self.start(*options)
                self.assertIn(process.wait(10), (1, 2), process.output())
                for word in words:
                    self.assertIn(word, process.output())


if __name__ == "__main__":
    lab.isolate()
    tap.main()
