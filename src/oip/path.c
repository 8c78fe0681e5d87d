/* Request lines <-> routes, by one table of patterns. */
#include "oip/oip_internal.h"

#include <stdio.h>
#include <string.h>

/* A piece of a path between two slashes. */
struct piece {
	const char *s;
	size_t n;
};

enum { MAX_PIECES = 8 };

/* In a pattern M stands for a model (or a tenant), V for a version, R for a repository. The first
 * pattern that fits is taken; of a route with several, the longest comes last, as build_path needs.
 */
struct pattern {
	enum ps_oip_route route;
	const char *text;
};

static const struct pattern patterns[] = {
	{PS_OIP_INFER, "v2/models/M/infer"},
	{PS_OIP_INFER, "v2/models/M/versions/V/infer"},
	{PS_OIP_LIVE, "v2/health/live"},
	{PS_OIP_READY, "v2/health/ready"},
	{PS_OIP_SERVER_METADATA, "v2"},
	{PS_OIP_STATISTICS, "v2/models/stats"},
	{PS_OIP_STATISTICS, "v2/models/M/stats"},
	{PS_OIP_STATISTICS, "v2/models/M/versions/V/stats"},
	{PS_OIP_MODEL_METADATA, "v2/models/M"},
	{PS_OIP_MODEL_METADATA, "v2/models/M/versions/V"},
	{PS_OIP_MODEL_READY, "v2/models/M/ready"},
	{PS_OIP_MODEL_READY, "v2/models/M/versions/V/ready"},
	{PS_OIP_MODEL_CONFIG, "v2/models/M/config"},
	{PS_OIP_MODEL_CONFIG, "v2/models/M/versions/V/config"},
	{PS_OIP_REPOSITORY_INDEX, "v2/repository/index"},
	{PS_OIP_REPOSITORY_INDEX, "v2/repository/R/index"},
	{PS_OIP_LOAD, "v2/repository/models/M/load"},
	{PS_OIP_LOAD, "v2/repository/R/models/M/load"},
	{PS_OIP_UNLOAD, "v2/repository/models/M/unload"},
	{PS_OIP_UNLOAD, "v2/repository/R/models/M/unload"},
	{PS_OIP_OPERATOR_RELOAD, "v2/perseus/reload"},
	{PS_OIP_OPERATOR_STATUS, "v2/perseus/status"},
	{PS_OIP_OPERATOR_TENANTS, "v2/perseus/tenants"},
	{PS_OIP_OPERATOR_TENANTS, "v2/perseus/tenants/M"},
	{PS_OIP_OPERATOR_USAGE, "v2/perseus/usage"},
	{PS_OIP_OPERATOR_BILL, "v2/perseus/bill"},
};
enum { N_PATTERNS = sizeof patterns / sizeof patterns[0] };

static const struct route_row {
	const char *name;
	bool post, model, operator;
} routes[PS_OIP_ROUTE_COUNT] =
	{[PS_OIP_NONE] = {.name = "none"},
	 [PS_OIP_LIVE] = {.name = "server_live"},
	 [PS_OIP_READY] = {.name = "server_ready"},
	 [PS_OIP_SERVER_METADATA] = {.name = "server_metadata"},
	 [PS_OIP_MODEL_METADATA] = {.name = "model_metadata", .model = true},
	 [PS_OIP_MODEL_READY] = {.name = "model_ready", .model = true},
	 [PS_OIP_INFER] = {.name = "model_infer", .post = true, .model = true},
	 [PS_OIP_MODEL_CONFIG] = {.name = "model_config", .model = true},
	 [PS_OIP_STATISTICS] = {.name = "model_statistics", .model = true},
	 [PS_OIP_REPOSITORY_INDEX] = {.name = "repository_index", .post = true},
	 [PS_OIP_LOAD] = {.name = "repository_model_load", .post = true, .model = true},
	 [PS_OIP_UNLOAD] = {.name = "repository_model_unload", .post = true, .model = true},
	 [PS_OIP_OPERATOR_RELOAD] = {
		 "operator_reload", .post = true, .operator= true },
		 [PS_OIP_OPERATOR_STATUS] =
			 {"operator_status", .operator= true },
			  [PS_OIP_OPERATOR_TENANTS] =
				  {"operator_tenants", .operator= true },
				   [PS_OIP_OPERATOR_USAGE] =
					   {"operator_usage", .operator= true },
					    [PS_OIP_OPERATOR_BILL] =
						    {
							    "operator_bill",
							    .operator= true },
							    [PS_OIP_INFER_STREAM] =
								    {"model_stream_infer",
								     .post = true, .model = true},
							    [PS_OIP_HEALTH_CHECK] =
								    {.name = "health_check",
								     .post = true},
							    [PS_OIP_HEALTH_WATCH] =
								    {.name = "health_watch",
								     .post = true},
							    [PS_OIP_REFLECTION] =
								    {"server_reflection",
								     .post = true},
							    [PS_OIP_REFLECTION_V1ALPHA] =
								    {"server_reflection_v1alpha",
								     .post = true},
					    };

