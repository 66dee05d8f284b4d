#!/usr/bin/env python3
"""A worker that falls behind with real packets: stopped for a while, it finds more frames of a heavy codec than it can make in time.
The newest calls' frames are given up and counted; a relay loses nothing."""
import json
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import gateway  # noqa: E402
import lab  # noqa: E402
import tap  # noqa: E402

HEAVY_CALLS, FIRST_PORT, STALL = 24, 4000, 0.5

# Somebody at each port of the other side, so that its host does not complain.
LISTENERS = """
import socket, sys, time
sockets = []
for i in range(int(sys.argv[3])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((sys.argv[1], int(sys.argv[2]) + 2 * i))
    sockets.append(s)
print("ready", flush=True)
time.sleep(300)
"""


class Overload(unittest.TestCase):
    def ways_are_booked(self, dataplane, calls):
        """What the drivers take for a packet is measured, and promised to each direction of each call."""
        worker = lambda: dataplane.legs()["workers"][0]  # noqa: E731
        self.assertGreater(lab.wait_for(lambda: worker()["ports_ns"], 60, "the way through the ports is known"), 200, "a packet socket makes system calls")
        as_known = lambda now: now["booked_ports_ppm"] == 2 * calls * -(-now["ports_ns"] // 20)  # noqa: E731
        lab.wait_for(lambda: as_known(worker()), 10, "and booked")  # it may change between the two readings

    def test_newest_heavy_calls_lose_frames_and_relays_none(self):
        with lab.Lab() as the_lab:
            gateway.Network(the_lab)
            dataplane = gateway.Dataplane(the_lab, "--late-us", 10_000)
            # The relay is the newest call of all.
            remote = lambda host, i: f"{host}:{FIRST_PORT + 2 * i}"  # noqa: E731
            locals_a = [pair[0] for pair in json.loads(dataplane.tool("calls", remote(gateway.CALLER, 0), "PCMU", remote(gateway.CALLEE, 0), "opus", HEAVY_CALLS))]
            locals_a.append(dataplane.call(remote(gateway.CALLER, HEAVY_CALLS), "PCMU", remote(gateway.CALLEE, HEAVY_CALLS), "PCMU")["a"])
            listening = the_lab.start("listeners", [gateway.PYTHON, "-c", LISTENERS, gateway.CALLEE, FIRST_PORT, len(locals_a)], ns="callee")
            lab.wait_for(lambda: "ready" in listening.output(), 10, "listening")
            until = the_lab.dir / "enough"
            talking = gateway.start_talkers(the_lab, "caller", gateway.CALLER, FIRST_PORT, locals_a, until)
            received = lambda: min(leg["rx"] for leg in dataplane.legs()["legs"] if leg["local"] in locals_a)  # noqa: E731
            lab.wait_for(lambda: received() >= 25, 20, "all talk")
            self.ways_are_booked(dataplane, len(locals_a))
            given_up = lambda: dataplane.legs()["drops"]["overloaded"]  # noqa: E731
            for _ in range(5):
                before = given_up()
                dataplane.process.popen.send_signal(signal.SIGSTOP)
                time.sleep(STALL)  # what the test is about, not a wait for something
                dataplane.process.popen.send_signal(signal.SIGCONT)
                heard = received()
                lab.wait_for(lambda: received() >= heard + 25, 20, "it has caught up")
                self.assertGreater(given_up(), before)
            until.touch()
            self.assertEqual(talking.wait(10), 0)
            sent = int(talking.output())
            lab.wait_for(lambda: received() == sent, 10, "all was received")
            state = dataplane.legs()
            legs = {leg["local"]: leg for leg in state["legs"]}
            to = {leg["id"]: leg for leg in state["legs"]}
            relay, heavy = legs[locals_a[-1]], [legs[local] for local in locals_a[:-1]]
            self.assertEqual((relay["rx"], relay["dropped"], to[relay["peer"]]["tx"]), (sent, 0, sent), "a relay is never given up")
            for leg in heavy:
                out = to[leg["peer"]]
                self.assertEqual((leg["rx"], leg["dropped"] + out["transcoded"]), (sent, sent))
                self.assertEqual(out["tx"], out["transcoded"], "what was made was sent")
            self.assertEqual(sum(leg["dropped"] for leg in heavy), state["drops"]["overloaded"])
            oldest, newest = (sum(leg["dropped"] for leg in part) for part in (heavy[:3], heavy[-3:]))
            self.assertLess(oldest * 2, newest, [leg["dropped"] for leg in heavy])


if __name__ == "__main__":
    lab.isolate()
    tap.main()
