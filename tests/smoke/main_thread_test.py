#!/usr/bin/env python3
"""What the dataplane's main thread does beside the packets, behind the system call filter."""
import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402


class Base(unittest.TestCase):
    OPTIONS = ()

    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        gateway.Network(self.lab)
        self.dataplane = gateway.Dataplane(self.lab, *self.OPTIONS)
        self.assertIn("system call filter: on", self.dataplane.process.output())


class EverySecond(Base):
    def test_ports_show_what_went_through_them(self):
        control = gateway.ControlPlane(self.lab, gateway.basic_config())
        port = lambda: next(row for row in control.ctl("port show")["rows"] if row["name"] == "out")  # noqa: E731
        before = port()
        self.lab.run_in("caller", "ping", "-c", "50", "-i", "0.01", gateway.OUTSIDE)
        moved = lambda: {key for key in ("rx_packets", "tx_packets") if port()[key] >= before[key] + 50}  # noqa: E731
        lab.wait_for(lambda: moved() == {"rx_packets", "tx_packets"}, 10, "50 pings and their answers are counted")

    def test_a_client_that_says_nothing_is_let_go(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.settimeout(10)  # its limit is a second
            silent.connect(self.dataplane.SOCKET)
            self.assertEqual(silent.recv(1), b"", "hung up")
        self.assertIn("a client connected and said nothing", self.dataplane.process.output())


if __name__ == "__main__":
    lab.isolate()
    tap.main()
