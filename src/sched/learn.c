/* Service times, from the last runs of each size. A window of the last 64 is sorted as it goes: its
 * quantiles are exact, one slow run moves no median, and after a change of the machine's mood it
 * has followed within some tens of runs. The mean of so few is too coarse for a long queue, whose
 * predicted length it multiplies; so mean and variance are taken over up to a thousand runs, as
 * long as the window's mean looks like theirs.
 *
 * A time is added after each run, and a run may take microseconds: sums are kept as whole numbers,
 * which neither drift nor need to be taken again.
 */
#include "sched/sched_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A run that takes so many medians does not count for more. */
enum { LONG = 1024, MIN_FOR_OUTLIERS = 8, OUTLIER = 10 };
/* So many standard errors are a change. */
static const double change = 3;

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

/* Sums of squares of so many, times as many, fit into 127 bits. */
static const int64_t longest_ns = INT64_C(1) << 56;

/* How many of the sorted times are less than `ns`. How often it goes round depends on their number
 * alone and the step is no branch: where a time lies is what a processor cannot guess. */
static int count_below(const struct window *w, int64_t ns)
{
	unsigned lo = 0, n = (unsigned)w->n;
	for (unsigned half; (half = n / 2) > 0; n -= half)
		lo += half & -(unsigned)(w->sorted[lo + half - 1] < ns);
	return (int)(lo + (n > 0 && w->sorted[lo] < ns));
}

static void shift(struct window *w, int to, int from, int n)
{
	memmove(&w->sorted[to], &w->sorted[from], (size_t)n * sizeof *w->sorted);
}

/* Moves what lies between the old one's place and the new one's. */
static void put_for(struct window *w, int64_t old, int64_t ns)
{
	int from = count_below(w, old), to = count_below(w, ns);
	if (to > from) {
		to--;
		shift(w, from, from + 1, to - from);
	} else {
		shift(w, to + 1, to, from - to);
	}
	w->sorted[to] = ns;
}

static void put(struct window *w, int64_t ns)
{
	int to = count_below(w, ns);
	shift(w, to + 1, to, w->n - to);
	w->sorted[to] = ns;
	w->n++;
}

static void add_to_sums(struct window *w, int64_t ns, int sign)
{
	w->sum += sign * ns;
	w->squares += sign * ((__int128)ns * ns);
}

static void replace_oldest(struct window *w, int64_t ns)
{
	if (w->n < WINDOW) {
		put(w, ns);
	} else {
		put_for(w, w->ring[w->at], ns);
		add_to_sums(w, w->ring[w->at], -1);
	}
	add_to_sums(w, ns, 1);
	w->ring[w->at] = ns;
	w->at = (w->at + 1) % WINDOW;
}

/* Beyond this a time counts as if it were this. */
static int64_t highest(const struct window *w)
{
	return w->n < MIN_FOR_OUTLIERS ? INT64_MAX : OUTLIER * w->sorted[w->n / 2];
}

static void moments(const struct window *w, int64_t most, double *ret_mean, double *ret_variance)
{
	__int128 sum = w->sum, squares = w->squares;
	for (int k = w->n - 1; w->sorted[k] > most; k--) {
		sum -= w->sorted[k] - most;
		squares -= (__int128)w->sorted[k] * w->sorted[k] - (__int128)most * most;
	}
	double n = w->n;
	*ret_mean = (double)(int64_t)sum / n;
	*ret_variance = (double)(w->n * squares - sum * sum) / (n * n);
}

/* Whether the mean of the last few is not what the mean of many says. */
static bool has_changed(const struct window *w, double mean, double variance)
{
	double off = fabs(mean - w->mean) - 1e-9 * mean;
	double most = w->variance > variance ? w->variance : variance;
	return off > 0 && off * off * w->n > change * change * most;
}

static void window_add(struct window *w, int64_t ns)
{
	replace_oldest(w, ns);
	int64_t most = highest(w);
	double mean, variance, d = (double)(ns < most ? ns : most) - w->mean;
	moments(w, most, &mean, &variance);
	if (w->n_mean < LONG)
		w->n_mean++;
	w->mean += d / w->n_mean;
	w->variance += (d * d * (1 - 1 / w->n_mean) - w->variance) / w->n_mean;
	if (w->n < WINDOW || has_changed(w, mean, variance)) {
		w->mean = mean;
		w->variance = variance;
		w->n_mean = w->n;
	}
	w->spread = sqrt(w->variance);
}

