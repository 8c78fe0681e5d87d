/* recurrent.c - takes the recurrent nodes out of a model: packs their layers, and rewrites the
 * file. */
#include "engine/onnxruntime/recurrent_internal.h"

#include "base/file.h"
#include "base/log.h"
#include "model/onnx.h"

#include <stdlib.h>
#include <string.h>

/* What a model is while it is taken apart. */
struct opening {
	const char *path;
	struct ps_rnn_wish wish;
	struct ps_edit edit;
	int n_taken; /* nodes */
	struct ps_ort_rnn *rnn;
};

static enum ps_status keep(const struct opening *o, const struct ps_error *why)
{
	ps_log(PS_LOG_WARN, "engine", "%s: %s stays with ONNX Runtime: %s", o->path, why->where,
	       why->what);
	return PS_OK;
}

/* The whole file stays as it is. */
static enum ps_status keep_all(const char *path, const char *why)
{
	ps_log(PS_LOG_WARN, "engine", "%s: its recurrent layers stay with ONNX Runtime: %s", path,
	       why);
	return PS_OK;
}

static enum ps_status replace(struct opening *o, int k, int handle, struct ps_error *err)
{
	static const int kept[] = {PS_RNN_IN_X, PS_RNN_IN_LENS, PS_RNN_IN_H, PS_RNN_IN_C};
	const struct ps_rnn_spec *s = ps_rnn_spec_of(o->rnn->layers.rows[handle].layer);
	const struct ps_edit_number numbers[] = {
		{PS_ORT_RNN_HANDLE, handle},
		{PS_ORT_RNN_HIDDEN, s->hidden},
		{PS_ORT_RNN_DIRECTIONS, s->direction == PS_RNN_BOTH ? 2 : 1},
		{PS_ORT_RNN_LAYOUT, s->layout},
		{PS_ORT_RNN_OUTPUTS, o->edit.nodes[k].n_out}};

	return ps_edit_replace(&o->edit, k,
			       &(struct ps_edit_replacement){.op = PS_ORT_RNN_OP,
							     .domain = PS_ORT_RNN_DOMAIN,
							     .numbers = numbers,
							     .n_numbers = 5,
							     .keep = kept,
							     .n_keep = 4},
			       err);
}

static enum ps_status take_node(struct opening *o, int k, struct ps_error *err)
{
	int handle;
	enum ps_status st = ps_rnn_layers_add(&o->rnn->layers, &o->edit, &o->edit.nodes[k],
					      &o->wish, &handle, err);

	if (st == PS_EUNSUPPORTED)
		return keep(o, err);
	if (st != PS_OK)
		return st;
	o->n_taken++;
	return replace(o, k, handle, err);
}

static enum ps_status take_nodes(struct opening *o, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int k = 0; st == PS_OK && k < o->edit.n_nodes; k++) {
		if (ps_rnn_node_is(&o->edit.nodes[k]))
			st = take_node(o, k, err);
	}
	return st;
}

static enum ps_status write_model(struct opening *o, struct ps_error *err)
{
	struct ps_strbuf model;

	ps_strbuf_init(&model);
	enum ps_status st = ps_edit_write(&o->edit, PS_ORT_RNN_DOMAIN, &model, err);
	if (st == PS_OK) {
		o->rnn->model_bytes = model.len;
		o->rnn->model = ps_strbuf_take_data(&model);
	}
	ps_strbuf_fini(&model);
	return st;
}

static enum ps_status make_side(struct ps_ort_rnn *r, struct ps_ort_rnn_side *side,
				struct ps_rnn_team *team, struct ps_error *err)
{
	const struct ps_ort_api *a = r->api;
	struct ps_ort_status *s;

	side->rnn = r;
	side->team = team;
	ps_ort_rnn_describe(&side->op);
	s = a->create_op_domain(PS_ORT_RNN_DOMAIN, &side->domain);
	if (!s)
		s = a->op_domain_add(side->domain, &side->op);
	return ps_ort_check(a, s, err, "cannot describe an operator");
}

enum ps_status ps_ort_rnn_blind(const struct ps_ort_api *api, void **ret_domain,
				struct ps_error *err)
{
	static struct ps_ort_rnn blind = {.blind = true};
	enum ps_status st;

	blind.api = api;
	st = make_side(&blind, &blind.sides[0], NULL, err);
	*ret_domain = blind.sides[0].domain;
	return st;
}

static enum ps_status take_apart(struct opening *o, struct ps_rnn_team *wide_team,
				 struct ps_error *err)
{
	struct ps_ort_rnn *r = o->rnn;
	enum ps_status st = take_nodes(o, err);

