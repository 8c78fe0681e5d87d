#include "measure/measure_internal.h"
#include "measure/verify_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/version.h"
#include "model/zoo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_HASHED_BYTES ((size_t)INT64_C(1) << 31)
#define ORT_NAME	 "libonnxruntime"

static json_t *build(void)
{
	json_t *o = json_object();
	ps_json_set_string(o, "version", ps_version());
	ps_json_set_string(o, "revision", ps_version_revision());
	ps_json_set_string(o, "compiler", __VERSION__);
#ifdef NDEBUG
	ps_json_set_bool(o, "assertions", false);
#else
	ps_json_set_bool(o, "assertions", true);
#endif
	return o;
}

/* Size and digest of a file; null when it cannot be read. */
static void put_digest(json_t *o, const char *path)
{
	char digest[PS_TENANCY_DIGEST_SIZE] = "";
	char *data = NULL;
	size_t len = 0;
	if (ps_file_read(path, MAX_HASHED_BYTES, &data, &len, NULL) == PS_OK) {
		ps_tenancy_digest(data, len, digest); /* of any bytes */
		ps_json_set_int(o, "bytes", (int64_t)len);
	}
	free(data);
	ps_json_set_string(o, "sha256", digest[0] ? digest + strlen("sha256:") : NULL);
}

static json_t *models(const struct ps_measure_context *m)
{
	const struct ps_measure_model *x = m->c->models.items;
	json_t *all = json_array();
	for (size_t i = 0; i < m->c->models.len; i++) {
		json_t *o = json_object();
		ps_json_set_string(o, "name", x[i].name);
		ps_json_set_string(o, "zoo", x[i].zoo);
		if (x[i].zoo) {
			ps_json_set_int(o, "zoo_seed", m->c->seed);
		}
		ps_json_set_string(o, "path", m->model_paths[i]);
		if (m->model_paths[i]) {
			put_digest(o, m->model_paths[i]);
		}
		(void)json_array_append_new(all, o);
	}
	return all;
}

static json_t *environment(void)
{
	json_t *o = json_object();
	/* only what changes how we or the engine run; never the whole environment */
	static const char *const prefixes[] = {"PERSEUS_ORT", "ORT_", "OMP_", "MALLOC_"};
	for (char **e = environ; *e; e++) {
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
			const char *eq = strchr(*e, '=');
			if (eq && strncmp(*e, prefixes[i], strlen(prefixes[i])) == 0) {
				char *name = strndup(*e, (size_t)(eq - *e));
				if (name) {
					ps_json_set_string(o, name, eq + 1);
				}
				free(name);
			}
		}
	}
	return o;
}

static json_t *options(const struct ps_measure_context *m)
{
	json_t *o = json_object();
	ps_json_set_string(o, "program", m->run->program);
	ps_json_set_string(o, "campaign", m->c->path);
	ps_json_set_string(o, "store", m->run->store_path);
	ps_json_set_string(o, "workdir", m->run->workdir);
	ps_json_set_bool(o, "resume", m->run->resume);
	ps_json_set_string(o, "changed", m->match_text);
	return o;
}

static json_t *this_run(const struct ps_measure_context *m)
{
	char iso[PS_CLOCK_ISO_SIZE];
	json_t *o = json_object();
	int64_t wall_ns = ps_clock_wall_ns();
	ps_clock_wall_iso(wall_ns, iso);
	ps_json_set_string(o, "started", iso);
	ps_json_set_int(o, "started_wall_ns", wall_ns); /* tells runs apart */
	(void)json_object_set_new(o, "perseus", build());
	(void)json_object_set_new(o, "machine", ps_host_machine_json());
	(void)json_object_set_new(o, "environment", environment());
	(void)json_object_set_new(o, "options", options(m));
	(void)json_object_set_new(o, "models", models(m));
	ps_json_set_int(o, "seed", m->c->seed);
	ps_json_set_string(o, "generator_priority", m->priority);
	ps_json_set_int(o, "generator_cpu", m->c->generator_cpu);
	ps_json_set_int(o, "request_timeout_ns", ps_measure_timeout_ns(m->c));
	ps_json_set_string(o, "percentile_rule", PS_STATS_QUANTILE_RULE);
	ps_json_set_string(o, "latency", "done - scheduled, CLOCK_MONOTONIC");
	return o;
}

