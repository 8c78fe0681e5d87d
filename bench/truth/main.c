/* perseus-truth: the instrument against theory, in virtual time.
 *
 *	perseus-truth queues|coverage|tails|capacity|saving [--runs N] [--threads N] [--only TEXT]
 *
 * Prints one JSON object per row on stdout; exit code 1 when something did not hold.
 */
#include "truth.h"

#include "stats/stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANCE	    1e-4
#define MAX_THREADS 64

struct work {
	truth_one_fn *one;
	const void *ctx;
	char *out;
	size_t size;
	int runs;
	atomic_int next;
};

static void *work(void *arg)
{
	struct work *w = arg;
	for (int k; (k = atomic_fetch_add(&w->next, 1)) < w->runs;)
		w->one(w->ctx, k, w->out + (size_t)k * w->size);
	return NULL;
}

void truth_each(const struct truth_options *o, truth_one_fn *one, const void *ctx, void *out,
		size_t size)
{
	pthread_t threads[MAX_THREADS];
	struct work w = {.one = one, .ctx = ctx, .out = out, .size = size, .runs = o->runs};
	for (int i = 1; i < o->threads; i++) {
		if (pthread_create(&threads[i], NULL, work, &w) != 0) {
			perror("perseus-truth: thread");
			exit(2);
		}
	}
	work(&w);
	for (int i = 1; i < o->threads; i++)
		pthread_join(threads[i], NULL);
}

enum truth_verdict truth_at_least(int k, int n, double share)
{
	/* Without an observation nothing is shown. Rounding of share * n is no miss. */
	if (n > 0 && k >= share * n * (1 - 1e-12))
		return TRUTH_MET;
	return n == 0 || ps_stats_binomial_cdf(k, n, share) >= CHANCE ? TRUTH_UNDECIDED
								      : TRUTH_MISSED;
}

enum truth_verdict truth_at_most(int k, int n, double share)
{
	return truth_at_least(n - k, n, 1 - share);
}

enum truth_verdict truth_when(bool ok)
{
	return ok ? TRUTH_MET : TRUTH_MISSED;
}

enum truth_verdict truth_both(enum truth_verdict a, enum truth_verdict b)
{
	return a > b ? a : b;
}

bool truth_row(const struct truth_options *o, const char *figure, const char *ours,
	       const char *bound, const char *goal, enum truth_verdict verdict, const char *note)
{
	static const char *const names[] = {"met", "undecided", "missed"};
	printf("{\"figure\": \"%s\", \"ours\": \"%s\", \"peer\": \"%s\", \"ratio\": null, \"low\": "
	       "null, \"high\": null, \"goal\": \"%s\", \"verdict\": \"%s\", \"note\": \"%s\"}\n",
	       figure, ours, bound, goal, names[verdict], note);
	fflush(stdout);
	return o->runs >= TRUTH_FULL_RUNS ? verdict == TRUTH_MET : verdict != TRUTH_MISSED;
}

static const struct {
	const char *name;
	bool (*run)(const struct truth_options *o);
} parts[] = {
	{"queues", truth_queues},     {"coverage", truth_coverage}, {"tails", truth_tails},
	{"capacity", truth_capacity}, {"saving", truth_saving},
};

static int usage(void)
{
	fprintf(stderr, "usage: perseus-truth queues|coverage|tails|capacity|saving [--runs N] "
			"[--threads N] [--only TEXT]\n");
	return 2;
}

static bool read_options(int argc, char **argv, struct truth_options *o)
{
	for (int i = 2; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--runs") == 0)
			o->runs = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--threads") == 0)
			o->threads = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--only") == 0)
			o->only = argv[i + 1];
		else
			return false;
	}
	return argc % 2 == 0 && o->runs >= 1 && o->threads >= 1 && o->threads <= MAX_THREADS;
}

int main(int argc, char **argv)
{
	struct truth_options o = {.runs = 100, .threads = 1};
	if (argc < 2 || !read_options(argc, argv, &o))
		return usage();
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(argv[1], parts[i].name) == 0)
			return parts[i].run(&o) ? 0 : 1;
	}
	return usage();
}
