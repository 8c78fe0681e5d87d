/* args.c - command lines. */
#include "conf_internal.h"

#include <string.h>

struct reader {
	const struct ps_conf_schema *schema;
	int argc, at;
	char **argv;
	void *out;
	struct ps_error *err;
	bool seen[PS_CONF_MAX_OPTIONS];
};

static bool is_positional(const struct ps_conf_option *o)
{
	return o->flags & PS_CONF_POSITIONAL;
}

/* The name as it is shown in errors: "--rate", or "URL" for a positional. */
static const char *shown(const struct ps_conf_option *o, char buf[PS_CONF_NAME_SIZE + 2])
{
	if (is_positional(o))
		return o->metavar ? o->metavar : o->name;
	snprintf(buf, PS_CONF_NAME_SIZE + 2, "--%s", o->name);
	return buf;
}

static enum ps_status fail_at(const struct ps_conf_option *o, struct ps_error *err)
{
	char name[PS_CONF_NAME_SIZE + 2];

	if (!err)
		return PS_EUSAGE;
	if (err->status == PS_EPARSE)
		err->status = PS_EUSAGE;
	ps_error_where(err, "%s", shown(o, name));
	return err->status;
}

static const struct ps_conf_option *find_letter(const struct ps_conf_schema *s, char letter)
{
	for (const struct ps_conf_option *o = s->options; o->name; o++)
		if (letter && o->letter == letter && !is_positional(o))
			return o;
	return NULL;
}

static const struct ps_conf_option *find_name(const struct ps_conf_schema *s, const char *name,
					      size_t len)
{
	for (const struct ps_conf_option *o = s->options; o->name; o++)
		if (!is_positional(o) && strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return NULL;
}

static enum ps_status unknown(struct reader *r, const char *arg, size_t len)
{
	char word[PS_CONF_NAME_SIZE];

	ps_error_set(r->err, PS_EUSAGE, "unknown option");
	ps_error_where(r->err, "%.*s", (int)(len < 100 ? len : 100), arg);
	if (len < 3)
		return PS_EUSAGE;
	snprintf(word, sizeof word, "%.*s", (int)len - 2, arg + 2);
	ps_conf_hint_nearest(r->schema, word, false, r->err);
	return PS_EUSAGE;
}

/* Sets the field of `o`; a list that still holds its default starts anew. */
static enum ps_status give(struct reader *r, const struct ps_conf_option *o, const char *value)
{
	void *field = ps_conf_field(o, r->out);
	bool *seen = &r->seen[o - r->schema->options];

	if (*seen && o->type != PS_CONF_TEXTS) {
		ps_error_set(r->err, PS_EUSAGE, "given twice");
		return fail_at(o, r->err);
	}
	if (o->type == PS_CONF_SECTION || o->type == PS_CONF_SECTIONS) {
		ps_error_set(r->err, PS_EUSAGE, "can only be given in a file");
		return fail_at(o, r->err);
	}
	if (!*seen)
		ps_conf_clear_field(o, field);
	*seen = true;
	if (ps_conf_set(o, field, value, r->err) != PS_OK)
		return fail_at(o, r->err);
	return PS_OK;
}

/* An option whose value, unless it has one already, is the next argument. */
static enum ps_status give_next(struct reader *r, const struct ps_conf_option *o, const char *value)
{
	if (!value && o->type == PS_CONF_BOOL)
		value = "true";
	if (!value && r->at + 1 >= r->argc) {
		ps_error_set(r->err, PS_EUSAGE, "a value is missing");
		return fail_at(o, r->err);
	}
	if (!value)
		value = r->argv[++r->at];
	return give(r, o, value);
}

static enum ps_status read_long(struct reader *r, const char *arg)
{
	const char *name = arg + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct ps_conf_option *o = find_name(r->schema, name, len);

	if (o)
		return give_next(r, o, equals ? equals + 1 : NULL);
	if (len > 3 && !equals && strncmp(name, "no-", 3) == 0) {
		o = find_name(r->schema, name + 3, len - 3);
		if (o && o->type == PS_CONF_BOOL)
			return give(r, o, "false");
	}
	return unknown(r, arg, len + 2);
}

static enum ps_status read_positional(struct reader *r, const char *arg)
{
	for (const struct ps_conf_option *o = r->schema->options; o->name; o++) {
		bool taken = r->seen[o - r->schema->options];
		if (is_positional(o) && (!taken || o->type == PS_CONF_TEXTS))
			return give(r, o, arg);
	}
	ps_error_set(r->err, PS_EUSAGE, "unexpected argument '%.80s'", arg);
	return PS_EUSAGE;
}

static enum ps_status read_one(struct reader *r, bool *only_positional)
{
	const char *arg = r->argv[r->at];

	if (*only_positional || arg[0] != '-' || !arg[1])
		return read_positional(r, arg);
	if (arg[1] == '-') {
		*only_positional = !arg[2];
		return arg[2] ? read_long(r, arg) : PS_OK;
	}
	const struct ps_conf_option *o = find_letter(r->schema, arg[1]);
	if (!o || arg[2])
		return unknown(r, arg, strlen(arg));
	return give_next(r, o, NULL);
}

static enum ps_status check_given(struct reader *r)
{
	for (const struct ps_conf_option *o = r->schema->options; o->name; o++) {
		bool seen = r->seen[o - r->schema->options];

		if (!seen && o->flags & PS_CONF_REQUIRED) {
			ps_error_set(r->err, PS_EUSAGE, "missing");
			return fail_at(o, r->err);
		}
		if (!seen || o->type != PS_CONF_TEXTS)
			continue;
		const struct ps_conf_texts *t = ps_conf_field(o, r->out);
		if (ps_conf_check_len(o, t->len, r->err) != PS_OK)
			return fail_at(o, r->err);
	}
	return PS_OK;
}

static bool wants_help(const struct ps_conf_schema *schema, int argc, char **argv)
{
	bool letter_taken = find_letter(schema, 'h') != NULL;

	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || (!letter_taken && strcmp(argv[i], "-h") == 0))
			return true;
	return false;
}

enum ps_status ps_conf_parse_args(const struct ps_conf_schema *schema, int argc, char **argv,
				  void *out, bool *ret_help, struct ps_error *err)
{
	struct reader r = {.schema = schema, .argc = argc, .argv = argv, .out = out, .err = err};
	bool only_positional = false;

	if (ps_conf_count(schema) > PS_CONF_MAX_OPTIONS)
		return ps_error_set(err, PS_EINTERNAL, "%s has too many options", schema->name);
	enum ps_status st = ps_conf_set_defaults(schema, out, err);
	if (st != PS_OK)
		return st;
	*ret_help = wants_help(schema, argc, argv);
	if (*ret_help)
		return PS_OK;
	for (; r.at < argc && st == PS_OK; r.at++)
		st = read_one(&r, &only_positional);
	if (st == PS_OK)
		st = check_given(&r);
	if (st != PS_OK) {
		ps_conf_free(schema, out);
		memset(out, 0, schema->size);
	}
	return st;
}
