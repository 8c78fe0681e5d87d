/* Most heads hold nothing that needs a library of states: a method, a path, lines of printable
 * bytes. They are read here at a tenth of its cost. Whatever is out of the ordinary (another
 * method, a control character, a tab, a coding, Upgrade, a doubled length, a head in pieces) is
 * left to it, and so are all refusals: this file never says that a message is bad. */
#include "net/http1_internal.h"

#include <string.h>
#include <strings.h>

enum { MAX_LENGTH_DIGITS = 18 };

bool ps_net_is_host(const char *s, size_t n)
{
	static const bool host[256] = {
		['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true,
		['.'] = true,	      ['_'] = true,	    ['~'] = true,	  ['!'] = true,
		['$'] = true,	      ['&'] = true,	    ['\''] = true,	  ['('] = true,
		[')'] = true,	      ['*'] = true,	    ['+'] = true,	  [','] = true,
		[';'] = true,	      ['='] = true,	    ['%'] = true,	  [':'] = true,
		['['] = true,	      [']'] = true,
	};
	for (size_t i = 0; i < n; i++)
		if (!host[(unsigned char)s[i]])
			return false;
	return true;
}

/* Takes `text` when it stands at *at. */
static bool take(const char **at, const char *end, const char *text, size_t n)
{
	if ((size_t)(end - *at) < n || memcmp(*at, text, n) != 0)
		return false;
	*at += n;
	return true;
}
#define TAKE(at, end, literal) take(at, end, "" literal, sizeof(literal) - 1)

static bool read_line(const char **at, const char *end, struct ps_net_plain_head *h)
{
	static const bool path[256] = {['!' ... '"'] = true, ['$' ... '~'] = true};
	if (TAKE(at, end, "POST "))
		h->method = "POST";
	else if (TAKE(at, end, "GET "))
		h->method = "GET";
	else
		return false;
	const char *p = h->target = *at;
	if (p == end || *p != '/')
		return false;
	while (p < end && path[(unsigned char)*p])
		p++;
	h->target_end = *at = p;
	return TAKE(at, end, " HTTP/1.1\r\n");
}

static bool read_header(const char **at, const char *end, struct ps_net_span *s)
{
	static const bool token[256] = {
		['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
		['-'] = true,	      ['_'] = true,
	};
	const char *p = *at;
	while (p < end && token[(unsigned char)*p])
		p++;
	s->name = *at;
	s->name_end = p;
	if (p == *at || p == end || *p++ != ':')
		return false;
	while (p < end && *p == ' ')
		p++;
	s->value = p;
	p = memchr(p, '\r', (size_t)(end - p));
	if (!p || p + 1 == end || p[1] != '\n' ||
	    !ps_net_bytes_are_plain(s->value, (size_t)(p - s->value)))
		return false;
	s->value_end = p;
	while (s->value_end > s->value && s->value_end[-1] == ' ')
		s->value_end--;
	*at = p + 2;
	return true;
}

static bool read_length(const char *p, const char *end, int64_t *ret_length)
{
	int64_t v = 0;
	if (*ret_length >= 0 || p == end || end - p > MAX_LENGTH_DIGITS)
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		v = 10 * v + (*p - '0');
	}
	*ret_length = v;
	return true;
}

/* The headers that say how a message is framed, and those that the library gives a meaning. `hosts`
 * counts those of a request. */
static bool understand(const struct ps_net_span *s, struct ps_net_plain_head *h, int *hosts)
{
	const size_t coding = sizeof "Transfer-Encoding" - 1;
	size_t n = (size_t)(s->name_end - s->name), value = (size_t)(s->value_end - s->value);
	switch (n) {
	case sizeof "Host" - 1:
		if (strncasecmp(s->name, "Host", n) != 0 || !hosts)
			return true;
		return ++*hosts == 1 && ps_net_is_host(s->value, value);
	case sizeof "Upgrade" - 1:
		return strncasecmp(s->name, "Upgrade", n) != 0;
	case sizeof "Connection" - 1:
		return strncasecmp(s->name, "Connection", n) != 0 ||
		       (value == sizeof "keep-alive" - 1 &&
			strncasecmp(s->value, "keep-alive", value) == 0);
	case sizeof "Content-Length" - 1:
		return strncasecmp(s->name, "Content-Length", n) != 0 ||
		       read_length(s->value, s->value_end, &h->content_length);
	case sizeof "Proxy-Connection" - 1:
		return strncasecmp(s->name, "Proxy-Connection", n) != 0;
	default:
		/* The library refuses longer names that begin so, too. */
		return n < coding || strncasecmp(s->name, "Transfer-Encoding", coding) != 0;
	}
}

/* Behind the last header, or NULL. */
static const char *read_headers(const char *at, const char *end, struct ps_net_plain_head *h,
				int *hosts)
{
	h->n_headers = 0;
	h->content_length = -1;
	while (!TAKE(&at, end, "\r\n")) {
		struct ps_net_span *s = &h->headers[h->n_headers];
		if (h->n_headers == h->max_headers || !read_header(&at, end, s) ||
		    !understand(s, h, hosts))
			return NULL;
		h->n_headers++;
	}
	return at;
}

size_t ps_net_http1_plain(const char *data, size_t n, struct ps_net_plain_head *h)
{
	const char *at = data, *end = data + n;
	int hosts = 0;
	if (!read_line(&at, end, h))
		return 0;
	at = read_headers(at, end, h, &hosts);
	return at && hosts == 1 ? (size_t)(at - data) : 0;
}

static bool read_status(const char **at, const char *end, struct ps_net_plain_head *h)
{
	if (!TAKE(at, end, "HTTP/1.1 ") || end - *at < 4)
		return false;
	const char *p = *at;
	for (int i = 0; i < 3; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	h->http = 100 * (p[0] - '0') + 10 * (p[1] - '0') + p[2] - '0';
	if (h->http < 200 || h->http == 204 || h->http == 304 || p[3] != ' ')
		return false;
	const char *text = p + 4;
	p = memchr(text, '\r', (size_t)(end - text));
	if (!p || !ps_net_bytes_are_plain(text, (size_t)(p - text)))
		return false;
	*at = p;
	return TAKE(at, end, "\r\n");
}

size_t ps_net_http1_plain_answer(const char *data, size_t n, struct ps_net_plain_head *h)
{
	const char *at = data, *end = data + n;
	h->method = "";
	h->target = h->target_end = data;
	if (!read_status(&at, end, h))
		return 0;
	at = read_headers(at, end, h, NULL);
	return at && h->content_length >= 0 ? (size_t)(at - data) : 0;
}
