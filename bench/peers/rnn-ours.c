/* rnn-ours.c - our engine on one recurrent layer, for bench/rnn.py.
 *
 *   rnn-ours CELL HIDDEN INPUTS STEPS BATCH PRECISION CPUS WEIGHTS CACHE
 *
 * CELL: lstm, or gru (linear before reset). PRECISION: float32, bfloat16, int8. CPUS: a list, one
 * thread each. WEIGHTS: a file of float32 W, R, B and X in ONNX's order. CACHE: a folder for what
 * the tuner keeps. Prints "ready PACK_SECONDS TUNE_SECONDS KERNEL THREADS", then obeys lines of
 * standard input: "run N" prints the times of N runs in microseconds on one line, "output FILE"
 * writes Y as float32 and prints "written".
 */
#include "base/clock.h"
#include "engine/rnn/layer_internal.h"
#include "engine/rnn/tune.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 100000 };

static void fail(const char *why)
{
	fprintf(stderr, "rnn-ours: %s\n", why);
	exit(1);
}

static void must(enum ps_status st, const struct ps_error *err)
{
	if (st != PS_OK)
		fail(err->what);
}

static float *read_floats(FILE *f, int64_t n)
{
	float *v = aligned_alloc(64, ((size_t)n * sizeof *v + 63) / 64 * 64);

	if (!v || fread(v, sizeof *v, (size_t)n, f) != (size_t)n)
		fail("the file of weights is too short");
	return v;
}

static void pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	if (pthread_setaffinity_np(pthread_self(), sizeof one, &one) != 0)
		fail("cannot pin a thread");
}

static enum ps_rnn_precision precision_of(const char *name)
{
	for (int p = 0; p < PS_SPATIAL_PRECISIONS; p++) {
		if (strcmp(name, ps_spatial_precision_name((enum ps_spatial_precision)p)) == 0)
			return (enum ps_rnn_precision)p;
	}
	fail("PRECISION is float32, bfloat16 or int8");
	return 0;
}

struct bench {
	struct ps_rnn_team *team;
	struct ps_rnn *rnn;
	struct ps_rnn_run run;
	int64_t outputs;
};

static void run_many(struct bench *b, long n)
{
	static double took[MOST_RUNS];
	struct ps_error err;

	for (long i = 0; i < n && i < MOST_RUNS; i++) {
		int64_t begin = ps_clock_now_ns();
		must(ps_rnn_run(b->rnn, b->team, &b->run, &err), &err);
		took[i] = (double)(ps_clock_now_ns() - begin) / 1e3;
	}
	for (long i = 0; i < n && i < MOST_RUNS; i++)
		printf("%.3f ", took[i]);
	printf("\n");
}

static void write_output(const struct bench *b, const char *path)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(b->run.y, sizeof *b->run.y, (size_t)b->outputs, f) != (size_t)b->outputs ||
	    fclose(f) != 0)
		fail("cannot write the output");
	printf("written\n");
}

static void obey(struct bench *b)
{
	char line[4096];

	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "run ", 4) == 0)
			run_many(b, strtol(line + 4, NULL, 10));
		else if (strncmp(line, "output ", 7) == 0)
			write_output(b, line + 7);
		else
			fail("what is said is neither run N nor output FILE");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct ps_error err;
	struct ps_cpus cpus;
	struct bench b = {};
	struct ps_rnn_tuner *tuner;
	if (argc != 10)
		fail("usage: rnn-ours CELL HIDDEN INPUTS STEPS BATCH PRECISION CPUS WEIGHTS CACHE");
	bool lstm = strcmp(argv[1], "lstm") == 0;
	int64_t hidden = atoll(argv[2]), inputs = atoll(argv[3]);
	struct ps_rnn_spec spec =
		ps_rnn_spec_default(lstm ? PS_RNN_LSTM : PS_RNN_GRU, inputs, hidden);
	spec.linear_before_reset = !lstm;
	b.run.steps = atoll(argv[4]);
	b.run.batch = atoll(argv[5]);
	b.outputs = b.run.steps * b.run.batch * hidden;
	must(ps_cpus_parse(argv[7], &cpus, &err), &err);
	pin(ps_cpus_nth(&cpus, 0));
	must(ps_rnn_team_new(ps_cpus_count(&cpus), &cpus, &b.team, &err), &err);

	FILE *f = fopen(argv[8], "rb");
	if (!f)
		fail("cannot read the file of weights");
	int64_t rows = ps_rnn_gates(spec.cell) * hidden;
	struct ps_rnn_weights w = {.w = read_floats(f, rows * inputs)};
	w.r = read_floats(f, rows * hidden);
	w.b = read_floats(f, 2 * rows);
	b.run.x = read_floats(f, b.run.steps * b.run.batch * inputs);
	(void)fclose(f);
	b.run.y = calloc((size_t)b.outputs, sizeof *b.run.y);
	if (!b.run.y)
		fail("no memory for the output");

	int64_t begin = ps_clock_now_ns();
	must(ps_rnn_new(&spec, precision_of(argv[6]), &w, b.team, &b.rnn, &err), &err);
	free((void *)w.w);
	free((void *)w.r);
	free((void *)w.b);
	int64_t packed = ps_clock_now_ns();
	must(ps_rnn_tuner_open(argv[9], b.team, NULL, &tuner, &err), &err);
	must(ps_rnn_tuner_apply(tuner, b.rnn, NULL, &err), &err);
	int64_t tuned = ps_clock_now_ns();
	printf("ready %.6f %.6f %s %d\n", (double)(packed - begin) / 1e9,
	       (double)(tuned - packed) / 1e9, ps_rnn_kernel_name(b.rnn),
	       b.rnn->tuning.threads ? b.rnn->tuning.threads : ps_cpus_count(&cpus));
	fflush(stdout);
	obey(&b);
	return 0;
}
