/* A pull reader: the caller says what it expects next. Nothing is allocated; strings are decoded in
 * the bytes that they came in, which never grow by it. */
#include "oip/oip_internal.h"

#include <string.h>

void ps_oip_reader_init(struct ps_oip_reader *r, char *bytes, size_t n, struct ps_arena *arena,
			struct ps_error *err)
{
	*r = (struct ps_oip_reader){
		.start = bytes, .at = bytes, .end = bytes + n, .arena = arena, .err = err};
}

enum ps_status ps_oip_read_fail(struct ps_oip_reader *r, const char *what)
{
	ps_error_set(r->err, PS_EPARSE, "failed to parse the JSON: %s", what);
	ps_error_where(r->err, "byte %zu", (size_t)(r->at - r->start));
	return PS_EPARSE;
}

char ps_oip_peek_behind_blanks(struct ps_oip_reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
		r->at++;
	return r->at < r->end ? *r->at : '\0';
}

enum ps_status ps_oip_enter(struct ps_oip_reader *r)
{
	r->at++;
	if (++r->depth > PS_OIP_MAX_DEPTH)
		return ps_error_set(r->err, PS_ETOOBIG, "the JSON is nested deeper than %d",
				    PS_OIP_MAX_DEPTH);
	return PS_OK;
}

void ps_oip_leave(struct ps_oip_reader *r)
{
	r->at++;
	r->depth--;
}

bool ps_oip_read_word(struct ps_oip_reader *r, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
		return false;
	r->at += n;
	return true;
}

enum ps_status ps_oip_read_end(struct ps_oip_reader *r)
{
	ps_oip_peek(r);
	return r->at == r->end ? PS_OK : ps_oip_read_fail(r, "bytes after the end");
}

/* After a value in an object or array: true when another follows. */
static enum ps_status next_item(struct ps_oip_reader *r, char close, bool *ret_more)
{
	char c = ps_oip_peek(r);
	if (c == ',') {
		r->at++;
		*ret_more = true;
		return PS_OK;
	}
	if (c != close)
		return ps_oip_read_fail(r, close == '}' ? "',' or '}' expected"
							: "',' or ']' expected");
	ps_oip_leave(r);
	*ret_more = false;
	return PS_OK;
}

/* --- strings --- */

size_t ps_oip_valid_utf8(const char *s, const char *end)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t left = (size_t)(end - s);
	if (left == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : p[0] >= 0xe0 && p[0] <= 0xef ? 3 : 4;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
	return overlong || outside ? 0 : n;
}

