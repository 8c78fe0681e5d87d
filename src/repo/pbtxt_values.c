/* config.pbtxt: the values of fields, and how a message is read by its table. */
#include "repo/pbtxt_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ps_status ps_repo_pb_fail(const struct ps_repo_pb *d, const struct ps_repo_node *n,
			       enum ps_status st, const char *what, const char *detail)
{
	ps_error_set(d->err, st, "%s%s%s%.100s", n->name ? n->name : "", n->name ? ": " : "", what,
		     detail ? detail : "");
	ps_error_where(d->err, "%s:%d:%d", d->file, n->line, n->column);
	return st;
}

enum ps_status ps_repo_pb_text_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				  char *to, size_t size)
{
	if (n->kind != PS_REPO_TEXT_STRING)
		return ps_repo_pb_fail(d, n, PS_EPARSE, "a string in quotes is expected", NULL);
	if (n->len >= size)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "the text is too long", NULL);
	if (memchr(n->text, '\0', n->len))
		return ps_repo_pb_fail(d, n, PS_EPARSE, "the text holds a NUL byte", NULL);
	memcpy(to, n->text, n->len + 1);
	return PS_OK;
}

enum ps_status ps_repo_pb_dup_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				 char **to)
{
	if (n->kind != PS_REPO_TEXT_STRING || memchr(n->text, '\0', n->len))
		return ps_repo_pb_fail(d, n, PS_EPARSE, "a string in quotes is expected", NULL);
	free(*to);
	*to = strdup(n->text);
	return *to ? PS_OK : ps_repo_pb_fail(d, n, PS_ENOMEM, "out of memory", NULL);
}

/* Decimal, 0x.. and 0.. as protobuf writes integers. */
enum ps_status ps_repo_pb_int_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				 int64_t min, int64_t max, int64_t *to)
{
	char range[80], *end;
	long long v;

	if (n->kind != PS_REPO_TEXT_WORD || !strchr("-0123456789", n->text[0]))
		return ps_repo_pb_fail(d, n, PS_EPARSE, "a whole number is expected", NULL);
	v = strtoll(n->text, &end, 0);
	if (*end != '\0' || n->text[0] == '\0')
		return ps_repo_pb_fail(d, n, PS_EPARSE, "a whole number is expected, not ",
				       n->text);
	if (v < min || v > max) {
		snprintf(range, sizeof(range), "%lld..%lld", (long long)min, (long long)max);
		return ps_repo_pb_fail(d, n, PS_EPARSE, "the number is not in ", range);
	}
	*to = v;
	return PS_OK;
}

enum ps_status ps_repo_pb_bool_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				  bool *to)
{
	static const char *const yes[] = {"true", "True", "t", "1"}, *const no[] = {"false",
										    "False", "f",
										    "0"};

	for (int i = 0; n->kind == PS_REPO_TEXT_WORD && i < 4; i++) {
		bool is_yes = strcmp(n->text, yes[i]) == 0;

		if (is_yes || strcmp(n->text, no[i]) == 0) {
			*to = is_yes;
			return PS_OK;
		}
	}
	return ps_repo_pb_fail(d, n, PS_EPARSE, "true or false is expected", NULL);
}

/* An enumeration's name or number; *to is the number. */
enum ps_status ps_repo_pb_enum_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				  const char *const *names, int count, int *to)
{
	int64_t v;

	if (n->kind != PS_REPO_TEXT_WORD)
		return ps_repo_pb_fail(d, n, PS_EPARSE, "a name without quotes is expected", NULL);
	for (int i = 0; i < count; i++)
		if (strcmp(n->text, names[i]) == 0) {
			*to = i;
			return PS_OK;
		}
	if (strchr("-0123456789", n->text[0]) &&
	    ps_repo_pb_int_of(d, n, 0, count - 1, &v) == PS_OK) {
		*to = (int)v;
		return PS_OK;
	}
	return ps_repo_pb_fail(d, n, PS_EPARSE, "there is no value ", n->text);
}

static bool seen_before(const struct ps_repo_node *parent, const struct ps_repo_node *n)
{
	for (const struct ps_repo_node *o = parent->first; o != n; o = o->next)
		if (strcmp(o->name, n->name) == 0)
			return true;
	return false;
}

static const struct ps_repo_pb_field *find_field(const struct ps_repo_pb_field *fields,
						 const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

enum ps_status ps_repo_pb_read_message(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       const struct ps_repo_pb_field *fields, void *into)
{
	if (n->kind != PS_REPO_TEXT_MESSAGE)
		return ps_repo_pb_fail(d, n, PS_EPARSE, "a message in braces is expected", NULL);
	for (const struct ps_repo_node *f = n->first; f; f = f->next) {
		const struct ps_repo_pb_field *row = find_field(fields, f->name);
		enum ps_status st;

		if (!row)
			return ps_repo_pb_fail(d, f, PS_EPARSE, "there is no such field here",
					       NULL);
		if (!row->repeated && row->read && seen_before(n, f))
			return ps_repo_pb_fail(d, f, PS_EPARSE, "this field is given twice", NULL);
		if (!row->read) {
			if (!seen_before(n, f))
				ps_repo_config_warn(d->c, "%s:%d: %s has no effect here", d->file,
						    f->line, f->name);
			continue;
		}
		st = row->read(d, f, into);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

static const enum ps_dtype dtypes[] = {
	PS_DTYPE_NONE,	 PS_DTYPE_BOOL, PS_DTYPE_UINT8, PS_DTYPE_UINT16, PS_DTYPE_UINT32,
	PS_DTYPE_UINT64, PS_DTYPE_INT8, PS_DTYPE_INT16, PS_DTYPE_INT32,	 PS_DTYPE_INT64,
	PS_DTYPE_FP16,	 PS_DTYPE_FP32, PS_DTYPE_FP64,	PS_DTYPE_BYTES,	 PS_DTYPE_BF16,
};
static const char *const dtype_names[] = {
	"TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32",
	"TYPE_UINT64",	"TYPE_INT8", "TYPE_INT16", "TYPE_INT32",  "TYPE_INT64",
	"TYPE_FP16",	"TYPE_FP32", "TYPE_FP64",  "TYPE_STRING", "TYPE_BF16",
};
#define N_DTYPES ((int)(sizeof(dtypes) / sizeof(dtypes[0])))

enum ps_status ps_repo_pb_dtype_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				   enum ps_dtype *to)
{
	int i = 0;
	enum ps_status st = ps_repo_pb_enum_of(d, n, dtype_names, N_DTYPES, &i);

	if (st == PS_OK && i == 0)
		return ps_repo_pb_fail(d, n, PS_EPARSE, "TYPE_INVALID is no type", NULL);
	*to = dtypes[i];
	return st;
}

enum ps_status ps_repo_pb_dim_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				 int64_t *dims, int *rank)
{
	if (*rank >= PS_TENSOR_MAX_RANK)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "a tensor has at most 8 dimensions", NULL);
	return ps_repo_pb_int_of(d, n, -1, INT32_MAX, &dims[(*rank)++]);
}

/* False is what it is anyway; true would change what the request means. */
enum ps_status ps_repo_pb_refused_when_true(struct ps_repo_pb *d, const struct ps_repo_node *n,
					    void *into)
{
	bool on = false;
	enum ps_status st = ps_repo_pb_bool_of(d, n, &on);

	(void)into;
	if (st == PS_OK && on)
		return ps_repo_pb_fail(d, n, PS_EUNSUPPORTED, "this is not served", NULL);
	return st;
}
