/* Service times, from the last runs of each size. A window of the last 64 is sorted as it goes: its
 * quantiles are exact, one slow run moves no median, and after a change of the machine's mood it
 * has followed within some tens of runs. The mean of so few is too coarse for a long queue, whose
 * predicted length it multiplies; so mean and variance are taken over up to a thousand runs, as
 * long as the window's mean looks like theirs.
 */
#include "sched/sched_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONG = 1024, MIN_FOR_OUTLIERS = 8 };
/* A run that takes so many medians does not count for more; so many standard errors are a change.
 */
static const double outlier = 10, change = 3;

enum { TRIED = 3, TRY_AGAIN = 1000 }; /* runs of a size to know it, of the instance to doubt it */

/* Up to 16 rows exactly; above, four sizes per power of two, where times are kept as if for the
 * least rows of the slot. */
static int slot_of(int64_t rows)
{
	if (rows <= EXACT_ROWS)
		return rows < 1 ? 0 : (int)rows - 1;
	int e = 63 - __builtin_clzll((unsigned long long)rows);
	int slot = EXACT_ROWS + (e - 4) * 4 + (int)((rows >> (e - 2)) & 3);
	return slot < ROW_SLOTS ? slot : ROW_SLOTS - 1;
}

static double rows_of(int slot)
{
	if (slot < EXACT_ROWS)
		return slot + 1;
	int e = 4 + (slot - EXACT_ROWS) / 4;
	return (double)((INT64_C(4) + (slot - EXACT_ROWS) % 4) << (e - 2));
}

static void replace_oldest(struct window *w, int64_t ns)
{
	int n = w->n, at = 0;
	if (n == WINDOW) {
		int64_t old = w->ring[w->at];
		while (w->sorted[at] != old)
			at++;
		memmove(&w->sorted[at], &w->sorted[at + 1],
			(size_t)(n - 1 - at) * sizeof *w->sorted);
		n--;
	}
	for (at = n; at > 0 && w->sorted[at - 1] > ns; at--)
		w->sorted[at] = w->sorted[at - 1];
	w->sorted[at] = ns;
	w->ring[w->at] = ns;
	w->at = (w->at + 1) % WINDOW;
	w->n = n + 1;
}

static double highest(const struct window *w)
{
	int middle = w->n / 2;
	return w->n < MIN_FOR_OUTLIERS ? INFINITY : outlier * (double)w->sorted[middle];
}

static void moments(const struct window *w, double *ret_mean, double *ret_variance)
{
	double sum = 0, squares = 0, most = highest(w), n = w->n;
	for (int k = 0; k < w->n; k++)
		sum += fmin((double)w->sorted[k], most);
	double mean = sum / n;
	for (int k = 0; k < w->n; k++) {
		double d = fmin((double)w->sorted[k], most) - mean;
		squares += d * d;
	}
	*ret_mean = mean;
	*ret_variance = squares / n;
}

static void window_add(struct window *w, int64_t ns)
{
	double mean, variance;
	replace_oldest(w, ns);
	moments(w, &mean, &variance);
	w->n_mean = fmin(w->n_mean + 1, LONG);
	double d = fmin((double)ns, highest(w)) - w->mean;
	w->mean += d / w->n_mean;
	w->variance += (d * d * (1 - 1 / w->n_mean) - w->variance) / w->n_mean;
	double error = sqrt(fmax(w->variance, variance) / w->n);
	if (w->n < WINDOW || fabs(mean - w->mean) > change * error + 1e-9 * mean) {
		w->mean = mean;
		w->variance = variance;
		w->n_mean = w->n;
	}
	w->spread = sqrt(w->variance);
}

void learn_add(struct instance *i, int64_t rows, bool wide, int64_t ns)
{
	int slot = slot_of(rows);
	struct window **w = &i->learned[wide].slots[slot];
	if (!*w)
		*w = calloc(1, sizeof **w);
	if (!*w)
		return; /* what is not learned now will be later */
	window_add(*w, (int64_t)((double)ns * rows_of(slot) / (double)rows));
	(*w)->last_try = i->runs;
}

