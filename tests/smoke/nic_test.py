#!/usr/bin/env python3
"""Ports by PCI address: the dataplane on a machine with network cards, an IOMMU and huge pages, as it is on bare metal.
The machine is emulated (tests/support/machine.py), the way is the real one: vfio and a poll-mode driver of DPDK's."""
import json
import pathlib
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support"), str(pathlib.Path(__file__).parent)]
import dataplane_test  # noqa: E402
import gateway  # noqa: E402
import lab  # noqa: E402
import machine  # noqa: E402
import tap  # noqa: E402
import vlan_test  # noqa: E402


class DataplaneInMachine(gateway.Dataplane):
    """What gateway.Dataplane is to tests, on the cards of a machine. One at a time."""

    def __init__(self, the_machine, *options, cards=None):
        self.machine, self.build = the_machine, gateway.build_dir()
        command = f"ifgw-dataplane --no-measure --socket {self.SOCKET} --user 64101 --allow-user root {' '.join(options)}"
        for name, card, address, address6 in zip(("out", "in"), cards or the_machine.cards, (gateway.OUTSIDE, gateway.INSIDE), (gateway.OUTSIDE6, gateway.INSIDE6), strict=True):
            command += f" --port {name}={card} --address {name}={address}/24 --address {name}={address6}/64"
        the_machine.run(f"rm -f /run/ended; (setsid {command} >/run/dataplane.log 2>&1; echo $? >/run/ended) &")
        lab.wait_for(lambda: the_machine.run("grep -q ready: /run/dataplane.log || test -e /run/ended")[0] == 0, 60, "dataplane ready, or an error", 0.2)
        self.log = the_machine.run("cat /run/dataplane.log")[1]

    def stop(self):
        """Asks it to end, if it runs; returns its exit status. self.log is whole now."""
        self.machine.run("kill $(pidof ifgw-dataplane)")
        lab.wait_for(lambda: self.machine.run("test -e /run/ended")[0] == 0, 60, "dataplane ended", 0.2)
        self.log = self.machine.run("cat /run/dataplane.log")[1]
        return int(self.machine.run("cat /run/ended")[1])

    def route(self, *args):
        self.machine.run(f"ip route {' '.join(args)}")

    def tool(self, *args):
        status, output = self.machine.run(f"plane_tool {self.SOCKET} {' '.join(str(arg) for arg in args)}")
        if status != 0:
            raise lab.LabError(output)
        return output


class Machine(unittest.TestCase):
    """A machine between caller and callee, its cards bound to vfio-pci."""
    QUEUES = 1

    @classmethod
    def setUpClass(cls):
        if machine.kernel() is None:
            raise unittest.SkipTest("no kernel for the emulated machine beside the build: tools/test downloads it")
        cls.lab = lab.Lab()
        cls.addClassCleanup(cls.lab.__exit__)
        gateway.Network(cls.lab, cls.wires)

    @classmethod
    def wires(cls, the_lab, wires=None):
        programs = [gateway.build_dir() / path for path in ("dataplane/main/ifgw-dataplane", "tests/smoke/plane_tool", "tools/ifgw/ifgw")]
        cls.machine = machine.Machine(the_lab, cls.CARD, wires or {"c0": "caller", "e0": "callee"}, programs, cls.QUEUES)
        for card in cls.machine.cards:
            cls.machine.bind(card, "vfio-pci")

    def doctor(self, subject):
        """The line of ifgw doctor about this, in the machine."""
        return next((line for line in json.loads(self.machine.run("ifgw doctor -j")[1]) if line["check"] == subject), None)

    def ping(self):
        for ns, ours in (("caller", gateway.OUTSIDE), ("callee", gateway.INSIDE), ("caller", gateway.OUTSIDE6), ("callee", gateway.INSIDE6)):
            self.lab.run_in(ns, "ping", "-c", "3", "-i", "0.2", "-W", "5", ours)


class MediaThroughIntelCards(Machine, dataplane_test.Media):
    CARD = "e1000e"
    test_control_plane_killed_two_hundred_times_costs_no_packet = None  # an emulated processor is too slow to be killed so often
    test_media_goes_through_a_router_known_by_its_ipv6_address = None  # the ip of the machine (busybox) knows no such route

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dataplane = DataplaneInMachine(cls.machine)

    def test_doctor_finds_nothing_to_mend(self):
        for subject in ("hugepages", "iommu", "vfio-pci", *(f"nic {card}" for card in self.machine.cards)):
            self.assertEqual(self.doctor(subject)["health"], "OK", self.doctor(subject))

    def test_driver_and_memory_are_told(self):
        for card in self.machine.cards:
            self.assertIn(f"{card} (net_e1000_em), verifies IP and UDP checksums, can only be polled", self.dataplane.log)
        self.assertIn("memory: huge pages", self.dataplane.log)
        self.assertIn("system call filter: on", self.dataplane.log)

    def test_stops_and_starts_again(self):
        self.assertEqual(self.dataplane.stop(), 0, self.dataplane.log)
        type(self).dataplane = DataplaneInMachine(self.machine)
        self.ping()

    def test_everything_else_reaches_the_kernel(self):
        self.ping()

    def test_of_a_flood_exactly_thirty_pass(self):
        before = self.dataplane.legs()["drops"]["source_limited"]
        dataplane_test.flood(self.lab, "callee", 100, 200, gateway.CALLEE, gateway.INSIDE)
        self.assertEqual(self.dataplane.legs()["drops"]["source_limited"] - before, 70)


