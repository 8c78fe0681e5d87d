#include "net/net_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static enum ps_status bad_url(struct ps_error *err, const char *text, const char *why)
{
	ps_error_set(err, PS_EPARSE, "'%.100s' is no URL that can be used: %s", text, why);
	ps_error_hint(err, "write it as http://host:port");
	return PS_EPARSE;
}

static bool parse_port(const char *s, size_t n, uint16_t *ret_port)
{
	unsigned v = 0;
	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = 10 * v + (unsigned)(s[i] - '0');
	}
	*ret_port = (uint16_t)v;
	return v >= 1 && v <= 65535;
}

/* "host", "host:port", "[::1]:port" */
static enum ps_status parse_authority(const char *text, const char *s, size_t n,
				      struct ps_net_url *u, struct ps_error *err)
{
	const char *host = s, *port = NULL, *end = s + n;
	size_t host_len;
	if (n > 0 && s[0] == '[') {
		const char *close = memchr(s, ']', n);
		if (!close)
			return bad_url(err, text, "']' is missing");
		host = s + 1;
		host_len = (size_t)(close - host);
		if (close + 1 < end && close[1] != ':')
			return bad_url(err, text, "unexpected bytes after ']'");
		port = close + 1 < end ? close + 2 : NULL;
	} else {
		const char *colon = memchr(s, ':', n);
		host_len = colon ? (size_t)(colon - s) : n;
		port = colon ? colon + 1 : NULL;
	}
	if (host_len == 0 || host_len >= sizeof u->host)
		return bad_url(err, text, "the host is missing or too long");
	if (memchr(s, '@', n))
		return bad_url(err, text, "it must not hold a user");
	memcpy(u->host, host, host_len);
	u->host[host_len] = '\0';
	if (port && !parse_port(port, (size_t)(end - port), &u->port))
		return bad_url(err, text, "the port is not 1 to 65535");
	return PS_OK;
}

/* What stands before "://" and what it means. */
static const struct {
	const char *name;
	uint16_t port;
	bool secure, grpc;
} schemes[] = {
	{"http", 80, false, false},
	{"https", 443, true, false},
	{"grpc", 80, false, true},
	{"grpcs", 443, true, true},
};

/* Takes the scheme off *s. */
static enum ps_status parse_scheme(const char *text, const char **s, struct ps_net_url *u,
				   struct ps_error *err)
{
	const char *end = strstr(text, "://");
	size_t n = end ? (size_t)(end - text) : 0;
	u->port = 80;
	if (!end)
		return PS_OK;
	*s = end + 3;
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		if (strlen(schemes[i].name) != n || strncasecmp(text, schemes[i].name, n) != 0)
			continue;
		u->port = schemes[i].port;
		u->secure = schemes[i].secure;
		u->grpc = schemes[i].grpc;
		return PS_OK;
	}
	ps_error_set(err, PS_EUNSUPPORTED, "'%.100s': its scheme is not known here", text);
	ps_error_hint(err, "http, https, grpc, grpcs and unix are");
	return PS_EUNSUPPORTED;
}

static enum ps_status parse_unix(const char *text, struct ps_net_url *u, struct ps_error *err)
{
	const char *path = text + sizeof "unix:" - 1;
	if (strncmp(path, "//", 2) == 0)
		path += 2;
	if (!*path || strlen(path) >= sizeof u->unix_path)
		return bad_url(err, text, "the path of the socket is missing or too long");
	strcpy(u->unix_path, path);
	strcpy(u->host, "localhost");
	u->port = 80;
	return PS_OK;
}

static enum ps_status parse_tcp(const char *text, struct ps_net_url *u, struct ps_error *err)
{
	const char *s = text;
	enum ps_status status = parse_scheme(text, &s, u, err);
	if (status != PS_OK)
		return status;
	if (strpbrk(s, "?#"))
		return bad_url(err, text, "it must not hold a query or fragment");
	size_t n = strcspn(s, "/");
	status = parse_authority(text, s, n, u, err);
	if (status != PS_OK)
		return status;
	size_t base = strlen(s + n);
	while (base > 0 && s[n + base - 1] == '/')
		base--;
	if (base >= sizeof u->base)
		return bad_url(err, text, "its path is too long");
	memcpy(u->base, s + n, base);
	return PS_OK;
}

