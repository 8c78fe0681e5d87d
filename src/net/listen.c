/* Sockets to listen on: TCP, Unix, or another server's. */
#include "net/server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static const struct sockaddr *sockaddr_of(const struct ps_net_address *a)
{
	return (const struct sockaddr *)(const void *)a->bytes;
}

static enum ps_status open_socket(struct ps_net_server *s, struct ps_error *err)
{
	int family = sockaddr_of(&s->address)->sa_family;
	s->listener.fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listener.fd < 0)
		return ps_error_errno(err, errno, "cannot make a socket");
	return PS_OK;
}

static enum ps_status bind_and_listen(struct ps_net_server *s, struct ps_error *err)
{
	char text[PS_NET_ADDRESS_TEXT_SIZE];
	ps_net_address_text(&s->address, text);
	if (bind(s->listener.fd, sockaddr_of(&s->address), s->address.len) != 0)
		return ps_error_errno(err, errno, "cannot listen on %s", text);
	if (listen(s->listener.fd, BACKLOG) != 0)
		return ps_error_errno(err, errno, "cannot listen on %s", text);
	return PS_OK;
}

/* --- TCP --- */

static enum ps_status listen_tcp(struct ps_net_server *s, struct ps_error *err)
{
	int one = 1;
	enum ps_status status = ps_net_resolve(s->host, s->o.port, &s->address, err);
	if (status == PS_OK)
		status = open_socket(s, err);
	if (status != PS_OK)
		return status;
	(void)setsockopt(s->listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	/* Sockets that are accepted inherit it. */
	(void)setsockopt(s->listener.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (s->o.reuse_port &&
	    setsockopt(s->listener.fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
		return ps_error_errno(err, errno, "cannot share a port between threads");
	status = bind_and_listen(s, err);
	if (status == PS_EINUSE)
		ps_error_hint(err, "another program uses this port: stop it or choose another "
				   "port (port 0 lets the system choose)");
	return status;
}

/* --- Unix sockets --- */

/* A socket file whose server is gone refuses connections; whoever answers keeps it. */
static bool is_stale(const struct ps_net_address *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool refused = connect(fd, sockaddr_of(a), a->len) != 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static enum ps_status make_way(struct ps_net_server *s, struct ps_error *err)
{
	struct stat st;
	if (lstat(s->unix_path, &st) != 0)
		return PS_OK; /* bind says what else is wrong with the path */
	if (!S_ISSOCK(st.st_mode)) {
		ps_error_set(err, PS_EINUSE, "'%s' is there and is no socket", s->unix_path);
		ps_error_hint(err, "move it away, or choose another path");
		return PS_EINUSE;
	}
	if (!is_stale(&s->address)) {
		ps_error_set(err, PS_EINUSE, "another program listens on '%s'", s->unix_path);
		ps_error_hint(err, "stop it or choose another path");
		return PS_EINUSE;
	}
	if (unlink(s->unix_path) != 0)
		return ps_error_errno(err, errno, "cannot remove the stale socket '%s'",
				      s->unix_path);
	return PS_OK;
}

static enum ps_status unix_address(struct ps_net_server *s, struct ps_error *err)
{
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	size_t n = strlen(s->unix_path);
	if (n == 0 || n >= sizeof u.sun_path)
		return ps_error_set(err, PS_EINVAL,
				    "the path of a Unix socket has 1 to %zu bytes: '%.200s'",
				    sizeof u.sun_path - 1, s->unix_path);
	memcpy(u.sun_path, s->unix_path, n + 1);
	_Static_assert(sizeof u <= sizeof s->address.bytes, "an address holds a path");
	memcpy(s->address.bytes, &u, sizeof u);
	s->address.len = sizeof u;
	return PS_OK;
}

/* The mode is set before anybody can connect: between bind and listen. A mask would hold for the
 * whole process. */
static enum ps_status listen_unix(struct ps_net_server *s, struct ps_error *err)
{
	enum ps_status status = unix_address(s, err);
	if (status == PS_OK)
		status = make_way(s, err);
	if (status == PS_OK)
		status = open_socket(s, err);
	if (status != PS_OK)
		return status;
	if (bind(s->listener.fd, sockaddr_of(&s->address), s->address.len) != 0)
		return ps_error_errno(err, errno, "cannot listen on '%s'", s->unix_path);
	struct stat st;
	s->path_inode = lstat(s->unix_path, &st) == 0 ? st.st_ino : 0;
	if (chmod(s->unix_path, (mode_t)s->o.unix_mode) != 0)
		return ps_error_errno(err, errno, "cannot set the permissions of '%s'",
				      s->unix_path);
	if (listen(s->listener.fd, BACKLOG) != 0)
		return ps_error_errno(err, errno, "cannot listen on '%s'", s->unix_path);
	return PS_OK;
}

/* --- another server's --- */

static enum ps_status listen_shared(struct ps_net_server *s, struct ps_error *err)
{
	const struct ps_net_server *other = s->o.share;
	if (other->listener.fd < 0)
		return ps_error_set(err, PS_EINVAL, "the socket to share is not open");
	s->listener.fd = fcntl(other->listener.fd, F_DUPFD_CLOEXEC, 0);
	if (s->listener.fd < 0)
		return ps_error_errno(err, errno, "cannot share a socket");
	s->address = other->address;
	return PS_OK;
}

enum ps_status ps_net_listen(struct ps_net_server *s, struct ps_error *err)
{
	enum ps_status status = s->o.share     ? listen_shared(s, err)
				: s->unix_path ? listen_unix(s, err)
					       : listen_tcp(s, err);
	if (status != PS_OK)
		return status;
	socklen_t len = sizeof s->address.bytes;
	if (getsockname(s->listener.fd, (struct sockaddr *)(void *)s->address.bytes, &len) != 0)
		return ps_error_errno(err, errno, "cannot tell the address that is listened on");
	s->address.len = len;
	return PS_OK;
}

void ps_net_unlisten(struct ps_net_server *s)
{
	if (s->listener.fd >= 0) {
		ps_evloop_fd_remove(&s->listener);
		close(s->listener.fd);
		s->listener.fd = -1;
	}
	/* Only what was made here is removed: somebody may have put another one in its place. */
	struct stat st;
	if (s->path_inode && lstat(s->unix_path, &st) == 0 && st.st_ino == s->path_inode)
		(void)unlink(s->unix_path);
	s->path_inode = 0;
}