static const struct route_row *row_of(enum ps_oip_route route)
{
	return &routes[(unsigned)route < PS_OIP_ROUTE_COUNT ? route : PS_OIP_NONE];
}

const char *ps_oip_route_name(enum ps_oip_route route)
{
	return row_of(route)->name;
}

bool ps_oip_route_names_model(enum ps_oip_route route)
{
	return row_of(route)->model;
}

bool ps_oip_route_is_operator(enum ps_oip_route route)
{
	return row_of(route)->operator;
}

const char *ps_oip_allowed(enum ps_oip_route route)
{
	return row_of(route)->post ? "POST" : "GET, HEAD";
}

/* --- reading --- */

/* Splits "/v2/models/m?x"; -1 when there are more pieces than any route has. */
static int split(const char *path, struct piece *pieces)
{
	int n = 0;
	while (*path == '/') {
		path++;
		size_t len = strcspn(path, "/?");
		if (len == 0 && path[len] != '/')
			break;
		if (n == MAX_PIECES)
			return -1;
		pieces[n++] = (struct piece){path, len};
		path += len;
	}
	return *path && *path != '?' ? -1 : n;
}

struct names {
	const struct piece *model, *version, *repository;
};

/* Takes a piece for a placeholder of a pattern; false when `c` is none. */
static bool capture(char c, const struct piece *p, struct names *names)
{
	if (c == 'M')
		names->model = p;
	else if (c == 'V')
		names->version = p;
	else if (c == 'R')
		names->repository = p;
	else
		return false;
	return true;
}

static bool fits(const char *pattern, const struct piece *p, int n, struct names *ret_names)
{
	struct names names = {0};
	int i = 0;
	for (;; i++) {
		size_t len = strcspn(pattern, "/");
		if (i == n)
			return false;
		bool named = len == 1 && capture(*pattern, &p[i], &names);
		if (!named && (len != p[i].n || memcmp(pattern, p[i].s, len) != 0))
			return false;
		pattern += len;
		if (!*pattern++)
			break;
	}
	*ret_names = names;
	return i + 1 == n;
}