	if (st != PS_OK || o->n_taken == 0)
		return st;
	st = write_model(o, err);
	if (st == PS_OK)
		st = make_side(r, &r->sides[0], NULL, err);
	if (st == PS_OK)
		st = make_side(r, &r->sides[1], wide_team, err);
	r->wish = o->wish;
	r->wish.team = NULL;
	return st;
}

static bool has_external(const struct ps_edit *e)
{
	for (int i = 0; i < e->n_stored; i++) {
		if (e->stored[i].external)
			return true;
	}
	return false;
}

static bool has_recurrent(const struct ps_edit *e)
{
	for (int i = 0; i < e->n_nodes; i++) {
		if (ps_rnn_node_is(&e->nodes[i]))
			return true;
	}
	return false;
}

static enum ps_status open_parsed(const struct ps_ort_api *api, struct opening *o,
				  struct ps_rnn_team *wide_team, struct ps_ort_rnn **ret_rnn,
				  struct ps_error *err)
{
	if (!has_recurrent(&o->edit))
		return keep_all(o->path, "it has none");
	if (has_external(&o->edit))
		return keep_all(o->path, "the model keeps weights in another file");
	o->rnn = calloc(1, sizeof *o->rnn);
	if (!o->rnn)
		return ps_error_set(err, PS_ENOMEM, "no memory for recurrent layers");
	o->rnn->api = api;
	enum ps_status st = take_apart(o, wide_team, err);
	if (st == PS_OK && o->n_taken > 0)
		*ret_rnn = o->rnn;
	else
		ps_ort_rnn_free(o->rnn);
	return st;
}

bool ps_ort_rnn_is_onnx(const char *path)
{
	size_t n = strlen(path);

	return n > 5 && strcmp(path + n - 5, ".onnx") == 0;
}

enum ps_status ps_ort_rnn_open(const struct ps_ort_api *api, const struct ps_engine_open *open,
			       const struct ps_ort_rnn_teams *teams, struct ps_ort_rnn **ret_rnn,
			       struct ps_error *err)
{
	struct opening o = {.path = open->path};
	char *data;
	size_t len;
	enum ps_status st = ps_rnn_wish_read(open->rnn, open->rnn_max_error, &o.wish, err);

	*ret_rnn = NULL;
	o.wish.tuner = teams->tuner;
	o.wish.team = teams->loading;
	o.wish.lender = teams->lender;
	(void)ps_rnn_wish_measures(&o.wish, open->rnn_calibration);
	if (st != PS_OK)
		return st;
	if (!ps_ort_rnn_is_onnx(open->path))
		return keep_all(open->path, "the file is no ONNX file, but already converted");
	st = ps_file_read(open->path, (size_t)PS_ONNX_MAX_BYTES, &data, &len, err);
	if (st != PS_OK)
		return st;
	st = ps_edit_parse(data, len, &o.edit, err);
	if (st == PS_OK) {
		st = open_parsed(api, &o, teams->wide, ret_rnn, err);
		ps_edit_fini(&o.edit);
	}
	free(data);
	return st;
}

enum ps_status ps_ort_rnn_settle(struct ps_engine_instance *i, const struct ps_engine_open *open,
				 struct ps_error *err)
{
	struct ps_ort_rnn *r = i->rnn;
	int64_t before = ps_ort_rnn_bytes(r);
	enum ps_status st = PS_OK;
	int sets = 0;

	if (r->wish.input_comes)
		st = ps_engine_calibrate(&ps_engine_onnxruntime, i, i->engine->lender,
					 open->rnn_calibration, &sets, err);
	if (st == PS_OK)
		st = ps_rnn_layers_judge(&r->layers, &r->wish, err);
	if (st == PS_OK)
		ps_rnn_layers_log(&r->layers, &r->wish, open->path, "inside ONNX Runtime", sets);
	i->memory.private_bytes += ps_ort_rnn_bytes(r) - before;
	i->memory.footprint_bytes += ps_ort_rnn_bytes(r) - before;
	return st;
}

void ps_ort_rnn_free(struct ps_ort_rnn *r)
{
	if (!r)
		return;
	for (int i = 0; i < 2; i++) {
		if (r->sides[i].domain)
			r->api->release_op_domain(r->sides[i].domain);
	}
	ps_rnn_layers_fini(&r->layers);
	free(r->model);
	free(r);
}

int64_t ps_ort_rnn_bytes(const struct ps_ort_rnn *r)
{
	return r ? ps_rnn_layers_bytes(&r->layers) : 0;
}
