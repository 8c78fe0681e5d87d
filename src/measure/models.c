/* models.c - the files behind a campaign's models, and what they hold. */
#include "measure/measure_internal.h"

#include "base/file.h"
#include "base/strbuf.h"
#include "engine/engine.h"
#include "load/files.h"
#include "model/zoo.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TRACE_BYTES ((size_t)1 << 30)

void ps_measure_remove_dir(const char *path)
{
	DIR *d = opendir(path);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			(void)unlinkat(dirfd(d), e->d_name, 0);
		}
	}
	if (d) {
		(void)closedir(d);
	}
	(void)rmdir(path);
}

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for models");
}

/* ---- where they are ---- */

/* Writes a network of the zoo unless it is there; the seed is in the name. */
static enum ps_status zoo_model(struct ps_measure_context *m, const struct ps_measure_model *x,
				char **ret_path, struct ps_error *err)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	ps_strbuf_printf(&b, "%s/%s-seed%lld.onnx", m->model_dir, x->zoo, (long long)m->c->seed);
	char *path = ps_strbuf_take_data(&b);
	if (!path) {
		return no_memory(err);
	}
	*ret_path = path;
	if (ps_file_exists(path)) {
		return PS_OK;
	}
	(void)snprintf(m->what, sizeof(m->what), "writing %s", x->zoo);
	(void)ps_measure_say(m, NULL);
	return ps_zoo_write(ps_zoo_find(x->zoo), (uint64_t)m->c->seed, path, err);
}

static enum ps_status file_model(const struct ps_measure_context *m,
				 const struct ps_measure_model *x, char **ret_path,
				 struct ps_error *err)
{
	char *joined = ps_measure_path(m->c->folder, x->file);
	char *absolute = joined ? realpath(joined, NULL) : NULL;
	free(joined);
	if (!absolute) {
		ps_error_set(err, PS_ENOTFOUND, "there is no model file %.200s", x->file);
		ps_error_where(err, "%.100s:%d:models.file", m->c->path, x->where.line);
		ps_error_hint(err, "paths are relative to the campaign file's folder");
		return PS_ENOTFOUND;
	}
	*ret_path = absolute;
	return PS_OK;
}

enum ps_status ps_measure_find_models(struct ps_measure_context *m, struct ps_error *err)
{
	const struct ps_measure_model *x = m->c->models.items;
	enum ps_status st = PS_OK;
	m->model_paths = calloc(m->c->models.len, sizeof(*m->model_paths));
	if (!m->model_paths) {
		return no_memory(err);
	}
	for (size_t i = 0; i < m->c->models.len && st == PS_OK; i++) {
		if (x[i].zoo) {
			st = zoo_model(m, &x[i], &m->model_paths[i], err);
		} else if (x[i].file) {
			st = file_model(m, &x[i], &m->model_paths[i], err);
		}
	}
	return st;
}

/* ---- what they hold ---- */

static enum ps_status digest_file(const struct ps_measure_context *m,
				  const struct ps_measure_model *x, struct ps_strbuf *out,
				  struct ps_error *err)
{
	unsigned char hash[PS_ENGINE_HASH_SIZE];
	char *path = NULL;
	enum ps_status st = file_model(m, x, &path, err);
	if (st == PS_OK) {
		st = ps_engine_hash(path, hash, err);
	}
	for (size_t i = 0; i < sizeof(hash) && st == PS_OK; i++) {
		ps_strbuf_printf(out, "%02x", hash[i]);
	}
	free(path);
	return st;
}

static enum ps_status digest_model(const struct ps_measure_context *m,
				   const struct ps_measure_model *x, struct ps_strbuf *out,
				   struct ps_error *err)
{
	if (x->zoo) { /* what is written follows from name and seed */
		ps_strbuf_printf(out, "zoo:%s:%lld", x->zoo, (long long)m->c->seed);
	} else if (x->file) {
		return digest_file(m, x, out, err);
	} else {
		ps_strbuf_printf(out, "remote:%s", x->name);
	}
	return PS_OK;
}

static enum ps_status digest_bytes(const char *path, size_t limit, struct ps_strbuf *out,
				   struct ps_error *err)
{
	char digest[PS_TENANCY_DIGEST_SIZE], *text = NULL;
	size_t len = 0;
	enum ps_status st = ps_file_read(path, limit, &text, &len, err);
	if (st == PS_OK) {
		ps_tenancy_digest(text, len, digest);
		ps_strbuf_puts(out, digest);
	}
	free(text);
	return st;
}

static enum ps_status digest_trace(const struct ps_measure_context *m,
				   const struct ps_measure_tenant *t, struct ps_strbuf *out,
				   struct ps_error *err)
{
	if (!t->arrival.trace) {
		return PS_OK;
	}
	char *path = ps_measure_path(m->c->folder, t->arrival.trace);
	enum ps_status st = path ? digest_bytes(path, MAX_TRACE_BYTES, out, err) : no_memory(err);
	free(path);
	return st;
}

static enum ps_status digest_files(const struct ps_load_file *files, size_t len, const char *what,
				   struct ps_strbuf *out, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < len && st == PS_OK; i++) {
		ps_strbuf_printf(out, " %s:%s:", what, files[i].tensor ? files[i].tensor : "");
		st = digest_bytes(files[i].path, PS_LOAD_MAX_FILE_BYTES, out, err);
	}
	return st;
}

/* Of a tenant without a trace and files: "". */
static enum ps_status digest_tenant(const struct ps_measure_context *m, size_t i,
				    struct ps_strbuf *out, struct ps_error *err)
{
	const struct ps_measure_tenant *t =
		&((const struct ps_measure_tenant *)m->c->tenants.items)[i];
	const struct ps_load_target_spec *s = &m->targets[i];
	ps_strbuf_puts(out, "");
	enum ps_status st = digest_trace(m, t, out, err);
	if (st == PS_OK) {
		st = digest_files(s->inputs, s->input_len, "input", out, err);
	}
	return st == PS_OK ? digest_files(s->expected, s->expected_len, "expect", out, err) : st;
}

enum ps_status ps_measure_digest_contents(struct ps_measure_context *m, struct ps_error *err)
{
	const struct ps_measure_model *x = m->c->models.items;
	size_t n = m->c->models.len, all = n + m->c->tenants.len;
	enum ps_status st = PS_OK;
	m->contents = calloc(all, sizeof(*m->contents));
	if (!m->contents) {
		return no_memory(err);
	}
	for (size_t i = 0; i < all && st == PS_OK; i++) {
		struct ps_strbuf b;
		ps_strbuf_init(&b);
		st = i < n ? digest_model(m, &x[i], &b, err) : digest_tenant(m, i - n, &b, err);
		m->contents[i] = ps_strbuf_take_data(&b);
		if (st == PS_OK && !m->contents[i]) {
			st = no_memory(err);
		}
	}
	return st;
}

void ps_measure_free_models(struct ps_measure_context *m)
{
	for (size_t i = 0; i < m->c->models.len; i++) {
		free(m->model_paths ? m->model_paths[i] : NULL);
	}
	for (size_t i = 0; m->contents && i < m->c->models.len + m->c->tenants.len; i++) {
		free(m->contents[i]);
	}
	free(m->model_paths);
	free(m->contents);
	m->model_paths = m->contents = NULL;
}
