/* engine.c - the table of functions for graphs of recurrent layers, without ONNX Runtime. */
#include "engine/rnn/cpu.h"
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

static enum ps_status load(struct ps_engine_instance *i, const struct ps_engine_open *open,
			   struct ps_rnn_tuner *tuner, struct ps_error *err)
{
	struct ps_rnn_wish wish;
	struct ps_edit edit;
	char *data;
	size_t len;
	enum ps_status st = ps_rnn_wish_read(open->rnn && open->rnn[0] ? open->rnn : "float32",
					     open->rnn_max_error, &wish, err);

	wish.tuner = tuner;
	if (st == PS_OK)
		st = ps_file_read(open->path, (size_t)PS_ONNX_MAX_BYTES, &data, &len, err);
	if (st != PS_OK)
		return st;
	st = ps_edit_parse(data, len, &edit, err);
	if (st == PS_OK) {
		st = ps_rnn_graph_load(&edit, &wish, &i->graph, err);
		ps_edit_fini(&edit);
	}
	free(data);
	if (st == PS_OK)
		ps_rnn_log_taken(open->path, "without ONNX Runtime", i->graph.n_layers, &wish,
				 i->graph.error);
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
	if (st == PS_OK)
		st = load(i, open, open->wide ? e->tuner : NULL, err);
	if (st != PS_OK) {
		free(i);
		return st;
	}
	i->engine = e;
	i->wide = open->wide && e->team;
	i->load_ns = ps_clock_now_ns() - began_ns;
	*ret_instance = i;
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
	*ret = (struct ps_engine_memory){.load_ns = i->load_ns};
	for (int s = 0; s < i->graph.n_steps; s++) {
		struct ps_rnn *layer = i->graph.steps[s].layer;
		if (!layer)
			continue;
		ret->private_bytes += (int64_t)ps_rnn_bytes(layer);
		ret->footprint_bytes += (int64_t)layer->packed_bytes;
	}
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
	struct ps_edit edit;
	struct ps_error err;
	char *data;
	size_t len;
	bool pure = false;

	if (!ps_rnn_precision_named(rnn, &precision) ||
	    ps_file_read(path, (size_t)PS_ONNX_MAX_BYTES, &data, &len, &err) != PS_OK)
		return false;
	if (ps_edit_parse(data, len, &edit, &err) == PS_OK) {
		pure = ps_rnn_graph_is_pure(&edit, precision, &err);
		ps_edit_fini(&edit);
	}
	free(data);
	return pure;
}
