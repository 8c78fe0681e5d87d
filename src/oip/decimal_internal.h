/* decimal_internal.h - decimal numbers <-> binary ones, correctly rounded, without the C library.
 *
 * Reading: w * 10^q is w times the first 128 bits of 5^q, shifted. The product's error is known, so
 * that the result is either certain or told to be doubtful; certain are all but about one in 10^15
 * random numbers and those that lie exactly between two binary ones. (The idea is D. Lemire's
 * "Number Parsing at a Gigabyte per Second", 2021.)
 */
#ifndef PS_OIP_DECIMAL_INTERNAL_H
#define PS_OIP_DECIMAL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

/* ps_oip_decimal_bits rounds w * 10^q to the nearest float (fp32) or double, ties to even: its bits
 * without a sign; infinity's when it is too large. False when that is in doubt. */
bool ps_oip_decimal_bits(uint64_t w, int64_t q, bool fp32, uint64_t *ret_bits);

/* ps_oip_decimal_shortest finds the fewest digits (not ending in 0) that read back as the float or
 * double with these bits (positive, finite, not 0): value ~ digits * 10^exponent. False when that
 * is in doubt. */
bool ps_oip_decimal_shortest(uint64_t bits, bool fp32, uint64_t *ret_digits, int *ret_exponent);

#endif
