/* cmd_bench.c - perseus bench: the engine alone, on the lane and the CPUs that serve would use. */
#include "cli/cli.h"
#include "cli/shape_internal.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "exec/exec.h"
#include "host/host.h"
#include "load/inputs.h"
#include "stats/stats.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DISTINCT_INPUTS 4 /* in turn, so that no cache keeps one answer's path warm */
#define CONFIDENCE	0.95

struct bench_options {
	char *model, *library, *cache_dir, *output, *rnn_calibration;
	struct ps_cpus cpus;
	int64_t threads, batch, seed, duration, warmup, operators;
	struct ps_conf_texts shapes;
	bool json, no_cache;
	int rnn;
	double rnn_max_error;
};

#define FIELD(f) offsetof(struct bench_options, f)

static const char *const rnn_choices[] = {"off", "float32", "bf16", "int8", NULL};

static const struct ps_conf_option rows[] = {
	{.name = "model",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(model),
	 .metavar = "FILE",
	 .help = "A model: .onnx, .ort or .synthetic.yaml.",
	 .flags = PS_CONF_REQUIRED | PS_CONF_POSITIONAL},
	{.name = "threads",
	 .type = PS_CONF_INT,
	 .offset = FIELD(threads),
	 .metavar = "N",
	 .def = "1",
	 .min = 1,
	 .max = 1024,
	 .help = "Threads of one run; at most one per CPU."},
	{.name = "batch",
	 .type = PS_CONF_INT,
	 .offset = FIELD(batch),
	 .metavar = "N",
	 .def = "1",
	 .min = 1,
	 .max = 65536,
	 .help = "Inferences per run, for models with a dynamic first dimension."},
	{.name = "duration",
	 .type = PS_CONF_DURATION,
	 .offset = FIELD(duration),
	 .metavar = "TIME",
	 .def = "5s",
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "How long to measure; the run that passes the end still counts."},
	{.name = "warmup",
	 .type = PS_CONF_DURATION,
	 .offset = FIELD(warmup),
	 .metavar = "TIME",
	 .def = "1s",
	 .min = 0,
	 .max = 3600e9,
	 .help = "How long to run before measuring; at least one run."},
	{.name = "shape",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(shapes),
	 .metavar = "INPUT:DxDxD",
	 .help = "Shape of an input with dynamic dimensions (which are 1 without it)."},
	{.name = "rnn",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(rnn),
	 .def = "off",
	 .choices = rnn_choices,
	 .help = "Compute LSTM, GRU and RNN nodes by kernels of our own, with weights of this "
		 "precision. A file that holds nothing else then needs no ONNX Runtime."},
	{.name = "rnn-max-error",
	 .type = PS_CONF_REAL,
	 .offset = FIELD(rnn_max_error),
	 .def = "0",
	 .min = 0,
	 .max = 1e6,
	 .help = "With bf16 and int8: the largest difference from float32 of a layer's outputs "
		 "that is allowed. 0: 0.05."},
	{.name = "rnn-calibration",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(rnn_calibration),
	 .metavar = "PATH",
	 .help = "Input of the model to measure that on: a .npy file or a folder of them, as in a "
		 "server's configuration; drawn input without it."},
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 .offset = FIELD(cpus),
	 .metavar = "LIST",
	 .help = "CPUs to run on, such as 0,2-3; all that are allowed without it."},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 .offset = FIELD(seed),
	 .def = "1",
	 .min = 0,
	 .max = 9e15,
	 .help = "Of the inputs."},
	{.name = "library",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(library),
	 .metavar = "FILE",
	 .help = "The ONNX Runtime library (else PERSEUS_ORT_LIBRARY, the fetched copy, the "
		 "system's)."},
	{.name = "cache-dir",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(cache_dir),
	 .metavar = "DIR",
	 .help = "Where converted models are kept (else $XDG_CACHE_HOME/perseus)."},
	{.name = "no-cache",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(no_cache),
	 .help = "Open the model's own file, without the shared converted copy."},
	{.name = "operators",
	 .type = PS_CONF_INT,
	 .offset = FIELD(operators),
	 .metavar = "RUNS",
	 .def = "0",
	 .min = 0,
	 .max = 100000,
	 .help = "Instead of timing: so many runs under the engine's own profiler, after a tenth "
		 "as "
		 "many of warm-up, and where their time went, by operator. One thread."},
	{.name = "output",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(output),
	 .metavar = "FILE",
	 .help = "Write the result to this file, as JSON, instead of showing it."},
	PS_CLI_JSON(struct bench_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus bench",
	.summary = "Time a model in the engine alone: no network, no queue.",
	.details = "Runs the model again and again on one lane, the thread that perseus serve "
		   "would run it on, with inputs made up from what the model declares. A first run "
		   "of an ONNX file prepares it for this machine, once.",
	.example = "perseus bench resnet50.onnx\n"
		   "perseus bench resnet50.onnx --threads 2 --batch 8 --duration 20s --json\n"
		   "perseus bench resnet50.onnx --operators 100",
	.options = rows,
	.size = sizeof(struct bench_options),
	.where_offset = SIZE_MAX,
};

