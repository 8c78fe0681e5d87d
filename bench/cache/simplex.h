/* simplex.h - a linear programme the plain way, to hold the fair policies' own against. */
#ifndef PERSEUS_BENCH_CACHE_SIMPLEX_H
#define PERSEUS_BENCH_CACHE_SIMPLEX_H

enum { LP_ROWS = 16, LP_COLUMNS = 80 };

/* lp_maximise finds the greatest c x with A x <= b, x >= 0 (dense tableau, two phases, Bland's
 * rule): -INFINITY when nothing is feasible. rows <= LP_ROWS, columns <= LP_COLUMNS. */
double lp_maximise(int rows, int columns, double a[LP_ROWS][LP_COLUMNS], const double *b,
		   const double *c, double *ret_x);

#endif
