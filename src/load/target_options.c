/* target_options.c - see target_options.h. */
#include "load/target_options.h"

#include "model/zoo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The orders of enum ps_load_balance and enum ps_load_protocol. */
const char *const ps_load_balance_choices[] = {"round-robin", "least-outstanding", NULL};
const char *const ps_load_protocol_choices[] = {"http", "http2", "grpc", "grpc-stream", NULL};

struct making {
	const char *dir;
	struct ps_arena *arena;
	struct ps_error *err;
};

static enum ps_status no_memory(struct making *m)
{
	return ps_error_set(m->err, PS_ENOMEM, "no memory for a target");
}

/* A NULL path stays NULL. */
static enum ps_status place(struct making *m, const char *path, const char **ret_path)
{
	size_t n, k;
	char *joined;

	*ret_path = path;
	if (!path || path[0] == '/' || !m->dir) {
		return PS_OK;
	}
	n = strlen(m->dir);
	k = strlen(path);
	joined = ps_arena_alloc(m->arena, n + k + 2);
	if (!joined) {
		return no_memory(m);
	}
	memcpy(joined, m->dir, n);
	joined[n] = '/';
	memcpy(joined + n + 1, path, k + 1);
	*ret_path = joined;
	return PS_OK;
}

/* ---- files ---- */

/* "x=a.npy", "a.npy"; an '=' behind a slash is the path's own. */
static enum ps_status take_file(struct making *m, const char *text, struct ps_load_file *f)
{
	size_t n = strcspn(text, "=/");
	bool named = text[n] == '=';

	f->tensor = named ? ps_arena_strndup(m->arena, text, n) : NULL;
	if (named && !f->tensor) {
		return no_memory(m);
	}
	if (named ? n == 0 || !text[n + 1] : !text[0]) {
		ps_error_set(m->err, PS_EUSAGE, "'%s' names no tensor or no file", text);
		ps_error_hint(m->err, "write it as TENSOR=FILE");
		return PS_EUSAGE;
	}
	return place(m, named ? text + n + 1 : text, &f->path);
}

static enum ps_status take_files(struct making *m, const struct ps_conf_texts *texts,
				 const char *option, const struct ps_load_file **ret_files)
{
	struct ps_load_file *files = ps_arena_alloc(m->arena, (texts->len + 1) * sizeof(*files));

	if (!files) {
		return no_memory(m);
	}
	for (size_t i = 0; i < texts->len; i++) {
		enum ps_status st = take_file(m, texts->items[i], &files[i]);

		if (st != PS_OK) {
			ps_error_where(m->err, "%s", option);
			return st;
		}
	}
	*ret_files = files;
	return PS_OK;
}

/* ---- mixes ---- */

static bool take_number(const char *text, double min, double max, double *ret)
{
	char *end;

	errno = 0;
	*ret = strtod(text, &end);
	return end != text && !*end && errno == 0 && *ret >= min && *ret <= max;
}

static bool take_setting(const char *text, struct ps_load_mix_item *it)
{
	double v;

	if (strncmp(text, "batch=", 6) == 0 && take_number(text + 6, 1, 65536, &v) &&
	    v == floor(v)) {
		it->batch = (int)v;
		return true;
	}
	return strncmp(text, "weight=", 7) == 0 && take_number(text + 7, 1e-9, 1e9, &it->weight);
}

static bool take_item(char *text, struct ps_load_mix_item *it)
{
	char *rest = strchr(text, ','), *at;
	bool good = true;

	*it = (struct ps_load_mix_item){.model = text, .weight = 1};
	while (good && rest) {
		char *setting = rest + 1;

		*rest = '\0';
		rest = strchr(setting, ',');
		if (rest) {
			*rest = '\0';
		}
		good = take_setting(setting, it);
	}
	at = strrchr(text, '@');
	if (at) {
		*at = '\0';
		it->version = at + 1;
	}
	return good && text[0] && (!at || at[1]);
}

static enum ps_status take_mix(struct making *m, const struct ps_conf_texts *texts,
			       const struct ps_load_mix_item **ret_items)
{
	struct ps_load_mix_item *items =
		ps_arena_alloc(m->arena, (texts->len + 1) * sizeof(*items));

	for (size_t i = 0; items && i < texts->len; i++) {
		char *copy = ps_arena_strndup(m->arena, texts->items[i], strlen(texts->items[i]));

		if (!copy) {
			return no_memory(m);
		}
		if (!take_item(copy, &items[i])) {
			ps_error_set(m->err, PS_EUSAGE, "'%s' is no entry of a mix",
				     texts->items[i]);
			ps_error_where(m->err, "mix");
			ps_error_hint(m->err, "write it as MODEL[@VERSION][,batch=N][,weight=W]");
			return PS_EUSAGE;
		}
	}
	*ret_items = items;
	return items ? PS_OK : no_memory(m);
}

/* ---- all ---- */

static enum ps_status check_together(const struct ps_load_target_options *o, struct ps_error *err)
{
	if (!o->tls_cert != !o->tls_key) {
		return ps_error_set(err, PS_EUSAGE, "tls-cert and tls-key belong together");
	}
	if (o->insecure && (o->tls_ca || o->tls_name)) {
		return ps_error_set(err, PS_EUSAGE,
				    "insecure looks at no certificate: leave out "
				    "tls-ca and tls-name");
	}
	if (o->in_process && (o->urls.len || o->mix.len || o->protocol)) {
		return ps_error_set(err, PS_EUSAGE,
				    "in-process has no url, mix or protocol beside it");
	}
	return PS_OK;
}

enum ps_status ps_load_target_from_options(const struct ps_load_target_options *o, const char *dir,
					   struct ps_arena *arena,
					   struct ps_load_target_spec *ret_spec,
					   struct ps_error *err)
{
	struct making m = {dir, arena, err};
	struct ps_load_target_spec s = {
		.more_urls = o->urls.len > 1 ? (const char *const *)o->urls.items + 1 : NULL,
		.more_url_len = o->urls.len > 1 ? o->urls.len - 1 : 0,
		.balance = (enum ps_load_balance)o->balance,
		.protocol = (enum ps_load_protocol)o->protocol,
		.streams = (int)o->streams,
		.tls = {.server_name = o->tls_name, .insecure = o->insecure},
		.in_process = o->in_process,
		.mix_len = o->mix.len,
		.input_len = o->input_files.len,
		.expected_len = o->expect_files.len,
		.tolerance = o->tolerance,
		.check_share = o->check_share,
	};
	const struct {
		const char *from, **to;
	} paths[] = {
		{o->tls_ca, &s.tls.ca_path},
		{o->tls_cert, &s.tls.certificate_path},
		{o->tls_key, &s.tls.key_path},
		{o->in_process && ps_zoo_find(o->in_process) ? NULL : o->in_process, &s.in_process},
	};
	enum ps_status st = check_together(o, err);

	for (size_t i = 0; st == PS_OK && i < sizeof(paths) / sizeof(paths[0]); i++) {
		st = paths[i].from ? place(&m, paths[i].from, paths[i].to) : PS_OK;
	}
	if (st == PS_OK) {
		st = take_files(&m, &o->input_files, "input-file", &s.inputs);
	}
	if (st == PS_OK) {
		st = take_files(&m, &o->expect_files, "expect-file", &s.expected);
	}
	if (st == PS_OK) {
		st = take_mix(&m, &o->mix, &s.mix);
	}
	if (st == PS_OK) {
		*ret_spec = s;
	}
	return st;
}
