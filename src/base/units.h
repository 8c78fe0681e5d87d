/* units.h - numbers with units, as people write them.   Layer 0. All parsers are strict: the whole
 * text must be used, and locale never matters. */
#ifndef PS_BASE_UNITS_H
#define PS_BASE_UNITS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* ps_units_parse_double reads a finite decimal number. PS_EPARSE. */
enum ps_status ps_units_parse_double(const char *text, double *ret_value, struct ps_error *err);
/* ps_units_parse_int reads a decimal 64-bit integer. PS_EPARSE, PS_ETOOBIG for one beyond. */
enum ps_status ps_units_parse_int(const char *text, int64_t *ret_value, struct ps_error *err);
/* ps_units_parse_duration reads "250us", "1.5ms", "8s", "2m", "1h", "1d" into nanoseconds. The
 * unit is required, except for 0. Negative is refused. PS_EPARSE. */
enum ps_status ps_units_parse_duration(const char *text, int64_t *ret_ns, struct ps_error *err);
/* ps_units_parse_bytes reads "1024", "64KiB", "16MiB", "2GiB", "5MB" into bytes. PS_EPARSE. */
enum ps_status ps_units_parse_bytes(const char *text, int64_t *ret_bytes, struct ps_error *err);

/* The formatters write a short human form and return `buf`; PS_UNITS_SIZE bytes always suffice. */
#define PS_UNITS_SIZE 32
/* "1.23 ms", "45.6 s": three significant digits. */
const char *ps_units_format_duration(int64_t ns, char buf[PS_UNITS_SIZE]);
/* "12.3 MiB". */
const char *ps_units_format_bytes(int64_t bytes, char buf[PS_UNITS_SIZE]);
/* "4m05s", "1h02m": for time left. */
const char *ps_units_format_eta(int64_t ns, char buf[PS_UNITS_SIZE]);

#endif
