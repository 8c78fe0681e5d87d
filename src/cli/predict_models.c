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
			d->models[i].path = path;
			*ret_model = i;
			return PS_OK;
		}
	if (d->model_len == PS_CLI_PREDICT_MAX_MODELS)
		return ps_error_set(err, PS_ETOOBIG, "over %d models", PS_CLI_PREDICT_MAX_MODELS);
	*ret_model = d->model_len;
	d->models[d->model_len++] = (struct ps_cli_predict_model){
		.name = name_of(d, path), .path = path, .sha256 = sha256, .asked = true};
	return PS_OK;
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

static enum ps_status count_one(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
				const char *dir, struct ps_error *err)
{
	char path[PATH_SIZE] = "";

	if (dir && !m->asked)
		(void)snprintf(path, sizeof(path), "%s/%s.onnx", dir, m->name);
	if (path[0] && ps_file_exists(path))
		return count_file(d, m, path, err);
	if (m->path && ps_file_exists(m->path))
		return count_file(d, m, m->path, err);
	return m->zoo ? count_zoo(d, m, err) : PS_OK;
}

/* Stores of before the probes do not say how many channels the engine holds together: the number
 * under which its profile of a model has most in common with the file. */
static enum ps_status find_block(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
				 const char *dir, struct ps_error *err)
{
	static const int blocks[] = {8, 16, 0};
	double most = -1;
	int best = 0;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		d->machine.block = blocks[i];
		enum ps_status st = count_one(d, m, dir, err);
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
		if (d->models[i].nodes)
			return &d->models[i];
	return NULL;
}

enum ps_status ps_cli_predict_count(struct ps_cli_predict_data *d, const char *dir,
				    struct ps_error *err)
{
	struct ps_cli_predict_model *timed = d->machine.block == 0 ? first_timed(d) : NULL;
	enum ps_status st = timed ? find_block(d, timed, dir, err) : PS_OK;

	for (int i = 0; i < d->model_len && st == PS_OK; i++)
		st = count_one(d, &d->models[i], dir, err);
	return st;
}
