#include "store/manifest.h"

#include "base/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_TOLERANCE 0.05 /* kernels keep more or less of it for themselves */

/* ---- one machine beside another ---- */

struct difference {
	char *text;
	size_t at;
};

static void say(struct difference *d, const char *what, const char *was, const char *here)
{
	size_t left = PS_STORE_MACHINE_TEXT_SIZE - d->at;
	int n = snprintf(d->text + d->at, left, "%s%s %s, here %s", d->at ? "; " : "", what, was,
			 here);

	d->at += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left - 1;
}

/* The value at "a.b.c"; NULL when it is not said. */
static const json_t *value_at(const json_t *o, const char *path)
{
	char key[64];

	while (o && *path) {
		size_t n = strcspn(path, ".");

		(void)snprintf(key, sizeof(key), "%.*s", (int)n, path);
		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return json_is_null(o) ? NULL : o;
}

static void value_text(const json_t *v, char *buf, size_t size)
{
	const char *text = json_string_value(v);
	char *dump = text ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	(void)snprintf(buf, size, "%.60s", text ? text : dump ? dump : "?");
	free(dump);
}

static void compare_values(struct difference *d, const json_t *was, const json_t *here)
{
	static const struct {
		const char *path, *what;
	} rows[] = {
		{"processor.model", "processor"},
		{"processor.vendor", "processor vendor"},
		{"processor.family", "processor family"},
		{"processor.model_number", "processor model"},
		{"processor.online", "CPUs"},
		{"processor.allowed", "CPUs that may be used"},
		{"processor.smt", "SMT"},
		{"processor.caches", "caches"},
		{"processor.cpufreq.scaling_governor", "frequency governor"},
		{"processor.cpufreq.intel_no_turbo", "turbo off"},
		{"processor.cpufreq.boost", "boost"},
		{"kernel.machine", "architecture"},
		{"kernel.vendor", "maker"},
		{"kernel.product", "product"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const json_t *x = value_at(was, rows[i].path), *y = value_at(here, rows[i].path);
		char was_text[64], here_text[64];

		if (x && y && !json_equal(x, y)) {
			value_text(x, was_text, sizeof(was_text));
			value_text(y, here_text, sizeof(here_text));
			say(d, rows[i].what, was_text, here_text);
		}
	}
}

/* Flags that choose which code an engine runs; others come and go with kernels. */
static bool is_instruction_set(const char *flag, size_t n)
{
	static const char *const beginnings[] = {"sse", "avx",	 "fma", "amx", "f16c",
						 "bmi", "asimd", "sve", "sme", "i8mm"};

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		size_t k = strlen(beginnings[i]);

		if (n >= k && strncmp(flag, beginnings[i], k) == 0) {
			return true;
		}
	}
	return false;
}

static bool has_word(const char *words, const char *word, size_t n)
{
	for (const char *w = words; *w;) {
		size_t k = strcspn(w, " ");

		if (k == n && strncmp(w, word, n) == 0) {
			return true;
		}
		w += k + strspn(w + k, " ");
	}
	return false;
}

/* The first instruction set of `words` that `others` lacks. */
static bool find_lacking(const char *words, const char *others, char *buf, size_t size)
{
	for (const char *w = words; *w;) {
		size_t n = strcspn(w, " ");

		if (is_instruction_set(w, n) && !has_word(others, w, n)) {
			(void)snprintf(buf, size, "%.*s", (int)n, w);
			return true;
		}
		w += n + strspn(w + n, " ");
	}
	return false;
}

static void compare_flags(struct difference *d, const json_t *was, const json_t *here)
{
	const char *x = json_string_value(value_at(was, "processor.flags"));
	const char *y = json_string_value(value_at(here, "processor.flags"));
	char flag[32], text[48];

	if (x && y && find_lacking(x, y, flag, sizeof(flag))) {
		say(d, "instruction set", flag, "none");
	} else if (x && y && find_lacking(y, x, flag, sizeof(flag))) {
		(void)snprintf(text, sizeof(text), "without %s", flag);
		say(d, "instruction sets", text, "with it");
	}
}

static void compare_memory(struct difference *d, const json_t *was, const json_t *here)
{
	double x = (double)ps_json_get_int(was, "memory_bytes", 0);
	double y = (double)ps_json_get_int(here, "memory_bytes", 0);
	char was_text[PS_UNITS_SIZE], here_text[PS_UNITS_SIZE];

	if (x > 0 && y > 0 && fabs(x - y) > MEMORY_TOLERANCE * fmax(x, y)) {
		say(d, "memory", ps_units_format_bytes((int64_t)x, was_text),
		    ps_units_format_bytes((int64_t)y, here_text));
	}
}

bool ps_store_machine_differs(const json_t *was, const json_t *here,
			      char ret_text[PS_STORE_MACHINE_TEXT_SIZE])
{
	struct difference d = {.text = ret_text};

	ret_text[0] = '\0';
	compare_values(&d, was, here);
	compare_flags(&d, was, here);
	compare_memory(&d, was, here);
	return d.at > 0;
}

/* ---- manifests ---- */

/* The list of runs of a manifest, a new reference; an empty one when it has none. */
static json_t *runs_of(const char *manifest)
{
	json_t *o = NULL, *runs = NULL;

	if (manifest && ps_json_parse(manifest, strlen(manifest), &o, NULL) == PS_OK) {
		runs = json_incref(json_object_get(o, "runs"));
	}
	json_decref(o);
	if (!json_is_array(runs)) {
		json_decref(runs);
		runs = json_array();
	}
	return runs;
}

/* Whether a run was on another kind of machine than one of `runs`. */
static bool differs_from_any(const json_t *runs, const json_t *machine,
			     char text[PS_STORE_MACHINE_TEXT_SIZE])
{
	for (size_t i = 0; i < json_array_size(runs); i++) {
		const json_t *was = json_object_get(json_array_get(runs, i), "machine");

		if (ps_store_machine_differs(was, machine, text)) {
			return true;
		}
	}
	return false;
}

bool ps_store_manifest_differs(const char *manifest, const json_t *here,
			       char ret_text[PS_STORE_MACHINE_TEXT_SIZE])
{
	json_t *runs = runs_of(manifest);
	bool differs = differs_from_any(runs, here, ret_text);

	json_decref(runs);
	return differs;
}

/* What makes a run itself: when it began, to the nanosecond where that is said. */
static bool same_run(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "started"), json_object_get(b, "started")) &&
	       ps_json_get_int(a, "started_wall_ns", 0) == ps_json_get_int(b, "started_wall_ns", 0);
}

