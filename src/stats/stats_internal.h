/* stats_internal.h - what the files of stats/ share. */
#ifndef PS_STATS_STATS_INTERNAL_H
#define PS_STATS_STATS_INTERNAL_H

#include "stats/stats.h"

/* Averages of `group` neighbours; what is left over at the end is dropped. Returns their number. */
size_t ps_stats_average_groups(const double *x, size_t n, size_t group, double *out);
/* At `lag`, over n, with the mean given. */
double ps_stats_autocovariance(const double *x, size_t n, double mean, size_t lag);

#endif
