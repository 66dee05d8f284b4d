"""Codecs as their libraries have them, for parties that need payloads made or understood: G.729 by bcg729, G.722 by spandsp,
GSM by libgsm.
Signals are numpy arrays of floats at 8 kHz, full scale 1.0, as in audio.py; payloads are packets of 20 ms, one after the other."""
import ctypes

import numpy as np


def _samples(signal):
    return (np.clip(signal, -1, 32767 / 32768) * 32768).round().astype("<i2")


def _g729():
    library = ctypes.CDLL("libbcg729.so.0")
    for name in ("initBcg729EncoderChannel", "initBcg729DecoderChannel"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def encode_g729(signal):
    library = _g729()
    channel = ctypes.c_void_p(library.initBcg729EncoderChannel(0))
    pcm, bits, size, payload = _samples(signal), ctypes.create_string_buffer(10), ctypes.c_uint8(), bytearray()
    for at in range(0, len(pcm) - len(pcm) % 160, 80):
        library.bcg729Encoder(channel, pcm[at:at + 80].tobytes(), bits, ctypes.byref(size))
        payload += bits.raw
    library.closeBcg729EncoderChannel(channel)
    return bytes(payload)


def decode_g729(payload):
    library = _g729()
    channel = ctypes.c_void_p(library.initBcg729DecoderChannel())
    frame, pcm = ctypes.create_string_buffer(160), bytearray()
    for at in range(0, len(payload) - len(payload) % 10, 10):
        library.bcg729Decoder(channel, payload[at:at + 10], ctypes.c_uint8(10), ctypes.c_uint8(0), ctypes.c_uint8(0), ctypes.c_uint8(0), frame)
        pcm += frame.raw
    library.closeBcg729DecoderChannel(channel)
    return np.frombuffer(bytes(pcm), dtype="<i2") / 32768.0


def _g722():
    library = ctypes.CDLL("libspandsp.so.2")
    for name in ("g722_encode_init", "g722_decode_init"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def encode_g722(signal):
    library = _g722()
    state = ctypes.c_void_p(library.g722_encode_init(None, 64000, 0))
    wide = _samples(np.interp(np.arange(2 * len(signal)) / 2, np.arange(len(signal)), signal))
    wide = wide[:len(wide) // 320 * 320]
    out = ctypes.create_string_buffer(len(wide) // 2)
    library.g722_encode(state, out, wide.tobytes(), len(wide))
    library.g722_encode_free(state)
    return out.raw


def decode_g722(payload):
    library = _g722()
    state = ctypes.c_void_p(library.g722_decode_init(None, 64000, 0))
    out = ctypes.create_string_buffer(4 * len(payload))
    library.g722_decode(state, out, payload, len(payload))
    library.g722_decode_free(state)
    wide = np.frombuffer(out.raw, dtype="<i2") / 32768.0
    return (wide[:-1:2] + wide[1::2]) / 2


def _gsm():
    library = ctypes.CDLL("libgsm.so.1")
    library.gsm_create.restype = ctypes.c_void_p
    return library, ctypes.c_void_p(library.gsm_create())


def encode_gsm(signal):
    library, state = _gsm()
    pcm, frame, payload = _samples(signal), ctypes.create_string_buffer(33), bytearray()
    for at in range(0, len(pcm) - len(pcm) % 160, 160):
        library.gsm_encode(state, pcm[at:at + 160].tobytes(), frame)
        payload += frame.raw
    library.gsm_destroy(state)
    return bytes(payload)


def decode_gsm(payload):
    library, state = _gsm()
    frame, pcm = ctypes.create_string_buffer(320), bytearray()
    for at in range(0, len(payload) - len(payload) % 33, 33):
        if library.gsm_decode(state, payload[at:at + 33], frame) != 0:
            raise ValueError("no GSM frame")
        pcm += frame.raw
    library.gsm_destroy(state)
    return np.frombuffer(bytes(pcm), dtype="<i2") / 32768.0