static int hex4(const char *s, const char *end)
{
	if (end - s < 4)
		return -1;
	int v = 0;
	for (int i = 0; i < 4; i++) {
		char c = s[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = 16 * v + d;
	}
	return v;
}

static size_t put_utf8(unsigned c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	out[0] = (char)(lead[n] | c);
	return n;
}

/* \uXXXX, with its second half where it is a surrogate. Returns bytes used after "\u", 0 if bad. */
static size_t decode_u(const char *s, const char *end, char *out, size_t *ret_n)
{
	int hi = hex4(s, end);
	if (hi < 0 || (hi >= 0xdc00 && hi <= 0xdfff))
		return 0;
	if (hi < 0xd800 || hi > 0xdbff) {
		*ret_n = put_utf8((unsigned)hi, out);
		return 4;
	}
	if (end - s < 10 || s[4] != '\\' || s[5] != 'u')
		return 0;
	int lo = hex4(s + 6, end);
	if (lo < 0xdc00 || lo > 0xdfff)
		return 0;
	*ret_n = put_utf8(0x10000u + (((unsigned)hi - 0xd800u) << 10) + ((unsigned)lo - 0xdc00u),
			  out);
	return 10;
}

/* Decodes the escape at s (behind the backslash). Returns bytes used, 0 if bad. */
static size_t decode_escape(const char *s, const char *end, char *out, size_t *ret_n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (s >= end)
		return 0;
	if (*s == 'u') {
		size_t used = decode_u(s + 1, end, out, ret_n);
		return used ? used + 1 : 0;
	}
	const char *f = *s ? strchr(from, *s) : NULL;
	if (!f)
		return 0;
	out[0] = to[f - from];
	*ret_n = 1;
	return 1;
}

/* The first byte from p on that does not stand for itself in a string. */
static char *skip_plain(char *p, const char *end)
{
	static const bool plain[256] = {
		[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7f] = true};
	while (p < end && plain[(unsigned char)*p])
		p++;
	return p;
}

/* One string, from its quote to its quote; decoded to `out` unless that is NULL. */
static enum ps_status scan_string(struct ps_oip_reader *r, char *out, size_t *ret_n)
{
	char *p = r->at + 1;
	size_t n = 0;
	char decoded[4];
	for (;;) {
		size_t used = 1, got = 1;
		const char *from = p;
		p = skip_plain(p, r->end);
		if (out && out + n != from)
			memmove(out + n, from, (size_t)(p - from));
		n += (size_t)(p - from);
		r->at = p;
		if (p >= r->end)
			return ps_oip_read_fail(r, "a string without its end");
		from = p;
		if (*p == '"')
			break;
		if ((unsigned char)*p < 0x20)
			return ps_oip_read_fail(r, "a control character in a string");
		if (*p == '\\') {
			used = decode_escape(p + 1, r->end, decoded, &got);
			if (used == 0)
				return ps_oip_read_fail(r, "a bad escape in a string");
			used++;
			from = decoded;
		} else {
			used = got = ps_oip_valid_utf8(p, r->end);
			if (used == 0)
				return ps_oip_read_fail(r, "a string that is not UTF-8");
		}
		if (out)
			memmove(out + n, from, got);
		n += got;
		p += used;
	}
	r->at = p + 1;
	*ret_n = n;
	return PS_OK;
}

/* A string with nothing to decode, as nearly all keys and names are: so it holds no NUL either. */
static char *take_plain(struct ps_oip_reader *r, size_t *ret_n)
{
	if (ps_oip_peek(r) != '"')
		return NULL;
	char *out = r->at + 1, *end = skip_plain(out, r->end);
	if (end == r->end || *end != '"')
		return NULL;
	*end = '\0';
	*ret_n = (size_t)(end - out);
	r->at = end + 1;
	return out;
}

enum ps_status ps_oip_read_bytes(struct ps_oip_reader *r, char **ret_text, size_t *ret_n)
{
	*ret_text = take_plain(r, ret_n);
	if (*ret_text)
		return PS_OK;
	if (ps_oip_peek(r) != '"')
		return ps_oip_read_fail(r, "a string is expected");
	char *out = r->at + 1;
	enum ps_status s = scan_string(r, out, ret_n);
	if (s != PS_OK)
		return s;
	out[*ret_n] = '\0'; /* at the latest on the closing quote */
	*ret_text = out;
	return PS_OK;
}

enum ps_status ps_oip_read_text(struct ps_oip_reader *r, const char *what, size_t max,
				const char **ret_text)
{
	char *text;
	size_t n;
	enum ps_status s = ps_oip_read_bytes(r, &text, &n);
	if (s != PS_OK)
		return s;
	if (n > max)
		return ps_error_set(r->err, PS_ETOOBIG, "%s has over %zu bytes", what, max);
	if (memchr(text, '\0', n))
		return ps_error_set(r->err, PS_EINVAL, "%s holds a NUL", what);
	*ret_text = text;
	return PS_OK;
}

/* --- simple values --- */

enum ps_status ps_oip_read_bool(struct ps_oip_reader *r, bool *ret_value)
{
	ps_oip_peek(r);
	if (ps_oip_read_word(r, "true"))
		*ret_value = true;
	else if (ps_oip_read_word(r, "false"))
		*ret_value = false;
	else
		return ps_oip_read_fail(r, "true or false is expected");
	return PS_OK;
}

enum ps_status ps_oip_read_int(struct ps_oip_reader *r, int64_t *ret_value)
{
	struct ps_oip_number n;
	uint64_t bits;
	ps_oip_peek(r);
	if (!ps_oip_scan_number(r->at, r->end, &n) ||
	    !ps_oip_number_int(&n, INT64_MIN, INT64_MAX, &bits))
		return ps_oip_read_fail(r, "an integer of 64 bits is expected");
	r->at += n.n;
	*ret_value = (int64_t)bits;
	return PS_OK;
}

/* --- objects and arrays --- */

static enum ps_status read_key(struct ps_oip_reader *r, const char **ret_name)
{
	size_t n;
	char *name = take_plain(r, &n);
	if (!name) {
		if (ps_oip_peek(r) != '"')
			return ps_oip_read_fail(r, "a key is expected");
		enum ps_status s = ps_oip_read_bytes(r, &name, &n);
		if (s != PS_OK)
			return s;
		if (memchr(name, '\0', n))
			return ps_oip_read_fail(r, "a key with a NUL");
	}
	if (ps_oip_peek(r) != ':')
		return ps_oip_read_fail(r, "':' is expected");
	r->at++;
	*ret_name = name;
	return PS_OK;
}

enum ps_status ps_oip_read_members(struct ps_oip_reader *r,
				   enum ps_status (*member)(struct ps_oip_reader *r,
							    const char *name, void *out),
				   void *out)
{
	if (ps_oip_peek(r) != '{')
		return ps_oip_read_fail(r, "an object is expected");
	enum ps_status s = ps_oip_enter(r);
	if (s == PS_OK && ps_oip_peek(r) == '}') {
		ps_oip_leave(r);
		return PS_OK;
	}
	for (bool more = true; s == PS_OK && more;) {
		const char *name = NULL;
		s = read_key(r, &name);
		if (s == PS_OK)
			s = member(r, name, out);
		if (s == PS_OK)
			s = next_item(r, '}', &more);
	}
	return s;
}

struct known {
	const struct ps_oip_field *fields;
	int n;
	uint32_t seen;
	void *out;
};

static enum ps_status read_known(struct ps_oip_reader *r, const char *name, void *out)
{
	struct known *k = out;
	for (int i = 0; i < k->n; i++) {
		if (k->fields[i].name[0] != name[0] || strcmp(k->fields[i].name, name) != 0)
			continue;
		if (k->seen & (1u << i))
			return ps_error_set(r->err, PS_EINVAL, "the key \"%s\" comes twice", name);
		k->seen |= 1u << i;
		return k->fields[i].read(r, k->out);
	}
	return ps_oip_skip(r);
}

enum ps_status ps_oip_read_object(struct ps_oip_reader *r, const struct ps_oip_field *fields,
				  int n_fields, void *out)
{
	struct known k = {fields, n_fields, 0, out};
	return ps_oip_read_members(r, read_known, &k);
}

enum ps_status ps_oip_read_array(struct ps_oip_reader *r,
				 enum ps_status (*item)(struct ps_oip_reader *r, void *out),
				 void *out)
{
	if (ps_oip_peek(r) != '[')
		return ps_oip_read_fail(r, "an array is expected");
	enum ps_status s = ps_oip_enter(r);
	if (s == PS_OK && ps_oip_peek(r) == ']') {
		ps_oip_leave(r);
		return PS_OK;
	}
	for (bool more = true; s == PS_OK && more;) {
		s = item(r, out);
		if (s == PS_OK)
			s = next_item(r, ']', &more);
	}
	return s;
}

/* --- passing over --- */

static enum ps_status skip_item(struct ps_oip_reader *r, void *out)
{
	(void)out;
	return ps_oip_skip(r);
}

static enum ps_status skip_members(struct ps_oip_reader *r)
{
	enum ps_status s = ps_oip_enter(r);
	if (s == PS_OK && ps_oip_peek(r) == '}') {
		ps_oip_leave(r);
		return PS_OK;
	}
	for (bool more = true; s == PS_OK && more;) {
		size_t n;
		if (ps_oip_peek(r) != '"')
			return ps_oip_read_fail(r, "a key is expected");
		s = scan_string(r, NULL, &n);
		if (s == PS_OK && ps_oip_peek(r) != ':')
			return ps_oip_read_fail(r, "':' is expected");
		if (s == PS_OK) {
			r->at++;
			s = ps_oip_skip(r);
		}
		if (s == PS_OK)
			s = next_item(r, '}', &more);
	}
	return s;
}

enum ps_status ps_oip_skip(struct ps_oip_reader *r)
{
	static const char *const words[] = {"true", "false",	"null",
					    "NaN",  "Infinity", "-Infinity"};
	struct ps_oip_number number;
	size_t n;
	switch (ps_oip_peek(r)) {
	case '{':
		return skip_members(r);
	case '[':
		return ps_oip_read_array(r, skip_item, NULL);
	case '"':
		return scan_string(r, NULL, &n);
	default:
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (ps_oip_read_word(r, words[i]))
				return PS_OK;
		if (!ps_oip_scan_number(r->at, r->end, &number))
			return ps_oip_read_fail(r, "a value is expected");
		r->at += number.n;
		return PS_OK;
	}
}
