/* engine.c - the table of functions for graphs of recurrent layers, without ONNX Runtime. */
#include "engine/rnn/cpu.h"
#include "engine/rnn/facts.h"
#include "engine/rnn/graph_internal.h"
#include "engine/rnn/layer_internal.h"
#include "engine/rnn/tune.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "model/onnx.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct ps_engine {
	struct ps_rnn_team *team;   /* of wide runs; NULL: there are none */
	struct ps_rnn_tuner *tuner; /* of that team */
	struct ps_cpus cpus;
	const struct ps_engine_lender *lender; /* of these; NULL: nobody else uses them */
	atomic_bool interrupted;
};

struct ps_engine_instance {
	struct ps_engine *engine;
	struct ps_rnn_graph graph;
	bool wide;
	int64_t load_ns;
};

static void rnn_stop(struct ps_engine *e)
{
	ps_rnn_tuner_close(e->tuner);
	ps_rnn_team_free(e->team);
	free(e);
}

static enum ps_status rnn_start(const struct ps_engine_options *options,
				struct ps_engine **ret_engine, struct ps_error *err)
{
	struct ps_engine *e = calloc(1, sizeof *e);
	enum ps_status st = PS_OK;

	if (!e)
		return ps_error_set(err, PS_ENOMEM, "no memory for the engine");
	e->cpus = options->cpus;
	e->lender = options->lender;
	if (options->wide_threads > 1)
		st = ps_rnn_team_new(ps_rnn_team_size(options->wide_threads), &options->cpus,
				     &e->team, err);
	if (st == PS_OK && e->team)
		st = ps_rnn_tuner_open_in(options->cache_dir, e->team, options->lender, &e->tuner,
					  err);
	if (st == PS_OK)
		*ret_engine = e;
	else
		rnn_stop(e);
	return st;
}

static const char *rnn_version(const struct ps_engine *e)
{
	(void)e;
	return ps_version();
}

static const char *precision_of(const struct ps_engine_open *open)
{
	return open->rnn && open->rnn[0] ? open->rnn : "float32";
}

/* Loading has threads of its own, as many as wide runs: it may be at a low priority, and who waits
 * for the team of the runs must not wait for that. */
static enum ps_status with_team(struct ps_engine_instance *i, const struct ps_edit *edit,
				struct ps_rnn_wish *wish, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (i->wide)
		st = ps_rnn_team_new(ps_rnn_team_threads(i->engine->team), &i->engine->cpus,
				     &wish->team, err);
	if (st == PS_OK)
		st = ps_rnn_graph_load(edit, wish, &i->graph, err);
	ps_rnn_team_free(wish->team);
	wish->team = NULL;
	return st;
}

static enum ps_status load(struct ps_engine_instance *i, const struct ps_engine_open *open,
			   struct ps_error *err)
{
	struct ps_rnn_wish wish;
	struct ps_edit edit;
	char *data;
	size_t len;
	enum ps_status st = ps_rnn_wish_read(precision_of(open), open->rnn_max_error, &wish, err);

	bool measured = ps_rnn_wish_measures(&wish, open->rnn_calibration);
	int sets = 0;

	wish.tuner = i->wide ? i->engine->tuner : NULL;
	wish.lender = i->engine->lender;
	if (st == PS_OK)
		st = ps_file_read(open->path, (size_t)PS_ONNX_MAX_BYTES, &data, &len, err);
	if (st != PS_OK)
		return st;
	st = ps_edit_parse(data, len, &edit, err);
	if (st == PS_OK) {
		st = with_team(i, &edit, &wish, err);
		ps_edit_fini(&edit);
	}
	free(data);
	if (st == PS_OK && measured)
		st = ps_engine_calibrate(&ps_engine_rnn, i, i->engine->lender,
					 open->rnn_calibration, &sets, err);
	if (st == PS_OK)
		st = ps_rnn_layers_judge(&i->graph.layers, &wish, err);
	if (st == PS_OK)
		ps_rnn_layers_log(&i->graph.layers, &wish, open->path, "without ONNX Runtime",
				  sets);
	return st;
}

static void rnn_close(struct ps_engine_instance *i)
{
	ps_rnn_graph_fini(&i->graph);
	free(i);
}

static enum ps_status rnn_open(struct ps_engine *e, const struct ps_engine_open *open,
			       struct ps_engine_instance **ret_instance, struct ps_error *err)
{
	int64_t began_ns = ps_clock_now_ns();
	struct ps_engine_instance *i = calloc(1, sizeof *i);
	int gpu = -1;
	enum ps_status st;