void learn_forget(struct instance *i)
{
	for (int wide = 0; wide < 2; wide++)
		for (int k = 0; k < ROW_SLOTS; k++) {
			free(i->learned[wide].slots[k]);
			i->learned[wide].slots[k] = NULL;
		}
	i->runs = 0;
}

bool learn_known(const struct instance *i, bool wide)
{
	for (int k = 0; k < ROW_SLOTS; k++)
		if (i->learned[wide].slots[k])
			return true;
	return false;
}

/* What is read off a window; q < 0: the mean; q > 1: the spread. */
enum { MEAN = -1, SPREAD = 2 };

static double quantile_of(const struct window *w, double q)
{
	double k = q * w->n;
	int at = (int)k - ((double)(int)k == k); /* ceil(k) - 1 */
	return (double)w->sorted[at < 0 ? 0 : at];
}

static double read_off(const struct window *w, double what)
{
	return what < 0 ? w->mean : what > 1 ? w->spread : quantile_of(w, what);
}

static double between(const struct learned *l, int lo, int hi, double rows, double what)
{
	double a = lo >= 0 && l->slots[lo] ? read_off(l->slots[lo], what) : 0;
	double b = hi < ROW_SLOTS && l->slots[hi] ? read_off(l->slots[hi], what) : 0;
	if (lo < 0)
		return b; /* fewer rows do not take longer */
	if (hi == ROW_SLOTS)
		return a * rows / rows_of(lo);
	return a + (b - a) * (rows - rows_of(lo)) / (rows_of(hi) - rows_of(lo));
}

/* 0 when nothing of that width is known. */
static double look_up(const struct learned *l, int64_t rows, double what)
{
	int slot = slot_of(rows), lo = slot, hi = slot;
	if (l->slots[slot])
		return read_off(l->slots[slot], what) * (double)rows / rows_of(slot);
	while (lo >= 0 && !l->slots[lo])
		lo--;
	while (hi < ROW_SLOTS && !l->slots[hi])
		hi++;
	if (lo < 0 && hi == ROW_SLOTS)
		return 0;
	return between(l, lo, hi, (double)rows, what);
}

/* The other width is a better guess than none. */
static double guess(const struct instance *i, int64_t rows, bool wide, double what)
{
	double ns = look_up(&i->learned[wide], rows, what);
	return ns > 0 || what > 1 ? ns : look_up(&i->learned[!wide], rows, what);
}

double learn_ns(const struct instance *i, int64_t rows, bool wide, double q)
{
	return guess(i, rows, wide, q);
}

double learn_mean_ns(const struct instance *i, int64_t rows, bool wide)
{
	return guess(i, rows, wide, MEAN);
}

double learn_spread_ns(const struct instance *i, int64_t rows, bool wide)
{
	return guess(i, rows, wide, SPREAD);
}

double learn_rest_ns(const struct instance *i, int64_t rows, bool wide, int64_t elapsed_ns)
{
	const struct window *w = i->learned[wide].slots[slot_of(rows)];
	double elapsed = (double)elapsed_ns, sum = 0;
	if (!w) {
		double mean = learn_mean_ns(i, rows, wide);
		return elapsed < mean ? mean - elapsed : mean / 4;
	}
	double scale = (double)rows / rows_of(slot_of(rows));
	int n = 0;
	for (int k = w->n - 1; k >= 0 && (double)w->sorted[k] * scale > elapsed; k--, n++)
		sum += (double)w->sorted[k] * scale;
	/* One that has outlasted all others: nobody knows; a quarter of the usual. */
	return n ? sum / n - elapsed : w->mean * scale / 4;
}

static bool tried(const struct instance *i, int slot)
{
	const struct window *w = i->learned[0].slots[slot];
	return w && w->n >= TRIED && i->runs - w->last_try < TRY_AGAIN;
}

double learn_trial_ns(const struct instance *i, int64_t rows)
{
	int slot = slot_of(rows), lo = slot - 1;
	if (tried(i, slot))
		return INFINITY;
	while (lo >= 0 && !tried(i, lo))
		lo--;
	if (lo < 0)
		return INFINITY;
	return read_off(i->learned[0].slots[lo], MEAN) / rows_of(lo) * (double)rows;
}