class VlansOfOneCard(Machine):
    """Both networks are VLANs of one card, whose driver could strip and filter tags."""
    CARD = "e1000e"
    talk, check = dataplane_test.Media.talk, dataplane_test.Media.check

    @classmethod
    def wires(cls, the_lab):
        the_lab.namespace("switch")
        the_lab.link("caller", "c0", "switch", "s0")
        the_lab.link("callee", "e0", "switch", "s1")
        super().wires(the_lab, {"t0": "switch"})
        vlan_test.switch(the_lab)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        card = cls.machine.cards[0]
        cls.dataplane = DataplaneInMachine(cls.machine, cards=(f"{card},vlan={vlan_test.OUT_VLAN}", f"{card},vlan={vlan_test.IN_VLAN}"))

    def test_media_and_the_kernel_each_in_its_vlan(self):
        self.assertIn(f"port in: {self.machine.cards[0]}, VLAN {vlan_test.IN_VLAN} (net_e1000_em)", self.dataplane.log)
        self.ping()
        self.talk(gateway.CALLER, "PCMU", gateway.CALLEE, "PCMU")
        self.talk(f"[{gateway.CALLER6}]", "PCMA", f"[{gateway.CALLEE6}]", "PCMU")


class MediaThroughCardsWithTwoQueues(Machine, dataplane_test.Media):
    """The card itself spreads packets over the workers' queues (RSS), by its own idea of whose they are."""
    CARD, QUEUES = "virtio-net-pci,disable-legacy=on,iommu_platform=on,mq=on,rss=on,vectors=6", 2
    test_control_plane_killed_two_hundred_times_costs_no_packet = None  # as above
    test_media_goes_through_a_router_known_by_its_ipv6_address = None  # the ip of the machine (busybox) knows no such route

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dataplane = DataplaneInMachine(cls.machine, "--workers", "2")

    def test_what_the_card_gives_to_the_wrong_worker_changes_hands_and_is_whole(self):
        calls = json.loads(self.dataplane.tool("calls", f"{gateway.CALLER}:4000", "PCMU", f"{gateway.CALLEE}:4000", "PCMU", 16))
        before = self.dataplane.legs()["workers"]
        until = self.lab.dir / "enough"
        talking = gateway.start_talkers(self.lab, "caller", gateway.CALLER, 4000, [a for a, _ in calls], until)
        legs = lambda: {leg["local"]: leg for leg in self.dataplane.legs()["legs"]}  # noqa: E731
        lab.wait_for(lambda: min(legs()[a]["rx"] for a, _ in calls) >= 50, 60, "a second of each call")
        until.touch()
        talking.wait(20)
        sent = int(talking.output())
        rows = lab.wait_for(lambda: (rows := legs()) and all(rows[b]["tx"] == sent for _, b in calls) and rows, 20, "every packet went on")
        self.assertEqual({(rows[a]["rx"], rows[a]["dropped"]) for a, _ in calls}, {(sent, 0)})
        after = self.dataplane.legs()["workers"]
        rx, handed, taken = ([b[key] - a[key] for a, b in zip(before, after, strict=True)] for key in ("rx", "handed_over", "taken_over"))
        # All legs are worker 0's; of 16 flows the card's hash gives some to either queue.
        self.assertGreater(rx[0], 2 * sent)
        self.assertGreater(rx[1], 2 * sent)
        self.assertEqual((handed[0], taken[1]), (0, 0))
        self.assertEqual(handed[1], taken[0])
        self.assertGreaterEqual(taken[0], 2 * sent)


class StartOnVirtioCards(Machine):
    CARD = "virtio-net-pci,disable-legacy=on,iommu_platform=on"

    def test_starts_by_short_addresses_and_again_after_a_stop(self):
        short = [card.removeprefix("0000:") for card in self.machine.cards]
        for _ in range(2):
            dataplane = DataplaneInMachine(self.machine, cards=short)
            self.assertIn(f"port out: {short[0]} (net_virtio)", dataplane.log)
            self.ping()
            self.assertEqual(dataplane.stop(), 0, dataplane.log)
            self.assertTrue(dataplane.log.endswith("stopping\n"), dataplane.log)

    def test_a_card_that_the_kernel_uses(self):
        card = self.machine.cards[1]
        self.machine.bind(card, "virtio-pci")
        self.addCleanup(self.machine.bind, card, "vfio-pci")
        dataplane = DataplaneInMachine(self.machine)
        found = self.doctor(f"nic {card}")
        self.assertEqual((found["health"], found["seen"]), ("WARN", "driver virtio-pci"))
        self.assertIn(f"dpdk-devbind.py --bind=vfio-pci {card}", found["fix"])
        self.assertIn(f"--port in={card}: no DPDK driver took this PCI device. Unless DPDK told another reason above, bind it: dpdk-devbind.py -b vfio-pci {card}", dataplane.log)
        self.assertEqual(dataplane.stop(), 1)

    def test_a_card_that_another_dataplane_uses(self):
        first = DataplaneInMachine(self.machine)
        self.assertIn("ready:", first.log)
        status, output = self.machine.run(f"ifgw-dataplane --no-measure --socket /run/other.sock --user 64101 --port out={self.machine.cards[0]} --address out=10.9.0.1/24")
        self.assertEqual(status, 1, output)
        self.assertIn(f"--port out={self.machine.cards[0]}", output)
        self.ping()
        self.assertEqual(first.stop(), 0, first.log)


if __name__ == "__main__":
    lab.isolate()
    tap.main()