	if (!i)
		return ps_error_set(err, PS_ENOMEM, "no memory for a model");
	st = ps_engine_device(open->device, &gpu, err);
	if (st == PS_OK && gpu >= 0)
		st = ps_error_set(err, PS_EUNSUPPORTED, "recurrent layers run on the CPU here");
	if (st == PS_OK && atomic_load(&e->interrupted))
		st = ps_error_set(err, PS_ECANCELLED, "loading was interrupted");
	i->engine = e;
	i->wide = open->wide && e->team;
	if (st == PS_OK)
		st = load(i, open, err);
	if (st != PS_OK) {
		rnn_close(i);
		return st;
	}
	i->load_ns = ps_clock_now_ns() - began_ns;
	*ret_instance = i;
	return PS_OK;
}

enum { LITTLE = 256 << 10 }; /* names, steps, constants that layers begin with */

/* The file is read whole; then each layer is packed, and measured beside its twin in float32. */
static enum ps_status rnn_need(struct ps_engine *e, const struct ps_engine_open *open,
			       struct ps_engine_need *ret_need, struct ps_error *err)
{
	int threads = e && open->wide && e->team ? ps_rnn_team_threads(e->team) : 1;
	struct ps_rnn_facts f;
	struct ps_rnn_wish wish;
	enum ps_status st = ps_rnn_wish_read(precision_of(open), 0, &wish, err);

	if (st == PS_OK)
		st = ps_rnn_facts_get(open->path, wish.precision, &f, err);
	if (st != PS_OK)
		return st;
	*ret_need = (struct ps_engine_need){.resident_bytes = f.packed_bytes +
							      threads * f.run_bytes + LITTLE};
	ret_need->file_bytes = f.file_bytes;
	ret_need->load_bytes = ret_need->resident_bytes + f.file_bytes + f.most_bytes;
	if (ps_rnn_wish_measures(&wish, open->rnn_calibration))
		ret_need->load_bytes += f.exact_bytes; /* all of them are kept until then */
	return PS_OK;
}

static void rnn_describe(const struct ps_engine_instance *i, struct ps_engine_describe *ret)
{
	*ret = (struct ps_engine_describe){.inputs = i->graph.inputs,
					   .outputs = i->graph.outputs,
					   .n_inputs = i->graph.n_inputs,
					   .n_outputs = i->graph.n_outputs,
					   .platform = "onnx_onnxv1",
					   .device = "cpu"};
	ret->batch_axis = ps_engine_has_batch_axis(ret);
}

static void rnn_memory(const struct ps_engine_instance *i, struct ps_engine_memory *ret)
{
	*ret = (struct ps_engine_memory){.private_bytes = ps_rnn_layers_bytes(&i->graph.layers),
					 .load_ns = i->load_ns};
	for (int k = 0; k < i->graph.layers.n; k++)
		ret->footprint_bytes += (int64_t)i->graph.layers.rows[k].layer->packed_bytes;
}

static enum ps_status rnn_run(struct ps_engine_instance *i, struct ps_engine_run *run,
			      struct ps_error *err)
{
	struct ps_engine_describe d;
	enum ps_status st;

	rnn_describe(i, &d);
	if (atomic_load(&run->cancelled))
		return ps_error_set(err, PS_ECANCELLED, "the run was cancelled before it began");
	st = ps_engine_check_run(&d, run, err);
	return st == PS_OK
		       ? ps_rnn_graph_run(&i->graph, run->wide && i->wide ? i->engine->team : NULL,
					  run, err)
		       : st;
}

/* Looked at between layers. */
static void rnn_cancel(struct ps_engine_instance *i, struct ps_engine_run *run)
{
	(void)i;
	atomic_store(&run->cancelled, true);
}

static void rnn_interrupt(struct ps_engine *e)
{
	atomic_store(&e->interrupted, true);
}

const struct ps_engine_ops ps_engine_rnn = {
	.name = "rnn",
	.start = rnn_start,
	.version = rnn_version,
	.open = rnn_open,
	.need = rnn_need,
	.describe = rnn_describe,
	.memory = rnn_memory,
	.run = rnn_run,
	.cancel = rnn_cancel,
	.close = rnn_close,
	.interrupt = rnn_interrupt,
	.stop = rnn_stop,
};

bool ps_engine_rnn_can(const char *path, const char *rnn)
{
	enum ps_rnn_precision precision;
	struct ps_rnn_facts facts;
	struct ps_error err;

	return ps_rnn_precision_named(rnn, &precision) &&
	       ps_rnn_facts_get(path, precision, &facts, &err) == PS_OK && facts.pure;
}