void learn_add(struct instance *i, int64_t rows, bool wide, int64_t ns)
{
	int slot = slot_of(rows);
	struct learned *l = &i->learned[wide];
	struct window **w = &l->slots[slot];
	if (!*w)
		*w = calloc(1, sizeof **w);
	if (!*w)
		return; /* what is not learned now will be later */
	if (ns > longest_ns)
		ns = longest_ns;
	if (rows > EXACT_ROWS)
		ns = (int64_t)((double)ns * rows_of(slot) / (double)rows);
	l->known |= UINT64_C(1) << slot;
	window_add(*w, ns);
	(*w)->last_try = i->runs;
}

void learn_forget(struct instance *i)
{
	for (int wide = 0; wide < 2; wide++)
		for (int k = 0; k < ROW_SLOTS; k++) {
			free(i->learned[wide].slots[k]);
			i->learned[wide].slots[k] = NULL;
		}
	i->learned[0].known = i->learned[1].known = 0;
	i->runs = 0;
}

bool learn_known(const struct instance *i, bool wide)
{
	return i->learned[wide].known != 0;
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

/* The next smaller slot that is known; -1: none. */
static int known_below(const struct learned *l, int slot)
{
	uint64_t below = l->known & ((UINT64_C(1) << slot) - 1);
	return below ? 63 - __builtin_clzll(below) : -1;
}

/* 0 when nothing of that width is known. */
static double look_up(const struct learned *l, int64_t rows, double what)
{
	int slot = slot_of(rows);
	if (rows <= EXACT_ROWS && l->slots[slot])
		return read_off(l->slots[slot], what);
	if (l->slots[slot])
		return read_off(l->slots[slot], what) * (double)rows / rows_of(slot);
	if (!l->known)
		return 0;
	uint64_t above = l->known >> slot << slot;
	int hi = above ? __builtin_ctzll(above) : ROW_SLOTS;
	return between(l, known_below(l, slot), hi, (double)rows, what);
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

/* The sum of all but the `n` shortest. */
static int64_t sum_without(const struct window *w, int n)
{
	int64_t sum = n > w->n / 2 ? 0 : w->sum;
	if (n > w->n / 2)
		for (int k = n; k < w->n; k++)
			sum += w->sorted[k];
	else
		for (int k = 0; k < n; k++)
			sum -= w->sorted[k];
	return sum;
}

double learn_rest_ns(const struct instance *i, int64_t rows, bool wide, int64_t elapsed_ns)
{
	int slot = slot_of(rows);
	const struct window *w = i->learned[wide].slots[slot];
	double elapsed = (double)elapsed_ns;
	if (!w) {
		double mean = learn_mean_ns(i, rows, wide);
		return elapsed < mean ? mean - elapsed : mean / 4;
	}
	double scale = (double)rows / rows_of(slot);
	int shorter = count_below(w, (int64_t)(elapsed / scale) + 1);
	/* One that has outlasted all others: nobody knows; a quarter of the usual. */
	if (shorter == w->n)
		return w->mean * scale / 4;
	return (double)sum_without(w, shorter) * scale / (w->n - shorter) - elapsed;
}

static bool tried(const struct instance *i, int slot)
{
	const struct window *w = i->learned[0].slots[slot];
	return w && w->n >= TRIED && i->runs - w->last_try < TRY_AGAIN;
}

double learn_trial_ns(const struct instance *i, int64_t rows)
{
	const struct learned *l = &i->learned[0];
	int slot = slot_of(rows);
	if (tried(i, slot))
		return INFINITY;
	int lo = known_below(l, slot);
	while (lo >= 0 && !tried(i, lo))
		lo = known_below(l, lo);
	if (lo < 0)
		return INFINITY;
	return read_off(l->slots[lo], MEAN) / rows_of(lo) * (double)rows;
}