static enum ps_oip_route route_of(const char *path, struct piece *pieces, struct names *ret_names)
{
	int n = split(path, pieces);
	for (int i = 0; n > 0 && i < N_PATTERNS; i++)
		if (fits(patterns[i].text, pieces, n, ret_names))
			return patterns[i].route;
	return PS_OIP_NONE;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes percent sequences, and '+' of a query; -1: a bad sequence or a NUL, -2: over `size`. */
static int decode(const struct piece *p, bool query, char *buf, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		char c = p->s[i];
		if (c == '%') {
			int hi = i + 2 < p->n ? hex(p->s[i + 1]) : -1;
			int lo = i + 2 < p->n ? hex(p->s[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return -1;
			c = (char)(hi * 16 + lo);
			i += 2;
		} else if (c == '+' && query) {
			c = ' ';
		}
		if (c == '\0')
			return -1;
		if (n + 1 >= size)
			return -2;
		buf[n++] = c;
	}
	buf[n] = '\0';
	return (int)n;
}

static enum ps_status bad_decoding(int why, const char *what, size_t size, struct ps_error *err)
{
	if (why == -1)
		return ps_error_set(err, PS_EINVAL, "the %s has a bad percent sequence", what);
	return ps_error_set(err, PS_EINVAL, "the %s has over %zu bytes", what, size - 1);
}

static enum ps_status take_name(const struct piece *p, const char *what, char *buf, size_t size,
				struct ps_error *err)
{
	if (!p)
		return PS_OK;
	int n = decode(p, false, buf, size);
	if (n < 0)
		return bad_decoding(n, what, size, err);
	if (n == 0)
		return ps_error_set(err, PS_ENOTFOUND, "Not Found");
	return ps_oip_check_name(what, buf, (size_t)n, err);
}

/* Leaves the long arrays as they are but for their first byte. */
static void clear(struct ps_oip_target *t)
{
	t->model[0] = t->version[0] = t->repository[0] = '\0';
}

enum ps_status ps_oip_parse_path(const char *method, const char *path,
				 struct ps_oip_target *ret_target, struct ps_error *err)
{
	struct piece pieces[MAX_PIECES];
	struct names names = {0};
	struct ps_oip_target *t = ret_target;
	clear(t);
	t->route = route_of(path, pieces, &names);
	if (t->route == PS_OIP_NONE)
		return ps_error_set(err, PS_ENOTFOUND, "Not Found");
	bool post = strcmp(method, "POST") == 0;
	bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	if (routes[t->route].post ? !post : !get)
		return ps_error_set(err, PS_EMETHOD, "Method Not Allowed");
	const char *what = routes[t->route].operator? "tenant's name" : "model name";
	enum ps_status s = take_name(names.model, what, t->model, sizeof t->model, err);
	if (s == PS_OK)
		s = take_name(names.version, "model version", t->version, sizeof t->version, err);
	if (s == PS_OK)
		s = take_name(names.repository, "repository name", t->repository,
			      sizeof t->repository, err);
	if (s != PS_OK)
		clear(t);
	return s;
}

enum ps_status ps_oip_check_name(const char *what, const char *name, size_t n, struct ps_error *err)
{
	const char *end = name + n;
	if (n == 0 || (*name == '.' && (n == 1 || (n == 2 && name[1] == '.'))))
		return ps_error_set(err, PS_EINVAL, "the %s is '%.*s'", what, (int)n, name);
	for (const char *p = name; p < end;) {
		size_t len = ps_oip_valid_utf8(p, end);
		unsigned char c = (unsigned char)*p;
		if (len == 0)
			return ps_error_set(err, PS_EINVAL, "the %s is not UTF-8", what);
		if (c < 0x20 || c == 0x7f)
			return ps_error_set(err, PS_EINVAL, "the %s holds a control character",
					    what);
		if (c == '/' || c == '\\')
			return ps_error_set(err, PS_EINVAL, "the %s holds a slash", what);
		p += len;
	}
	return PS_OK;
}

enum ps_status ps_oip_query_get(const char *query, const char *key, char *buf, size_t size,
				struct ps_error *err)
{
	size_t len = strlen(key);
	for (const char *p = query; p && *p;) {
		size_t n = strcspn(p, "&");
		if (n > len && p[len] == '=' && memcmp(p, key, len) == 0) {
			const struct piece value = {p + len + 1, n - len - 1};
			int got = decode(&value, true, buf, size);
			if (got == -1)
				return bad_decoding(got, key, size, err);
			return got >= 0 ? PS_OK
					: ps_error_set(err, PS_ETOOBIG, "%s has over %zu bytes",
						       key, size - 1);
		}
		p += n + (p[n] == '&');
	}
	return PS_ENOTFOUND;
}

/* --- writing --- */

static size_t encode(const char *s, char *buf, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;
	for (; *s && n + 4 < size; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-._~", c);
		if (plain) {
			buf[n++] = (char)c;
		} else {
			buf[n++] = '%';
			buf[n++] = digits[c >> 4];
			buf[n++] = digits[c & 15];
		}
	}
	buf[n] = '\0';
	return n;
}

/* The last pattern of the route all of whose names are given. */
static const char *pattern_for(const struct ps_oip_target *t)
{
	const char *best = NULL;
	for (int i = 0; i < N_PATTERNS; i++) {
		const char *text = patterns[i].text;
		bool ok = patterns[i].route == t->route && (!strchr(text, 'M') || t->model[0]) &&
			  (!strchr(text, 'V') || t->version[0]) &&
			  (!strchr(text, 'R') || t->repository[0]);
		best = ok ? text : best;
	}
	return best;
}

enum ps_status ps_oip_build_path(const struct ps_oip_target *t, char buf[PS_OIP_PATH_SIZE],
				 struct ps_error *err)
{
	const char *p = pattern_for(t);
	size_t n = 0;
	if (!p)
		return ps_error_set(err, PS_EINVAL, "no path for route %s",
				    ps_oip_route_name(t->route));
	for (; *p && n + 8 < PS_OIP_PATH_SIZE; p += strcspn(p, "/"), p += *p == '/') {
		size_t len = strcspn(p, "/");
		buf[n++] = '/';
		const char *name = len > 1     ? NULL
				   : *p == 'M' ? t->model
				   : *p == 'V' ? t->version
				   : *p == 'R' ? t->repository
					       : NULL;
		/* A name that does not fit whole leaves no room for what follows. */
		if (name)
			n += encode(name, buf + n, PS_OIP_PATH_SIZE - n);
		else if (n + len < PS_OIP_PATH_SIZE)
			n += (size_t)snprintf(buf + n, PS_OIP_PATH_SIZE - n, "%.*s", (int)len, p);
		else
			break;
	}
	if (*p)
		return ps_error_set(err, PS_ETOOBIG, "the path of model '%.60s' is too long",
				    t->model);
	return PS_OK;
}