/* Everything below belongs to the lane from ps_exec_start until `finished` is posted. */
struct bench {
	const struct bench_options *o;
	const struct ps_engine_ops *ops;
	struct ps_engine *engine;
	struct ps_engine_instance *instance;
	struct ps_engine_describe d;
	struct ps_engine_memory memory;
	struct ps_cpus cpus;
	struct ps_load_inputs inputs[DISTINCT_INPUTS];
	struct ps_tensor outputs[PS_MODEL_MAX_TENSORS];
	struct ps_arena arena;
	struct ps_engine_run run;
	struct ps_exec_task task;
	uint64_t next_input;
	struct ps_hist hist;
	int64_t warm_until_ns, end_ns; /* end 0: warming up */
	int64_t began_ns, finished_ns, cpu_ns;
	uint64_t runs, all_runs; /* measured; with those of the warm-up */
	struct ps_engine_profile profile;
	char profile_prefix[64];
	enum ps_status status;
	struct ps_error err;
	sem_t finished;
	bool over;
};

static void *from_arena(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

static void finish(struct bench *b)
{
	b->cpu_ns = ps_clock_cpu_ns() - b->cpu_ns;
	b->over = true;
	sem_post(&b->finished);
}

static struct ps_exec_task *take(void *ctx, int lane)
{
	struct bench *b = ctx;

	(void)lane;
	if (b->over)
		return NULL;
	ps_arena_reset(&b->arena); /* outputs as a server has them: new for every run */
	memset(b->outputs, 0, sizeof(b->outputs));
	b->run.inputs = b->inputs[b->next_input++ % DISTINCT_INPUTS].tensors;
	return &b->task;
}

/* A profile is of so many runs, however long they take. */
static void done_profiled(struct bench *b, const struct ps_exec_task *t)
{
	uint64_t warm = (uint64_t)b->o->operators / 10 + 1;

	if (b->all_runs <= warm)
		return;
	ps_hist_record(&b->hist, t->finished_ns - t->started_ns);
	if (++b->runs == (uint64_t)b->o->operators)
		finish(b);
}

static void done(void *ctx, int lane, struct ps_exec_task *t, const struct ps_error *err)
{
	struct bench *b = ctx;

	(void)lane;
	b->status = t->status;
	b->all_runs++;
	if (t->status != PS_OK) {
		b->err = *err;
		finish(b);
	} else if (b->o->operators > 0) {
		done_profiled(b, t);
	} else if (b->end_ns == 0) {
		if (t->finished_ns < b->warm_until_ns)
			return;
		b->began_ns = ps_clock_now_ns();
		b->end_ns = b->began_ns + b->o->duration;
		b->cpu_ns = ps_clock_cpu_ns();
	} else {
		ps_hist_record(&b->hist, t->finished_ns - t->started_ns);
		b->runs++;
		b->finished_ns = t->finished_ns;
		if (t->finished_ns >= b->end_ns)
			finish(b);
	}
}

/* A misspelt name must not quietly time another shape. */
static enum ps_status check_names(const struct bench *b, const struct ps_load_shape *shapes,
				  struct ps_error *err)
{
	for (size_t s = 0; s < b->o->shapes.len; s++) {
		bool found = false;

		for (int k = 0; k < b->d.n_inputs; k++)
			found |= strcmp(shapes[s].input, b->d.inputs[k].name) == 0;
		if (found)
			continue;
		ps_error_set(err, PS_EUSAGE, "the model has no input '%s'", shapes[s].input);
		ps_error_where(err, "--shape");
		ps_error_hint(err, "its first input is '%s'", b->d.inputs[0].name);
		return PS_EUSAGE;
	}
	return PS_OK;
}

static enum ps_status make_inputs(struct bench *b, const struct ps_load_shape *shapes,
				  struct ps_error *err)
{
	const struct ps_load_tenant t = {
		.batch = (int)b->o->batch, .shapes = shapes, .shape_len = b->o->shapes.len};
	enum ps_status st = check_names(b, shapes, err);

	for (uint64_t k = 0; st == PS_OK && k < DISTINCT_INPUTS; k++)
		st = ps_load_inputs_make(b->d.inputs, (size_t)b->d.n_inputs, &t,
					 (uint64_t)b->o->seed, k, &b->inputs[k], err);
	return st;
}

/* One CPU per thread, the first ones: what is printed is what was used. */
static enum ps_status choose_cpus(struct bench *b, struct ps_error *err)
{
	struct ps_cpus from = b->o->cpus;
	char text[PS_CPUS_SIZE];

	if (ps_cpus_count(&from) == 0)
		from = ps_host_cpus_allowed();
	if (b->o->threads > ps_cpus_count(&from)) {
		ps_error_set(err, PS_EUSAGE, "%lld threads do not fit on CPUs %s",
			     (long long)b->o->threads, ps_cpus_format(&from, text));
		ps_error_where(err, "--threads");
		return PS_EUSAGE;
	}
	for (int k = 0; k < (int)b->o->threads; k++)
		ps_cpus_add(&b->cpus, ps_cpus_nth(&from, k));
	return PS_OK;
}

static enum ps_status check_profile(struct bench *b, struct ps_error *err)
{
	snprintf(b->profile_prefix, sizeof(b->profile_prefix), "/tmp/perseus-profile-%d",
		 (int)getpid());
	if (!b->ops->profile) {
		ps_error_set(err, PS_EUNSUPPORTED, "the %s engine has no profiler", b->ops->name);
		ps_error_where(err, "--operators");
		return PS_EUNSUPPORTED;
	}
	if (b->o->threads > 1) {
		ps_error_set(err, PS_EUSAGE, "the profile is of one thread");
		ps_error_where(err, "--threads");
		return PS_EUSAGE;
	}
	return PS_OK;
}

static enum ps_status open_model(struct bench *b, struct ps_error *err)
{
	const struct ps_engine_options options = {
		.library = b->o->library,
		.cache_dir = b->o->no_cache ? "" : b->o->cache_dir,
		.cpus = b->cpus,
		.wide_threads = b->o->threads > 1 ? (int)b->o->threads : 0,
		.seed = b->o->seed,
	};
	const struct ps_engine_open open = {
		.path = b->o->model,
		.wide = b->o->threads > 1,
		.profile = b->o->operators > 0 ? b->profile_prefix : NULL,
		.rnn = b->o->rnn > 0 ? rnn_choices[b->o->rnn] : NULL,
		.rnn_max_error = b->o->rnn_max_error,
		.rnn_calibration = b->o->rnn_calibration,
	};
	enum ps_status st;

	b->ops = ps_engine_for_model(b->o->model, open.rnn);
	if (!b->ops) {
		ps_error_set(err, PS_EUNSUPPORTED, "no engine opens such a file");
		ps_error_where(err, "%s", b->o->model);
		ps_error_hint(err, "models end in .onnx, .ort or .synthetic.yaml");
		return PS_EUNSUPPORTED;
	}
	st = b->o->operators > 0 ? check_profile(b, err) : PS_OK;
	if (st == PS_OK)
		st = b->ops->start(&options, &b->engine, err);
	if (st == PS_OK)
		st = b->ops->open(b->engine, &open, &b->instance, err);
	if (st != PS_OK)
		return st;
	b->ops->describe(b->instance, &b->d);
	b->ops->memory(b->instance, &b->memory);
	return PS_OK;
}

static enum ps_status prepare(struct bench *b, struct ps_error *err)
{
	struct ps_load_shape *shapes = NULL;
	struct ps_conf_texts texts = b->o->shapes;
	enum ps_status st = ps_cli_shapes_parse(&texts, &shapes, err);

	if (st == PS_OK)
		st = choose_cpus(b, err);
	if (st == PS_OK)
		st = open_model(b, err);
	if (st == PS_OK)
		st = make_inputs(b, shapes, err);
	free(shapes);
	if (st != PS_OK)
		return st;
	b->run = (struct ps_engine_run){.outputs = b->outputs,
					.n_inputs = b->d.n_inputs,
					.n_outputs = b->d.n_outputs,
					.alloc = from_arena,
					.alloc_ctx = &b->arena};
	b->task = (struct ps_exec_task){.ops = b->ops,
					.instance = b->instance,
					.run = &b->run,
					.width = (int)b->o->threads};
	return ps_hist_init(&b->hist);
}

static void wait_and_show(struct bench *b)
{
	int64_t began_ns = ps_clock_now_ns(), total_ns = b->o->warmup + b->o->duration;
	struct ps_cli_progress progress;

	ps_cli_progress_init(&progress, false);
	for (;;) {
		int64_t now_ns = ps_clock_now_ns(), until_ns = now_ns + 200 * PS_NS_PER_MS;
		const struct timespec ts = {until_ns / PS_NS_PER_SEC, until_ns % PS_NS_PER_SEC};
		char eta[PS_UNITS_SIZE];

		if (sem_clockwait(&b->finished, CLOCK_MONOTONIC, &ts) == 0 || ps_cli_stopped())
			break;
		if (total_ns < 2 * PS_NS_PER_SEC || !progress.terminal)
			continue;
		ps_cli_progress_show(&progress, "%s, %s left",
				     now_ns - began_ns < b->o->warmup ? "warming up" : "measuring",
				     ps_units_format_eta(now_ns - began_ns < total_ns
								 ? total_ns - (now_ns - began_ns)
								 : 0,
							 eta));
	}
	ps_cli_progress_done(&progress);
}

static enum ps_status measure(struct bench *b, struct ps_error *err)
{
	const struct ps_exec_options options = {
		.cpus = b->cpus, .lanes = 1, .width = (int)b->o->threads};
	const struct ps_exec_callbacks callbacks = {.take = take, .done = done, .ctx = b};
	struct ps_exec *exec;
	enum ps_status st;

	sem_init(&b->finished, 0, 0);
	b->warm_until_ns = ps_clock_now_ns() + b->o->warmup;
	st = ps_exec_start(&options, &callbacks, &exec, err);
	if (st == PS_OK) {
		wait_and_show(b);
		ps_exec_stop(exec);
		st = b->status;
		if (ps_cli_stopped())
			st = ps_error_set(err, PS_ECANCELLED, "interrupted");
		else if (st != PS_OK)
			*err = b->err;
		else if (b->o->operators > 0)
			st = b->ops->profile(b->instance, (int64_t)(b->all_runs - b->runs),
					     &b->profile, err);
	}
	sem_destroy(&b->finished);
	return st;
}

/* ---- results ---- */

static double inferences(const struct bench *b)
{
	return (double)b->runs * (double)b->o->batch;
}

static double throughput(const struct bench *b)
{
	return inferences(b) * 1e9 / (double)(b->finished_ns - b->began_ns);
}

static const double percentiles[] = {0.50, 0.95, 0.99};
#define N_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static json_t *quantile_json(const struct ps_stats_time_quantile *q)
{
	json_t *o = json_object();

	ps_json_set_int(o, "value_ns", q->value_ns);
	if (q->has_interval) {
		ps_json_set_int(o, "low_ns", q->lo_ns);
		ps_json_set_int(o, "high_ns", q->hi_ns);
	} else {
		ps_json_set_int(o, "needs_more", (int64_t)q->needs_more);
	}
	return o;
}

static json_t *tensors_json(const struct ps_tensor *tensors, int n, const struct ps_tensor_spec *s)
{
	json_t *list = json_array();

	for (int k = 0; k < n; k++) {
		json_t *o = json_object(), *shape = json_array();

		ps_json_set_string(o, "name", s[k].name);
		ps_json_set_string(o, "datatype", ps_dtype_name(s[k].dtype));
		for (int d = 0; d < tensors[k].rank; d++)
			json_array_append_new(shape, json_integer(tensors[k].dims[d]));
		json_object_set_new(o, "shape", shape);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *latency_json(const struct bench *b)
{
	json_t *o = json_object();

	ps_json_set_real(o, "mean_ns", ps_hist_mean_ns(&b->hist));
	ps_json_set_int(o, "min_ns", b->hist.min_ns);
	ps_json_set_int(o, "max_ns", b->hist.max_ns);
	for (size_t k = 0; k < N_PERCENTILES; k++) {
		struct ps_stats_time_quantile q =
			ps_stats_hist_quantile(&b->hist, percentiles[k], 1, CONFIDENCE);
		char name[8];

		snprintf(name, sizeof(name), "p%.0f", percentiles[k] * 100);
		json_object_set_new(o, name, quantile_json(&q));
	}
	return o;
}

static json_t *bench_json(const struct bench *b)
{
	char cpus[PS_CPUS_SIZE];
	json_t *o = json_object();

	ps_json_set_string(o, "model", b->o->model);
	ps_json_set_string(o, "engine", b->ops->name);
	ps_json_set_string(o, "engine_version", b->ops->version(b->engine));
	ps_json_set_int(o, "threads", b->o->threads);
	ps_json_set_string(o, "cpus", ps_cpus_format(&b->cpus, cpus));
	ps_json_set_int(o, "batch", b->o->batch);
	ps_json_set_int(o, "seed", b->o->seed);
	json_object_set_new(o, "inputs",
			    tensors_json(b->inputs[0].tensors, b->d.n_inputs, b->d.inputs));
	json_object_set_new(o, "outputs", tensors_json(b->outputs, b->d.n_outputs, b->d.outputs));
	ps_json_set_int(o, "runs", (int64_t)b->runs);
	ps_json_set_int(o, "duration_ns", b->finished_ns - b->began_ns);
	json_object_set_new(o, "latency", latency_json(b));
	ps_json_set_real(o, "throughput_inferences_per_s", throughput(b));
	ps_json_set_real(o, "cpu_ns_per_inference", (double)b->cpu_ns / inferences(b));
	ps_json_set_int(o, "load_ns", b->memory.load_ns);
	ps_json_set_int(o, "private_bytes", b->memory.private_bytes);
	ps_json_set_int(o, "mapped_bytes", b->memory.mapped_bytes);
	return o;
}

static void print_quantile(const struct bench *b, double p, struct ps_strbuf *out)
{
	struct ps_stats_time_quantile q = ps_stats_hist_quantile(&b->hist, p, 1, CONFIDENCE);
	char value[PS_UNITS_SIZE], lo[PS_UNITS_SIZE], hi[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "p%-11.0f%-12s", p * 100,
			 ps_units_format_duration(q.value_ns, value));
	if (q.has_interval)
		ps_strbuf_printf(out, "95 %% interval %s to %s\n",
				 ps_units_format_duration(q.lo_ns, lo),
				 ps_units_format_duration(q.hi_ns, hi));
	else
		ps_strbuf_printf(out, "an interval needs %llu more runs\n",
				 (unsigned long long)q.needs_more);
}

static void print_shapes(const struct bench *b, struct ps_strbuf *out)
{
	for (int k = 0; k < b->d.n_inputs; k++) {
		const struct ps_tensor *t = &b->inputs[0].tensors[k];
		char shape[PS_TENSOR_SHAPE_SIZE];

		ps_strbuf_printf(out, "input       %s %s %s\n", b->d.inputs[k].name,
				 ps_dtype_name(t->dtype),
				 ps_tensor_shape_text(t->dims, t->rank, shape));
	}
}

static enum ps_status print_text(const struct bench *b, struct ps_error *err)
{
	char a[PS_UNITS_SIZE], c[PS_UNITS_SIZE], cpus[PS_CPUS_SIZE];
	struct ps_strbuf out;
	enum ps_status st;

	ps_strbuf_init(&out);
	ps_strbuf_printf(&out, "%s: %s %s, %lld thread%s on CPU %s, batch %lld\n", b->o->model,
			 b->ops->name, b->ops->version(b->engine), (long long)b->o->threads,
			 b->o->threads == 1 ? "" : "s", ps_cpus_format(&b->cpus, cpus),
			 (long long)b->o->batch);
	print_shapes(b, &out);
	ps_strbuf_printf(&out, "runs        %llu in %s\n", (unsigned long long)b->runs,
			 ps_units_format_duration(b->finished_ns - b->began_ns, a));
	ps_strbuf_printf(&out, "mean        %s\n",
			 ps_units_format_duration((int64_t)ps_hist_mean_ns(&b->hist), a));
	for (size_t k = 0; k < N_PERCENTILES; k++)
		print_quantile(b, percentiles[k], &out);
	ps_strbuf_printf(&out, "throughput  %.4g inferences/s\n", throughput(b));
	ps_strbuf_printf(&out, "CPU         %s per inference, all threads\n",
			 ps_units_format_duration((int64_t)((double)b->cpu_ns / inferences(b)), a));
	ps_strbuf_printf(&out, "load        %s\n", ps_units_format_duration(b->memory.load_ns, a));
	ps_strbuf_printf(&out, "memory      %s private, %s mapped\n",
			 ps_units_format_bytes(b->memory.private_bytes, a),
			 ps_units_format_bytes(b->memory.mapped_bytes, c));
	st = out.failed ? ps_error_set(err, PS_ENOMEM, "no memory for the result")
			: ps_cli_print(out.data, out.len, err);
	ps_strbuf_fini(&out);
	return st;
}

/* ---- operators ---- */

static double per_run(const struct bench *b, int64_t total)
{
	return (double)total / (double)b->profile.runs;
}

static json_t *nodes_json(const struct bench *b)
{
	json_t *list = json_array();

	for (size_t k = 0; k < b->profile.nodes_len; k++) {
		const struct ps_engine_node *x = &b->profile.nodes[k];
		json_t *row = json_object();
		ps_json_set_string(row, "node", x->name);
		ps_json_set_string(row, "operator", x->op);
		ps_json_set_int(row, "calls_per_run", x->calls / b->profile.runs);
		ps_json_set_real(row, "ns_per_run", per_run(b, x->total_ns));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *operators_json(const struct bench *b)
{
	json_t *o = json_object(), *list = json_array();

	ps_json_set_string(o, "model", b->o->model);
	ps_json_set_string(o, "engine", b->ops->name);
	ps_json_set_string(o, "engine_version", b->ops->version(b->engine));
	ps_json_set_int(o, "batch", b->o->batch);
	ps_json_set_int(o, "runs", b->profile.runs);
	ps_json_set_real(o, "run_ns", per_run(b, b->profile.run_ns));
	for (size_t k = 0; k < b->profile.len; k++) {
		const struct ps_engine_operator *x = &b->profile.operators[k];
		json_t *row = json_object();
		ps_json_set_string(row, "operator", x->name);
		ps_json_set_int(row, "calls_per_run", x->calls / b->profile.runs);
		ps_json_set_real(row, "ns_per_run", per_run(b, x->total_ns));
		json_array_append_new(list, row);
	}
	json_object_set_new(o, "operators", list);
	json_object_set_new(o, "nodes", nodes_json(b));
	return o;
}

static enum ps_status print_operators(const struct bench *b, struct ps_error *err)
{
	char time[PS_UNITS_SIZE];
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_strbuf_printf(&out, "%s: %lld runs of %s under the profiler, batch %lld\n", b->o->model,
			 (long long)b->profile.runs,
			 ps_units_format_duration((int64_t)per_run(b, b->profile.run_ns), time),
			 (long long)b->o->batch);
	ps_strbuf_printf(&out, "%-28s %10s %10s %7s\n", "operator", "calls/run", "time/run",
			 "share");
	for (size_t k = 0; k < b->profile.len; k++) {
		const struct ps_engine_operator *x = &b->profile.operators[k];
		ps_strbuf_printf(&out, "%-28s %10lld %10s %6.1f%%\n", x->name,
				 (long long)(x->calls / b->profile.runs),
				 ps_units_format_duration((int64_t)per_run(b, x->total_ns), time),
				 100 * (double)x->total_ns / (double)b->profile.run_ns);
	}
	enum ps_status st = out.failed ? ps_error_set(err, PS_ENOMEM, "no memory for the result")
				       : ps_cli_print(out.data, out.len, err);
	ps_strbuf_fini(&out);
	return st;
}

static void clean_up(struct bench *b)
{
	free(b->profile.operators);
	free(b->profile.nodes);
	for (int k = 0; k < DISTINCT_INPUTS; k++)
		ps_load_inputs_fini(&b->inputs[k]);
	ps_arena_fini(&b->arena);
	ps_hist_fini(&b->hist);
	if (b->instance)
		b->ops->close(b->instance);
	if (b->engine)
		b->ops->stop(b->engine);
	free(b);
}

static enum ps_status write_json(const struct bench *b, struct ps_error *err)
{
	json_t *o = b->o->operators > 0 ? operators_json(b) : bench_json(b);
	char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	enum ps_status st = text ? ps_file_write(b->o->output, text, strlen(text), err)
				 : ps_error_set(err, PS_ENOMEM, "no memory for the result");

	free(text);
	json_decref(o);
	return st;
}

static enum ps_status bench(struct bench *b, struct ps_error *err)
{
	enum ps_status st = prepare(b, err);

	if (st == PS_OK)
		st = measure(b, err);
	if (st != PS_OK)
		return st;
	if (b->o->output)
		return write_json(b, err);
	if (b->o->operators > 0)
		return b->o->json ? ps_cli_print_json(operators_json(b), err)
				  : print_operators(b, err);
	return b->o->json ? ps_cli_print_json(bench_json(b), err) : print_text(b, err);
}

static int run(void *options)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct ps_error err;
	enum ps_status st;

	ps_error_clear(&err);
	if (!b) {
		ps_error_set(&err, PS_ENOMEM, "no memory");
		return ps_cli_fail(&err);
	}
	ps_cli_stop_on_signals();
	b->o = options;
	ps_arena_init(&b->arena, 0);
	st = bench(b, &err);
	clean_up(b);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cmd_bench = {.name = "bench", .schema = &schema, .run = run};
