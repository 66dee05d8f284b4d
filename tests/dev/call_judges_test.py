#!/usr/bin/env python3
"""The judges of a call's media (tests/support): what they say of a stream that is whole, has a hole, or stops for good.

Usage: call_judges_test.py ROOT
"""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(sys.argv.pop(1)) / "tests/support"))
import audio  # noqa: E402
import numpy as np  # noqa: E402
from capture import by_number, lost_between, quantile, shortfall, tells  # noqa: E402
from pcap import Rtp  # noqa: E402

SECONDS, PACKETS = 10, 500


def stream(numbers, late_ns=0):
    return [Rtp(n * 20_000_000 + late_ns, "a", "b", 1, 2, 0, 0, n, n * 160, 7, b"") for n in numbers]


def speech(seconds):
    """Noise that rises and falls: no two stretches of it are alike."""
    count = int(seconds * audio.RATE)
    return np.random.default_rng(1).normal(size=count) * (0.2 + 0.1 * np.sin(np.arange(count) / 700))


class Packets(unittest.TestCase):
    def judge(self, numbers):
        sent, received = stream(range(PACKETS)), stream(numbers, 50_000)
        added, lost, _ = by_number(sent, received)
        return lost_between(sent, received), lost, shortfall(len(added), SECONDS), shortfall(len(received), SECONDS)

    def test_a_whole_stream_is_whole(self):
        self.assertEqual(self.judge(range(PACKETS)), ([], [], None, None))

    def test_a_hole_is_a_loss(self):
        self.assertEqual(self.judge([*range(200), *range(202, PACKETS)]), ([200, 201], [200, 201], None, None))

    def test_a_stream_that_stops_is_too_short_though_nothing_is_missing_between(self):
        between, by_number_lost, *short = self.judge(range(130))
        self.assertEqual((between, by_number_lost), ([], []))
        for text in short:
            self.assertIn("130 of 500 packets in 10 s", text)

    def test_one_in_fifty_may_lie_outside_of_the_call(self):
        self.assertIsNone(shortfall(490, SECONDS))
        self.assertIsNotNone(shortfall(489, SECONDS))
        self.assertIsNotNone(shortfall(0, SECONDS))


class Speech(unittest.TestCase):
    said = speech(8.7)

    def test_what_was_heard_whole_reaches_over_all_of_it(self):
        for silence in (0, 0.3):
            alike, reach = audio.heard(self.said, np.concatenate([np.zeros(int(silence * audio.RATE)), self.said * 0.5, np.zeros(9000)]))
            self.assertGreater(alike, 0.999)
            self.assertEqual(reach, 1.0)

    def test_what_stops_is_alike_but_short(self):
        alike, reach = audio.heard(self.said, self.said[:int(2.6 * audio.RATE)])
        self.assertGreater(alike, 0.999)
        self.assertAlmostEqual(reach, 2.6 / 8.7, places=3)

    def test_what_begins_late_is_alike_but_short(self):
        alike, reach = audio.heard(self.said, self.said[4 * audio.RATE:])
        self.assertGreater(alike, 0.999)
        self.assertAlmostEqual(reach, 4.7 / 8.7, places=3)

    def test_silence_after_a_cut_is_not_alike(self):
        alike, _ = audio.heard(self.said, np.concatenate([self.said[:int(2.6 * audio.RATE)], np.zeros(7 * audio.RATE)]))
        self.assertLess(alike, 0.7)

    def test_nothing_is_nothing(self):
        alike, reach = audio.heard(self.said, audio.decode(0, b""))
        self.assertEqual((alike, reach), (0.0, 0.0))


class Quantiles(unittest.TestCase):
    def test_are_told_only_where_they_are_not_the_largest(self):
        for count, q, told in ((500, 0.999, False), (1000, 0.999, False), (1002, 0.999, True), (248, 0.99, True), (100, 0.99, False), (1, 1.0, True), (0, 1.0, False), (0, 0.5, False)):
            self.assertEqual(tells(count, q), told, (count, q))
            if told and q < 1:
                self.assertLess(quantile(range(count), q), count - 1)


unittest.main()
