/* The texts of gRPC's wire: grpc-timeout, grpc-message, base64 of -bin metadata. */
#include "net/h2_parts_internal.h"

#include <string.h>

enum ps_status ps_net_grpc_timeout_ns(const char *text, int64_t *ret_ns)
{
	enum { MAX_DIGITS = 8 };
	static const struct {
		char unit;
		int64_t ns;
	} units[] = {
		{'H', 3600 * PS_NS_PER_SEC}, {'M', 60 * PS_NS_PER_SEC}, {'S', PS_NS_PER_SEC},
		{'m', PS_NS_PER_MS},	     {'u', PS_NS_PER_US},	{'n', 1},
	};
	const int64_t max_ns = INT64_C(100) * 365 * 24 * 3600 * PS_NS_PER_SEC;
	int64_t v = 0;
	int digits = 0;
	for (; *text >= '0' && *text <= '9' && digits <= MAX_DIGITS; text++, digits++)
		v = 10 * v + (*text - '0');
	if (digits == 0 || digits > MAX_DIGITS || !*text || text[1])
		return PS_EPARSE;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (units[i].unit != *text)
			continue;
		*ret_ns = v > max_ns / units[i].ns ? max_ns : v * units[i].ns;
		return PS_OK;
	}
	return PS_EPARSE;
}

/* How many of the first `max` bytes are whole characters of UTF-8. */
static size_t whole_characters(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);
	if (n <= max)
		return n;
	for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
		;
	return n;
}

size_t ps_net_grpc_percent(const char *text, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = whole_characters(text, PS_NET_GRPC_TEXT_MAX), at = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c >= 0x20 && c <= 0x7e && c != '%') {
			out[at++] = (char)c;
		} else {
			out[at++] = '%';
			out[at++] = hex[c >> 4];
			out[at++] = hex[c & 15];
		}
	}
	return at;
}

bool ps_net_grpc_name_is_good(const char *name)
{
	size_t n = strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz_-.");
	return n > 0 && name[n] == '\0' && strncmp(name, "grpc-", 5) != 0 &&
	       strcmp(name, "connection") != 0 && strcmp(name, "te") != 0 &&
	       strcmp(name, "content-type") != 0 && strcmp(name, "content-length") != 0;
}

/* --- base64 --- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;
	return p ? (int)(p - alphabet) : -1;
}

enum ps_status ps_net_grpc_base64_decode(const char *text, void *out, size_t cap, size_t *ret_bytes)
{
	unsigned char *to = out;
	size_t len = strlen(text), padding = 0, at = 0;
	while (padding < 2 && len > 0 && text[len - 1] == '=') {
		len--;
		padding++;
	}
	if (len % 4 == 1 || (padding > 0 && (len + padding) % 4 != 0))
		return PS_EPARSE;
	uint32_t bits = 0;
	int have = 0;
	for (size_t i = 0; i < len; i++) {
		int v = value_of(text[i]);
		if (v < 0)
			return PS_EPARSE;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (at == cap)
			return PS_ETOOBIG;
		to[at++] = (unsigned char)(bits >> have);
	}
	/* What is left over must be the zero bits that fill up the last character. */
	if (bits & ((1u << have) - 1))
		return PS_EPARSE;
	*ret_bytes = at;
	return PS_OK;
}

enum ps_status ps_net_grpc_base64_encode(const void *bytes, size_t n, char *out, size_t cap)
{
	const unsigned char *from = bytes;
	size_t full = n / 3, rest = n % 3;
	if (full > (SIZE_MAX - 4) / 4 || full * 4 + (rest ? rest + 1 : 0) + 1 > cap)
		return PS_ETOOBIG;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)from[i] << 16;
		v |= i + 1 < n ? (uint32_t)from[i + 1] << 8 : 0;
		v |= i + 2 < n ? from[i + 2] : 0;
		size_t chars = n - i >= 3 ? 4 : n - i + 1;
		for (size_t k = 0; k < chars; k++)
			*out++ = alphabet[v >> (18 - 6 * k) & 63];
	}
	*out = '\0';
	return PS_OK;
}
