"""Audio as the judges need it: G.711 by the book (ITU-T G.711 tables by formula, not our codec), WAV files, and how much one
recording is like another. All signals are numpy arrays of floats at 8 kHz, full scale 1.0."""
import subprocess
import wave

import numpy as np

RATE = 8000


def _ulaw_table():
    codes = np.arange(256) ^ 0xFF
    magnitude = (((codes & 15) << 3) + 0x84 << ((codes >> 4) & 7)) - 0x84
    return np.where(codes & 0x80, -magnitude, magnitude) / 32768.0


def _alaw_table():
    codes = np.arange(256) ^ 0x55
    exponent = (codes >> 4) & 7
    mantissa = (codes & 15) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(codes & 0x80, magnitude, -magnitude) / 32768.0


TABLES = {0: _ulaw_table(), 8: _alaw_table()}


def decode(payload_type, data):
    return TABLES[payload_type][np.frombuffer(data, dtype=np.uint8)]


def encode(payload_type, signal):
    """Nearest code by the decoder's own table."""
    table = TABLES[payload_type]
    order = np.argsort(table)
    middle = (table[order][1:] + table[order][:-1]) / 2
    return order[np.searchsorted(middle, signal)].astype(np.uint8).tobytes()


def read_wav(path):
    with wave.open(str(path), "rb") as w:
        data = np.frombuffer(w.readframes(w.getnframes()), dtype="<i2") / 32768.0
        data = data.reshape(-1, w.getnchannels())[:, 0]
        rate = w.getframerate()
    if rate != RATE:
        if rate % RATE:
            raise ValueError(f"{path}: {rate} Hz is no multiple of {RATE}")
        step = rate // RATE
        data = np.convolve(data, np.ones(step) / step, mode="same")[::step]
    return data


def write_wav(path, signal, rate=RATE):
    """A signal at RATE; the file at `rate`."""
    if rate != RATE:
        signal = np.interp(np.arange(len(signal) * rate // RATE) * RATE / rate, np.arange(len(signal)), signal)
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes((np.clip(signal, -1, 32767 / 32768) * 32768).round().astype("<i2").tobytes())


def speak(text, path, voice="en"):
    """Synthesised speech as an 8 kHz WAV."""
    raw = path.with_suffix(".raw.wav")
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(raw), text], check=True, capture_output=True)
    subprocess.run(["sox", "-G", str(raw), "-r", str(RATE), "-c", "1", "-b", "16", str(path)], check=True, capture_output=True)
    raw.unlink()


def tone(frequency, seconds, level=0.3):
    return level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def dominant_frequency(signal):
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return float(np.argmax(spectrum) * RATE / len(signal))


def rms(signal):
    return float(np.sqrt(np.mean(np.square(signal)))) if len(signal) else 0.0


def similarity(sent, heard):
    """Best normalised correlation of `heard` with any stretch of `sent`, 0..1, and the lag in samples (where in `sent` the
    stretch begins; negative: heard began earlier). Both at 8 kHz."""
    n = 1 << int(np.ceil(np.log2(len(sent) + len(heard))))
    cross = np.fft.irfft(np.fft.rfft(sent, n) * np.conj(np.fft.rfft(heard, n)), n)
    lag = int(np.argmax(np.abs(cross)))
    if lag > n // 2:
        lag -= n
    first, last = max(0, lag), min(len(sent), lag + len(heard))
    a, b = sent[first:last], heard[first - lag:last - lag]
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return (float(abs(np.dot(a, b)) / norm) if norm else 0.0), lag


def heard(said, signal):
    """similarity(), and over what share of `said` it goes, 0..1: the similarity of what was cut short is that of the rest."""
    alike, lag = similarity(said, signal)
    return alike, max(0, min(len(said), lag + len(signal)) - max(0, lag)) / len(said)
