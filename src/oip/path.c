#include "oip/oip_internal.h"

#include <stdio.h>
#include <string.h>

/* A piece of a path between two slashes. */
struct piece {
	const char *s;
	size_t n;
};

enum { MAX_PIECES = 8 };

static bool is(const struct piece *p, const char *word)
{
	return p->n == strlen(word) && memcmp(p->s, word, p->n) == 0;
}

/* Splits "/v2/models/m"; -1 when there are more pieces than any route has. */
static int split(const char *path, struct piece *pieces)
{
	int n = 0;
	while (*path == '/') {
		path++;
		size_t len = strcspn(path, "/");
		if (len == 0 && path[len] == '\0')
			break;
		if (n == MAX_PIECES)
			return -1;
		pieces[n++] = (struct piece){path, len};
		path += len;
	}
	return *path ? -1 : n;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum ps_status decode(const struct piece *p, const char *what, char *buf, size_t size,
			     struct ps_error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		char c = p->s[i];
		if (c == '%') {
			int hi = i + 2 < p->n ? hex(p->s[i + 1]) : -1;
			int lo = i + 2 < p->n ? hex(p->s[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return ps_error_set(err, PS_EINVAL,
						    "the %s has a bad percent sequence", what);
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		if (c == '\0')
			return ps_error_set(err, PS_EINVAL, "the %s holds a NUL", what);
		if (n + 1 >= size)
			return ps_error_set(err, PS_EINVAL, "the %s has over %zu bytes", what,
					    size - 1);
		buf[n++] = c;
	}
	buf[n] = '\0';
	return n > 0 ? PS_OK : ps_error_set(err, PS_ENOTFOUND, "Not Found");
}

/* v2/models/M[/versions/V][/ready|/infer] */
static enum ps_oip_route model_route(const struct piece *p, int n, const struct piece **ret_version)
{
	int at = 3;
	if (n >= 5 && is(&p[3], "versions")) {
		*ret_version = &p[4];
		at = 5;
	}
	if (n == at)
		return PS_OIP_MODEL_METADATA;
	if (n == at + 1 && is(&p[at], "ready"))
		return PS_OIP_MODEL_READY;
	if (n == at + 1 && is(&p[at], "infer"))
		return PS_OIP_INFER;
	return PS_OIP_NONE;
}

static enum ps_oip_route route_of(const struct piece *p, int n, const struct piece **ret_version)
{
	if (n < 1 || !is(&p[0], "v2"))
		return PS_OIP_NONE;
	if (n == 1)
		return PS_OIP_SERVER_METADATA;
	if (n == 3 && is(&p[1], "health"))
		return is(&p[2], "live")    ? PS_OIP_LIVE
		       : is(&p[2], "ready") ? PS_OIP_READY
					    : PS_OIP_NONE;
	if (n >= 3 && is(&p[1], "models"))
		return model_route(p, n, ret_version);
	return PS_OIP_NONE;
}

const char *ps_oip_allowed(enum ps_oip_route route)
{
	return route == PS_OIP_INFER ? "POST" : "GET, HEAD";
}

enum ps_status ps_oip_parse_path(const char *method, const char *path,
				 struct ps_oip_target *ret_target, struct ps_error *err)
{
	struct piece pieces[MAX_PIECES];
	const struct piece *version = NULL;
	struct ps_oip_target t = {0};
	int n = split(path, pieces);
	t.route = n < 0 ? PS_OIP_NONE : route_of(pieces, n, &version);
	*ret_target = t;
	if (t.route == PS_OIP_NONE)
		return ps_error_set(err, PS_ENOTFOUND, "Not Found");
	bool post = strcmp(method, "POST") == 0;
	bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	if (t.route == PS_OIP_INFER ? !post : !get)
		return ps_error_set(err, PS_EMETHOD, "Method Not Allowed");
	enum ps_status s = PS_OK;
	if (t.route >= PS_OIP_MODEL_METADATA)
		s = decode(&pieces[2], "model name", t.model, sizeof t.model, err);
	if (s == PS_OK && version)
		s = decode(version, "model version", t.version, sizeof t.version, err);
	if (s == PS_OK)
		*ret_target = t;
	return s;
}

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

enum ps_status ps_oip_build_path(const struct ps_oip_target *t, char buf[PS_OIP_PATH_SIZE],
				 struct ps_error *err)
{
	/* Three bytes for each of the name's and version's always fit here. */
	char model[3 * PS_TENSOR_MAX_NAME + 8], version[3 * PS_OIP_VERSION_SIZE + 8];
	static const char *const ends[] = {
		[PS_OIP_LIVE] = "/v2/health/live", [PS_OIP_READY] = "/v2/health/ready",
		[PS_OIP_SERVER_METADATA] = "/v2",  [PS_OIP_MODEL_METADATA] = "",
		[PS_OIP_MODEL_READY] = "/ready",   [PS_OIP_INFER] = "/infer",
	};
	if (t->route < PS_OIP_LIVE || t->route > PS_OIP_INFER)
		return ps_error_set(err, PS_EINVAL, "no route %d", (int)t->route);
	if (t->route < PS_OIP_MODEL_METADATA) {
		snprintf(buf, PS_OIP_PATH_SIZE, "%s", ends[t->route]);
		return PS_OK;
	}
	encode(t->model, model, sizeof model);
	encode(t->version, version, sizeof version);
	int n = snprintf(buf, PS_OIP_PATH_SIZE, "/v2/models/%s%s%s%s", model,
			 *version ? "/versions/" : "", version, ends[t->route]);
	if (n >= PS_OIP_PATH_SIZE)
		return ps_error_set(err, PS_ETOOBIG, "the path of model '%.60s' is too long",
				    t->model);
	return PS_OK;
}
