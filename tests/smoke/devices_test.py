#!/usr/bin/env python3
"""Packets through ports of every kind that has a wire: audio both ways, the kernel behind the exception port, and a flood. The
kinds that most tests do not use; AF_PACKET is what they do use, cards by PCI address are nic_test.py's."""
import pathlib
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support"), str(pathlib.Path(__file__).parent)]
import dataplane_test  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402


class Devices:
    """What passes through each kind; a class of the kind says how the dataplane is started."""
    talk, check = dataplane_test.Media.talk, dataplane_test.Media.check

    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        gateway.Network(self.lab, self.wires)

    def start(self, *devices):
        self.dataplane = gateway.Dataplane(self.lab, devices=devices)
        for device in devices:
            self.assertIn(f"({device.split(',')[0].rstrip('01')})", self.dataplane.process.output())

    def test_audio_ping_and_flood(self):
        self.talk(gateway.CALLER, "PCMU", gateway.CALLEE, "PCMU")
        self.talk(f"[{gateway.CALLER6}]", "PCMA", gateway.CALLEE, "PCMU")
        for ns, ours in (("caller", gateway.OUTSIDE), ("callee", gateway.INSIDE6)):
            self.lab.run_in(ns, "ping", "-c", "3", "-i", "0.2", "-W", "5", ours)
        before = self.dataplane.legs()["drops"]["source_limited"]
        dataplane_test.flood(self.lab, "caller", 100, 200, gateway.CALLER, gateway.OUTSIDE)
        self.assertEqual(self.dataplane.legs()["drops"]["source_limited"] - before, 70)


class AfXdp(Devices, unittest.TestCase):
    def wires(self, the_lab):
        gateway.veths(the_lab)
        self.start("net_af_xdp0,iface=d0", "net_af_xdp1,iface=d1")


class Pcap(Devices, unittest.TestCase):
    def wires(self, the_lab):
        gateway.veths(the_lab)
        self.start("net_pcap0,iface=d0", "net_pcap1,iface=d1")


class Tap(Devices, unittest.TestCase):
    """The parties' interfaces are the other ends of the ports themselves."""

    def wires(self, the_lab):
        self.start("net_tap0,iface=c0", "net_tap1,iface=e0")
        for ns, interface in (("caller", "c0"), ("callee", "e0")):
            lab.run("ip", "-n", "wire", "link", "set", interface, "netns", ns)
            lab.run("ip", "-n", ns, "link", "set", interface, "up")


if __name__ == "__main__":
    lab.isolate()
    tap.main()