char *ps_measure_manifest(const struct ps_measure_context *m, const char *old)
{
	json_t *o = NULL;
	if (!old || ps_json_parse(old, strlen(old), &o, NULL) != PS_OK ||
	    !json_is_array(json_object_get(o, "runs"))) {
		json_decref(o);
		o = json_object();
		(void)json_object_set_new(o, "runs", json_array());
	}
	(void)json_array_append_new(json_object_get(o, "runs"), this_run(m));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

/* The name by which the server's library goes: of the one that was chosen, or the usual one. */
static char *library_name(const struct ps_measure_context *m)
{
	const char *chosen =
		m->c->server.library ? m->c->server.library : getenv("PERSEUS_ORT_LIBRARY");
	char *real = chosen && *chosen ? realpath(chosen, NULL) : NULL;
	char *name = strdup(real ? strrchr(real, '/') + 1 : ORT_NAME);
	free(real);
	return name;
}

static enum ps_status add_library(struct ps_measure_context *m, const char *path,
				  struct ps_error *err)
{
	json_t *o = NULL, *library = json_object();
	struct ps_store_campaign *now = NULL;
	enum ps_status st = ps_store_campaign_read(m->store, m->campaign_id, &now, err);
	if (st == PS_OK) {
		st = ps_json_parse(now->manifest_json, strlen(now->manifest_json), &o, err);
	}
	ps_store_campaign_free(now);
	if (st == PS_OK) {
		json_t *runs = json_object_get(o, "runs");
		ps_json_set_string(library, "path", path);
		put_digest(library, path);
		(void)json_object_set(json_array_get(runs, json_array_size(runs) - 1),
				      "onnxruntime", library);
		char *text = json_dumps(o, JSON_COMPACT);
		st = text ? ps_store_campaign_set_manifest(m->store, m->campaign_id, text, err)
			  : ps_error_set(err, PS_ENOMEM, "no memory for the manifest");
		free(text);
	}
	json_decref(o);
	json_decref(library);
	return st;
}

enum ps_status ps_measure_manifest_library(struct ps_measure_context *m, pid_t server,
					   struct ps_error *err)
{
	char *name = m->library_known ? NULL : library_name(m);
	char *path = name ? ps_host_mapped_file(server, name) : NULL;
	enum ps_status st = PS_OK;
	if (path) {
		st = add_library(m, path, err);
		m->library_known = st == PS_OK;
	}
	free(path);
	free(name);
	return st;
}

/* ---- whose results they are ---- */

json_t *ps_measure_program(void)
{
	json_t *o = json_object();
	(void)json_object_set_new(o, "perseus", build());
	(void)json_object_set_new(o, "environment", environment());
	return o;
}

/* The file that a run's server had mapped; without one (a synthetic model) there is no other. */
static bool is_still_there(const json_t *library)
{
	const char *path = ps_json_get_string(library, "path", NULL);
	const char *was = ps_json_get_string(library, "sha256", NULL);
	json_t *now = json_object();
	if (path && was) {
		put_digest(now, path);
	}
	bool same = !path || !was || strcmp(was, ps_json_get_string(now, "sha256", "")) == 0;
	json_decref(now);
	return same;
}

bool ps_measure_same_program(const char *manifest, const json_t *program, const char **ret_why)
{
	json_t *o = NULL;
	if (!manifest || ps_json_parse(manifest, strlen(manifest), &o, NULL) != PS_OK) {
		*ret_why = "by a program that it does not name";
		return false;
	}
	const json_t *runs = json_object_get(o, "runs");
	const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
	*ret_why = NULL;
	if (!json_equal(json_object_get(last, "perseus"), json_object_get(program, "perseus"))) {
		*ret_why = "by another build of perseus";
	} else if (!json_equal(json_object_get(last, "environment"),
			       json_object_get(program, "environment"))) {
		*ret_why = "with other variables of the engine in the environment";
	} else if (!is_still_there(json_object_get(last, "onnxruntime"))) {
		*ret_why = "by another library of the engine";
	}
	json_decref(o);
	return !*ret_why;
}