static size_t find_run(const json_t *runs, const json_t *run)
{
	size_t i = 0;

	while (i < json_array_size(runs) && !same_run(json_array_get(runs, i), run)) {
		i++;
	}
	return i;
}

/* Takes one run of theirs; *ret_new when it changed `all`. `ours` is what was there before. */
static enum ps_status take_run(json_t *all, const json_t *ours, json_t *run, bool *ret_new,
			       struct ps_error *err)
{
	char text[PS_STORE_MACHINE_TEXT_SIZE];
	size_t at = find_run(all, run);

	if (at == json_array_size(all)) {
		if (differs_from_any(ours, json_object_get(run, "machine"), text)) {
			return ps_error_set(err, PS_EEXIST, "%s", text);
		}
		*ret_new = true;
		return json_array_append(all, run) == 0 ? PS_OK : PS_ENOMEM;
	}
	if (json_object_size(run) > json_object_size(json_array_get(all, at))) {
		*ret_new = true;
		return json_array_set(all, at, run) == 0 ? PS_OK : PS_ENOMEM;
	}
	return PS_OK;
}

static enum ps_status join(json_t *all, const json_t *ours, const json_t *theirs, bool *ret_new,
			   struct ps_error *err)
{
	size_t n = json_array_size(ours), k = json_array_size(theirs);
	enum ps_status st = PS_OK;

	if (n > PS_STORE_MAX_RUNS || k > PS_STORE_MAX_RUNS) {
		return ps_error_set(err, PS_ETOOBIG, "a manifest names over %d runs",
				    PS_STORE_MAX_RUNS);
	}
	for (size_t i = 0; i < k && st == PS_OK; i++) {
		json_t *run = json_array_get(theirs, i);

		/* a copy has the same runs in the same places, but for those at the end */
		if (i >= n || !json_equal(json_array_get(ours, i), run)) {
			st = take_run(all, ours, run, ret_new, err);
		}
	}
	return st;
}

enum ps_status ps_store_manifest_join(const char *ours, const char *theirs, char **ret_text,
				      struct ps_error *err)
{
	json_t *a = runs_of(ours), *b = runs_of(theirs), *all = json_copy(a), *o = NULL;
	bool is_new = false;
	enum ps_status st = a && b && all ? join(all, a, b, &is_new, err) : PS_ENOMEM;

	*ret_text = NULL;
	if (st == PS_OK && is_new) {
		if (!ours || ps_json_parse(ours, strlen(ours), &o, NULL) != PS_OK ||
		    !json_is_object(o)) {
			json_decref(o);
			o = json_object();
		}
		(void)json_object_set(o, "runs", all);
		*ret_text = json_dumps(o, JSON_COMPACT);
		st = *ret_text ? PS_OK : PS_ENOMEM;
	}
	if (st == PS_ENOMEM) {
		ps_error_set(err, st, "no memory to join manifests");
	}
	json_decref(o);
	json_decref(all);
	json_decref(b);
	json_decref(a);
	return st;
}
