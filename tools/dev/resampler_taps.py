#!/usr/bin/env python3
"""Designs the filters of codecs/audio/resample_taps.h and prints that file's tables: linear phase, equiripple (Lawson's
iteration of weighted least squares), from an even number of taps.

Usage: resampler_taps.py
"""
import numpy as np

# name, rate of the filter, taps, end of the passband, begin of the stopband, ripple of the passband per ripple of the stopband
FILTERS = [("kTaps8To16", 16000, 28, 3400, 4600, 16), ("kTaps8To48", 48000, 84, 3400, 4600, 16), ("kTaps16To48", 48000, 48, 6800, 9200, 16)]


def design(rate, taps, passband, stopband, ratio):
    grid = np.concatenate([np.linspace(0, passband, 600), np.linspace(stopband, rate / 2, 1400)])
    wanted = (grid <= passband).astype(float)
    scale = np.where(grid <= passband, 1 / ratio, 1.0)
    basis = 2 * np.cos(2 * np.pi * np.outer(grid / rate, np.arange(taps // 2) + 0.5))
    weight = np.ones(len(grid))
    for _ in range(400):
        root = np.sqrt(weight) * scale
        half = np.linalg.lstsq(basis * root[:, None], wanted * root, rcond=None)[0]
        error = np.abs(basis @ half - wanted) * scale
        weight *= error
        weight /= weight.sum()
    response = basis @ half
    ripple = 20 * np.log10(response[grid <= passband])
    stop = 20 * np.log10(np.abs(response[grid >= stopband]).max())
    return half, ripple.min(), ripple.max(), stop


for name, rate, taps, passband, stopband, ratio in FILTERS:
    half, low, high, stop = design(rate, taps, passband, stopband, ratio)
    print(f"// {taps} taps at {rate} Hz: {low:+.2f}..{high:+.2f} dB to {passband} Hz, {stop:.1f} dB from {stopband} Hz.")
    print(f"inline constexpr std::array<double, {taps // 2}> {name} = {{")
    for i in range(0, len(half), 7):
        print("    " + " ".join(f"{value:.8f}," for value in half[i:i + 7]))
    print("};")