enum ps_status ps_net_url_parse(const char *text, struct ps_net_url *ret_url, struct ps_error *err)
{
	struct ps_net_url u = {0};
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
			return bad_url(err, text, "it holds a blank or a byte that is not ASCII");
	enum ps_status s = strncasecmp(text, "unix:", 5) == 0 ? parse_unix(text, &u, err)
							      : parse_tcp(text, &u, err);
	if (s == PS_OK)
		*ret_url = u;
	return s;
}

enum ps_status ps_net_address_unix(const char *path, struct ps_net_address *ret_address,
				   struct ps_error *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct ps_net_address out = {.len = sizeof a};
	if (!*path || strlen(path) >= sizeof a.sun_path)
		return ps_error_set(err, PS_EINVAL,
				    "the path of a Unix socket has 1 to %zu bytes: '%.120s'",
				    sizeof a.sun_path - 1, path);
	strcpy(a.sun_path, path);
	memcpy(out.bytes, &a, sizeof a);
	*ret_address = out;
	return PS_OK;
}

enum ps_status ps_net_resolve_url(const struct ps_net_url *url, struct ps_net_address *ret_address,
				  struct ps_error *err)
{
	return url->unix_path[0] ? ps_net_address_unix(url->unix_path, ret_address, err)
				 : ps_net_resolve(url->host, url->port, ret_address, err);
}

enum ps_status ps_net_resolve(const char *host, uint16_t port, struct ps_net_address *ret_address,
			      struct ps_error *err)
{
	char service[8];
	snprintf(service, sizeof service, "%u", port);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list;
	int e = getaddrinfo(host, service, &hints, &list);
	if (e == EAI_MEMORY)
		return ps_error_set(err, PS_ENOMEM, "no memory to look up '%s'", host);
	if (e == EAI_SYSTEM)
		return ps_error_errno(err, errno, "cannot look up '%s'", host);
	if (e != 0 || !list)
		return ps_error_set(err, PS_ENOTFOUND, "cannot find host '%s': %s", host,
				    gai_strerror(e));
	/* IPv4 first where a name has both: servers here listen on 127.0.0.1 unless told. */
	const struct addrinfo *best = list;
	for (const struct addrinfo *a = list; a; a = a->ai_next)
		if (a->ai_family == AF_INET) {
			best = a;
			break;
		}
	struct ps_net_address out = {.len = (unsigned)best->ai_addrlen};
	bool fits = best->ai_addrlen <= sizeof out.bytes;
	if (fits)
		memcpy(out.bytes, best->ai_addr, best->ai_addrlen);
	freeaddrinfo(list);
	if (!fits)
		return ps_error_set(err, PS_EINVAL, "the address of '%s' is too long", host);
	*ret_address = out;
	return PS_OK;
}

static sa_family_t family_of(const struct ps_net_address *a)
{
	struct sockaddr head;
	if (a->len < sizeof head.sa_family)
		return AF_UNSPEC;
	memcpy(&head, a->bytes, sizeof head);
	return head.sa_family;
}

uint16_t ps_net_address_port(const struct ps_net_address *a)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	switch (family_of(a)) {
	case AF_INET:
		memcpy(&v4, a->bytes, sizeof v4);
		return ntohs(v4.sin_port);
	case AF_INET6:
		memcpy(&v6, a->bytes, sizeof v6);
		return ntohs(v6.sin6_port);
	default:
		return 0;
	}
}

const char *ps_net_address_text(const struct ps_net_address *a, char buf[PS_NET_ADDRESS_TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un unix_path;
	switch (family_of(a)) {
	case AF_INET:
		memcpy(&v4, a->bytes, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
		snprintf(buf, PS_NET_ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(v4.sin_port));
		break;
	case AF_INET6:
		memcpy(&v6, a->bytes, sizeof v6);
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
		snprintf(buf, PS_NET_ADDRESS_TEXT_SIZE, "[%s]:%u", host, ntohs(v6.sin6_port));
		break;
	case AF_UNIX:
		memcpy(&unix_path, a->bytes, sizeof unix_path);
		snprintf(buf, PS_NET_ADDRESS_TEXT_SIZE, "unix:%.*s", (int)sizeof unix_path.sun_path,
			 unix_path.sun_path);
		break;
	default:
		snprintf(buf, PS_NET_ADDRESS_TEXT_SIZE, "?");
	}
	return buf;
}
