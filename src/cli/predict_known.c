/* predict_known.c - the models that campaigns name, where they were measured, and what is said
 * about both. */
#include "cli/predict_data_internal.h"

#include "base/json.h"
#include "store/manifest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NOTE_SIZE 400

/* ---- notes ---- */

void ps_cli_predict_note(struct ps_cli_predict_data *d, const char *fmt, ...)
{
	char text[NOTE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < d->note_len; i++)
		if (strcmp(d->notes[i], text) == 0)
			return;
	if (d->note_len == PS_CLI_PREDICT_MAX_NOTES) {
		d->notes_dropped++;
		return;
	}
	const char *kept = ps_arena_strndup(&d->arena, text, strlen(text));
	if (kept)
		d->notes[d->note_len++] = kept;
	else
		d->notes_dropped++;
}

/* ---- models ---- */

static int named(const struct ps_cli_predict_data *d, const char *name)
{
	for (int i = 0; i < d->model_len; i++)
		if (!d->models[i].asked && strcmp(d->models[i].name, name) == 0)
			return i;
	return -1;
}

int ps_cli_predict_find(const struct ps_cli_predict_data *d, const char *name)
{
	int i = named(d, name);

	return i < 0 ? -1 : d->models[i].same;
}

static const char *keep(struct ps_cli_predict_data *d, const char *text)
{
	return text ? ps_arena_strndup(&d->arena, text, strlen(text)) : NULL;
}

static bool equal(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* One file under two names, or one network of the zoo with other weights: what is measured of one
 * is known of the other, so that both belong into one fold. */
static int twin_of(struct ps_cli_predict_data *d, int at)
{
	const struct ps_cli_predict_model *m = &d->models[at];

	for (int i = 0; i < at; i++) {
		const struct ps_cli_predict_model *x = &d->models[i];
		if (!equal(x->sha256, m->sha256) && !equal(x->zoo, m->zoo))
			continue;
		ps_cli_predict_note(d,
				    "%.80s is the same network as %.80s: they count as one model",
				    m->name, d->models[x->same].name);
		return x->same;
	}
	return at;
}

static enum ps_status two_models(const char *name, struct ps_error *err)
{
	ps_error_set(err, PS_EINVAL, "campaigns of this store call two different models %.60s",
		     name);
	ps_error_hint(err, "choose one of them with --campaign");
	return PS_EINVAL;
}

enum ps_status ps_cli_predict_add_known(struct ps_cli_predict_data *d, const json_t *row,
					struct ps_error *err)
{
	const char *name = ps_json_get_string(row, "name", "");
	const char *sha256 = ps_json_get_string(row, "sha256", NULL);
	int i = named(d, name);

	if (i >= 0) {
		const char *had = d->models[i].sha256;
		return had && sha256 && strcmp(had, sha256) != 0 ? two_models(name, err) : PS_OK;
	}
	if (d->model_len == PS_CLI_PREDICT_MAX_MODELS)
		return ps_error_set(err, PS_ETOOBIG, "over %d models", PS_CLI_PREDICT_MAX_MODELS);
	i = d->model_len;
	struct ps_cli_predict_model *m = &d->models[i];
	*m = (struct ps_cli_predict_model){
		.name = keep(d, name),
		.path = keep(d, ps_json_get_string(row, "path", NULL)),
		.zoo = keep(d, ps_json_get_string(row, "zoo", NULL)),
		.sha256 = keep(d, sha256),
		.zoo_seed = ps_json_get_int(row, "zoo_seed", 1),
	};
	if (!m->name)
		return ps_error_set(err, PS_ENOMEM, "no memory for models");
	m->same = twin_of(d, i);
	d->model_len++;
	return PS_OK;
}

/* ---- the engine ---- */

static const char *library_of(const json_t *run)
{
	return ps_json_get_string(json_object_get(run, "onnxruntime"), "sha256", NULL);
}

const char *ps_cli_predict_library(struct ps_cli_predict_data *d, const char *manifest)
{
	json_t *o = NULL;

	if (!manifest || ps_json_parse(manifest, strlen(manifest), &o, NULL) != PS_OK)
		return NULL;
	const json_t *runs = json_object_get(o, "runs");
	const char *library = keep(d, library_of(json_array_get(runs, json_array_size(runs) - 1)));
	json_decref(o);
	return library;
}

bool ps_cli_predict_other_library(const struct ps_cli_predict_data *d, const char *manifest)
{
	json_t *o = NULL;
	const json_t *run = NULL;
	bool other = false;
	size_t i;

	if (!d->library || !manifest ||
	    ps_json_parse(manifest, strlen(manifest), &o, NULL) != PS_OK)
		return false;
	json_array_foreach(json_object_get(o, "runs"), i, run)
	{
		const char *library = library_of(run);
		other |= library && strcmp(library, d->library) != 0;
	}
	json_decref(o);
	return other;
}

/* ---- the machine ---- */

enum ps_status ps_cli_predict_same_machine(struct ps_cli_predict_data *d, const char *manifest,
					   struct ps_error *err)
{
	char text[PS_STORE_MACHINE_TEXT_SIZE];
	json_t *o = NULL;

	if (!manifest || ps_json_parse(manifest, strlen(manifest), &o, NULL) != PS_OK)
		return PS_OK; /* it says nothing */
	const json_t *runs = json_object_get(o, "runs");
	json_t *machine = json_object_get(json_array_get(runs, 0), "machine");
	if (!d->machine_of)
		d->machine_of = json_incref(machine);
	json_decref(o);
	if (!d->machine_of || !ps_store_manifest_differs(manifest, d->machine_of, text))
		return PS_OK;
	ps_error_set(err, PS_EINVAL, "campaigns of two machines: %s", text);
	ps_error_hint(err, "choose the campaigns of one with --campaign");
	return PS_EINVAL;
}
