/* predict_models.c - the files behind the models, and what they make a machine do. */
#include "cli/predict_data_internal.h"

#include "base/file.h"
#include "model/zoo.h"
#include "predict/match.h"
#include "tenancy/tenancy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_HASHED_BYTES ((size_t)2 << 30)
#define PATH_SIZE	 4200

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for model files");
}

/* ---- asked about ---- */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The file's name without .onnx. */
static char *name_of(struct ps_cli_predict_data *d, const char *path)
{
	const char *base = base_of(path), *dot = strrchr(base, '.');

	return ps_arena_strndup(&d->arena, base,
				dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static enum ps_status digest_of(struct ps_cli_predict_data *d, const char *path,
				const char **ret_sha256, struct ps_error *err)
{
	char digest[PS_TENANCY_DIGEST_SIZE] = "", *data = NULL;
	size_t len = 0;
	enum ps_status st = ps_file_read(path, MAX_HASHED_BYTES, &data, &len, err);

	if (st != PS_OK)
		return st;
	ps_tenancy_digest(data, len, digest); /* of any bytes */
	free(data);
	const char *hex = digest + strlen("sha256:");
	*ret_sha256 = ps_arena_strndup(&d->arena, hex, strlen(hex));
	return *ret_sha256 ? PS_OK : no_memory(err);
}

enum ps_status ps_cli_predict_add_file(struct ps_cli_predict_data *d, const char *path,
				       int *ret_model, struct ps_error *err)
{
	const char *sha256 = NULL;
	enum ps_status st = digest_of(d, path, &sha256, err);

	if (st != PS_OK)
		return st;
	for (int i = 0; i < d->model_len; i++)
		if (d->models[i].sha256 && strcmp(d->models[i].sha256, sha256) == 0) {
			*ret_model = d->models[i].same;
			d->models[*ret_model].path = path;
			d->models[*ret_model].given = true;
			return PS_OK;
		}
	if (d->model_len == PS_CLI_PREDICT_MAX_MODELS)
		return ps_error_set(err, PS_ETOOBIG, "over %d models", PS_CLI_PREDICT_MAX_MODELS);
	int at = d->model_len;
	d->models[at] = (struct ps_cli_predict_model){.name = name_of(d, path),
						      .path = path,
						      .sha256 = sha256,
						      .same = at,
						      .asked = true,
						      .given = true};
	if (!d->models[at].name)
		return no_memory(err);
	*ret_model = at;
	d->model_len++;
	return PS_OK;
}

/* ---- where the content is ---- */

/* The file may have been written again since: then the times are of another model. */
static enum ps_status is_as_measured(struct ps_cli_predict_data *d,
				     const struct ps_cli_predict_model *m, const char *path,
				     bool *ret_same, struct ps_error *err)
{
	const char *sha256 = NULL;

	*ret_same = true;
	if (!m->sha256)
		return PS_OK;
	enum ps_status st = digest_of(d, path, &sha256, err);
	*ret_same = st == PS_OK && strcmp(sha256, m->sha256) == 0;
	if (!*ret_same)
		ps_cli_predict_note(d, "%.200s is not the file that was measured as %.80s: %s",
				    path, m->name,
				    st == PS_OK ? "its content is another" : "it cannot be read");
	return st == PS_ENOMEM ? st : PS_OK;
}

static enum ps_status try_file(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
			       const char *path, struct ps_error *err)
{
	bool same = false;

	if (m->file || !ps_file_exists(path))
		return PS_OK;
	enum ps_status st = is_as_measured(d, m, path, &same, err);
	if (st != PS_OK || !same)
		return st;
	m->file = ps_arena_strndup(&d->arena, path, strlen(path));
	return m->file ? PS_OK : no_memory(err);
}

static enum ps_status find_file(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
				const char *dir, struct ps_error *err)
{
	char path[PATH_SIZE] = "";
	enum ps_status st = PS_OK;

	if (m->given) {
		m->file = m->path;
		return PS_OK;
	}
	if (dir) {
		(void)snprintf(path, sizeof(path), "%s/%s.onnx", dir, m->name);
		st = try_file(d, m, path, err);
	}
	return st == PS_OK && m->path ? try_file(d, m, m->path, err) : st;
}

/* ---- counting ---- */

static enum ps_status count_file(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
				 const char *path, struct ps_error *err)
{
	const struct ps_predict_target t = {
		.batch = 1, .steps = 1, .block = d->machine.block, .fused = true};
	enum ps_status st = ps_predict_work(path, m->name, &t, &m->work, err);

	if (st == PS_OK && m->nodes)
		st = ps_predict_match(&m->work, m->nodes, m->node_len, &m->matched, err);
	return st;
}

/* Networks of the zoo can be made again, byte by byte: into a file that goes at once. */
static enum ps_status count_zoo(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
				struct ps_error *err)
{
	const struct ps_zoo_entry *e = ps_zoo_find(m->zoo);
	const char *dir = getenv("TMPDIR");
	char path[PATH_SIZE];

	if (!e)
		return PS_OK;
	(void)snprintf(path, sizeof(path), "%s/perseus-predict-%d.onnx", dir ? dir : "/tmp",
		       (int)getpid());
	enum ps_status st = ps_zoo_write(e, (uint64_t)m->zoo_seed, path, err);
	if (st == PS_OK)
		st = count_file(d, m, path, err);
	(void)unlink(path);
	return st;
}

static const char *say(struct ps_cli_predict_data *d, const char *text)
{
	const char *kept = ps_arena_strndup(&d->arena, text, strlen(text));

	return kept ? kept : "no memory";
}

static const struct ps_predict_op *first_unknown(const struct ps_predict_model *w)
{
	for (size_t i = 0; i < w->op_count; i++)
		if (!w->ops[i].known)
			return &w->ops[i];
	return NULL;
}

/* What the totals of a model cannot be used for: of a part of it, or where a logarithm is taken. */
static const char *lack_of(struct ps_cli_predict_data *d, const struct ps_predict_model *w)
{
	const struct ps_predict_op *op = first_unknown(w);
	char text[200];

	if (w->op_count == 0)
		return "its file was not found";
	if (op) {
		(void)snprintf(text, sizeof(text),
			       "%zu of its %zu operators are not known, the first is a %s",
			       w->unknown, w->op_count, op->type);
		return say(d, text);
	}
	if (!(w->macs > 0) || !(w->param_bytes > 0) || !(w->activation_bytes > 0))
		return "it multiplies nothing or has no weights";
	return NULL;
}

static enum ps_status count_one(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
				struct ps_error *err)
{
	struct ps_error why = {0};
	char text[200];
	enum ps_status st = PS_OK;

	if (m->file)
		st = count_file(d, m, m->file, &why);
	else if (m->zoo)
		st = count_zoo(d, m, &why);
	bool unreadable =
		st == PS_EPARSE || st == PS_EUNSUPPORTED || st == PS_EINVAL || st == PS_ETOOBIG;
	if (st != PS_OK && (m->given || !unreadable)) {
		if (err)
			*err = why;
		return st;
	}
	m->lacks = st == PS_OK ? lack_of(d, &m->work)
			       : say(d, ps_error_format(&why, text, sizeof(text)));
	return PS_OK;
}

static bool has_profile(const struct ps_cli_predict_data *d, int model)
{
	for (size_t i = 0; i < d->profile_len; i++)
		if (d->profiles[i].model == model)
			return true;
	return d->models[model].node_len > 0;
}

static void say_lacks(struct ps_cli_predict_data *d)
{
	for (int i = 0; i < d->model_len; i++) {
		const struct ps_cli_predict_model *m = &d->models[i];
		if (m->same == i && m->lacks && !m->given && has_profile(d, i))
			ps_cli_predict_note(d, "%.80s is not learned from: %s", m->name, m->lacks);
	}
}

/* Stores of before the probes do not say how many channels the engine holds together: the number
 * under which its profile of a model has most in common with the file. */
static enum ps_status find_block(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
				 struct ps_error *err)
{
	static const int blocks[] = {8, 16, 0};
	double most = -1;
	int best = 0;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		d->machine.block = blocks[i];
		enum ps_status st = count_one(d, m, err);
		if (st != PS_OK)
			return st;
		if (m->matched.share > most) {
			most = m->matched.share;
			best = blocks[i];
		}
		ps_predict_model_fini(&m->work);
	}
	d->machine.block = best;
	return PS_OK;
}

static struct ps_cli_predict_model *first_timed(struct ps_cli_predict_data *d)
{
	for (int i = 0; i < d->model_len; i++)
		if (d->models[i].node_len > 0 && (d->models[i].file || d->models[i].zoo))
			return &d->models[i];
	return NULL;
}

enum ps_status ps_cli_predict_count(struct ps_cli_predict_data *d, const char *dir,
				    struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int i = 0; i < d->model_len && st == PS_OK; i++)
		if (d->models[i].same == i)
			st = find_file(d, &d->models[i], dir, err);
	if (st != PS_OK)
		return st;
	struct ps_cli_predict_model *timed = d->machine.block == 0 ? first_timed(d) : NULL;
	st = timed ? find_block(d, timed, err) : PS_OK;
	for (int i = 0; i < d->model_len && st == PS_OK; i++)
		if (d->models[i].same == i)
			st = count_one(d, &d->models[i], err);
	say_lacks(d);
	return st;
}
