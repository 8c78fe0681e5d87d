#!/usr/bin/env python3
"""Prints powers.inc: the first 128 bits of 5^q for q from -342 to 308, rounded down.

    src/oip/powers.py > src/oip/powers.inc
"""
LOW, HIGH = -342, 308


def bits_of(q):
    """128 bits, the first of them 1, and how many powers of two they were scaled by."""
    n = 5 ** abs(q)
    if q < 0:
        scale = 127 + n.bit_length()
        return (1 << scale) // n, -scale
    scale = n.bit_length() - 128
    return (n >> scale if scale > 0 else n << -scale), scale


def main():
    print("/* Made by powers.py: do not edit. 5^q, q from -342 to 308, first 128 bits. */")
    for q in range(LOW, HIGH + 1):
        bits, scale = bits_of(q)
        assert bits.bit_length() == 128
        # What decimal.c computes instead of storing it.
        assert scale + 127 + q == (q * 217706) >> 16
        print("{0x%016x, 0x%016x}," % (bits >> 64, bits & (1 << 64) - 1),
              end="\n" if (q - LOW) % 2 or q == HIGH else " ")


main()
