/* config.pbtxt into struct ps_repo_config. One table per message says which fields there are and
 * what becomes of each: read, passed over with a warning, or refused. A field that is in no table
 * is an error, because a misspelt limit must not be no limit. */
#include "repo/pbtxt_internal.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static enum ps_status config_name(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_config *c = into;

	return ps_repo_pb_text_of(d, n, c->name, sizeof(c->name));
}

static enum ps_status config_backend(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_config *c = into;
	enum ps_status st = ps_repo_pb_text_of(d, n, c->backend, sizeof(c->backend));

	if (st == PS_OK && c->backend[0] != '\0' && strcmp(c->backend, "onnxruntime") != 0 &&
	    strcmp(c->backend, "synthetic") != 0)
		return ps_repo_pb_fail(d, n, PS_EUNSUPPORTED,
				       "only \"onnxruntime\" is served, not ", c->backend);
	return st;
}

static enum ps_status config_platform(struct ps_repo_pb *d, const struct ps_repo_node *n,
				      void *into)
{
	struct ps_repo_config *c = into;
	enum ps_status st = ps_repo_pb_text_of(d, n, c->platform, sizeof(c->platform));

	if (st != PS_OK || c->platform[0] == '\0')
		return st;
	if (strcmp(c->platform, "ensemble") == 0)
		return ps_repo_pb_no_ensembles(d, n, into);
	if (strcmp(c->platform, "onnxruntime_onnx") != 0 && strcmp(c->platform, "onnx_onnxv1") != 0)
		return ps_repo_pb_fail(d, n, PS_EUNSUPPORTED,
				       "only \"onnxruntime_onnx\" is served, not ", c->platform);
	return PS_OK;
}

static enum ps_status config_filename(struct ps_repo_pb *d, const struct ps_repo_node *n,
				      void *into)
{
	struct ps_repo_config *c = into;

	return ps_repo_pb_text_of(d, n, c->filename, sizeof(c->filename));
}

static enum ps_status config_max_batch(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into)
{
	struct ps_repo_config *c = into;

	c->has_max_batch_size = true;
	return ps_repo_pb_int_of(d, n, 0, PS_REPO_MAX_BATCH, &c->max_batch_size);
}

static const struct ps_repo_pb_field config_fields[] = {
	{"name", config_name, false},
	{"backend", config_backend, false},
	{"platform", config_platform, false},
	{"default_model_filename", config_filename, false},
	{"max_batch_size", config_max_batch, false},
	{"input", ps_repo_pb_config_input, true},
	{"output", ps_repo_pb_config_output, true},
	{"version_policy", ps_repo_pb_config_policy, false},
	{"dynamic_batching", ps_repo_pb_config_batching, false},
	{"sequence_batching", ps_repo_pb_no_sequences, false},
	{"ensemble_scheduling", ps_repo_pb_no_ensembles, false},
	{"instance_group", ps_repo_pb_config_group, true},
	{"model_warmup", ps_repo_pb_config_warmup, true},
	{"parameters", ps_repo_pb_config_parameter, true},
	{"optimization", NULL, false},
	{"cc_model_filenames", NULL, true},
	{"metric_tags", NULL, true},
	{"model_operations", NULL, false},
	{"model_transaction_policy", NULL, false},
	{"batch_input", NULL, true},
	{"batch_output", NULL, true},
	{"model_repository_agents", NULL, false},
	{"response_cache", NULL, false},
	{"runtime", NULL, false},
	{"model_metrics", NULL, false},
	{0},
};

static enum ps_status check_parameters(const struct ps_repo_pb *d, const struct ps_repo_node *root)
{
	for (int i = 0; i < d->c->n_parameters; i++)
		if (!d->c->parameters[i].key || !d->c->parameters[i].value)
			return ps_repo_pb_fail(d, root, PS_EPARSE,
					       "a parameter needs key and value { string_value }",
					       NULL);
	return PS_OK;
}

enum ps_status ps_repo_config_parse(const char *text, size_t len, const char *name,
				    struct ps_repo_config *ret_config, struct ps_error *err)
{
	struct ps_repo_config c;
	struct ps_error own = {0};
	struct ps_repo_pb d = {.file = name, .c = &c, .err = err ? err : &own};
	struct ps_repo_node *root;
	enum ps_status st;

	if (len > PS_REPO_CONFIG_MAX_BYTES) {
		ps_error_set(d.err, PS_ETOOBIG, "the file has over %d bytes",
			     PS_REPO_CONFIG_MAX_BYTES);
		ps_error_where(d.err, "%s", name);
		return PS_ETOOBIG;
	}
	st = ps_repo_text_parse(text, len, name, &root, d.err);
	if (st != PS_OK)
		return st;
	ps_repo_config_init(&c);
	st = ps_repo_pb_read_message(&d, root, config_fields, &c);
	if (st == PS_OK)
		st = check_parameters(&d, root);
	if (st == PS_OK) {
		st = ps_repo_config_validate(&c, d.err);
		if (st != PS_OK)
			ps_error_where(d.err, "%s", name);
	}
	ps_repo_text_free(root);
	if (st == PS_OK)
		*ret_config = c;
	else
		ps_repo_config_fini(&c);
	return st;
}

enum ps_status ps_repo_config_load(const char *path, struct ps_repo_config *ret_config,
				   struct ps_error *err)
{
	char *text;
	size_t len;
	enum ps_status st = ps_file_read(path, PS_REPO_CONFIG_MAX_BYTES, &text, &len, err);

	if (st != PS_OK)
		return st;
	st = ps_repo_config_parse(text, len, path, ret_config, err);
	free(text);
	if (st == PS_OK && ret_config->rnn.calibration[0]) {
		char said[PS_REPO_CALIBRATION_SIZE];
		memcpy(said, ret_config->rnn.calibration, sizeof said);
		st = ps_repo_rnn_calibrate(said, path, &ret_config->rnn, err);
		if (st != PS_OK)
			ps_repo_config_fini(ret_config);
	}
	return st;
}
