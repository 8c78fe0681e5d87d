/* load_live.c - see load_live_internal.h. */
#include "cli/load_live_internal.h"

#include "cli/cli.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	DEFAULT_HEIGHT = 24,
	LEAST_TENANTS = 4, /* that keep their lines when trials stand above them */
};

static int height_of(int fd)
{
	struct winsize ws;

	return ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 ? ws.ws_row : DEFAULT_HEIGHT;
}

void ps_cli_load_live_init(struct ps_cli_load_live *l)
{
	const char *no_color = getenv("NO_COLOR");

	*l = (struct ps_cli_load_live){.on = ps_cli_is_terminal(STDERR_FILENO),
				       .color = !no_color || !*no_color};
}

/* Up to where the view began, and everything below it away. */
static void put_begin(const struct ps_cli_load_live *l, struct ps_strbuf *out)
{
	if (l->lines > 0) {
		ps_strbuf_printf(out, "\033[%dA", l->lines);
	}
	ps_strbuf_puts(out, "\r\033[J");
}

static bool takes_text(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void send_text(struct ps_strbuf *out)
{
	if (ps_strbuf_status(out) == PS_OK) {
		fwrite(out->data, 1, out->len, stderr);
		fflush(stderr);
	}
	ps_strbuf_fini(out);
}

/* Lines for the trials before this one: what the load itself leaves. */
static int tried_room(const struct ps_load_progress *p, int height)
{
	int tenants = p->tenant_len < LEAST_TENANTS ? (int)p->tenant_len : LEAST_TENANTS;
	int room = height - 1 - 2 - tenants;

	return room > 0 ? room : 0;
}

void ps_cli_load_live_show(struct ps_cli_load_live *l, const struct ps_load_progress *p)
{
	int width = ps_cli_width(STDERR_FILENO), height = height_of(STDERR_FILENO);
	struct ps_strbuf out;

	if (!l->on || !takes_text(STDERR_FILENO)) {
		return;
	}
	ps_strbuf_init(&out);
	put_begin(l, &out);
	l->lines =
		l->tried ? ps_cli_load_tried_text(l->tried, width, tried_room(p, height), &out) : 0;
	l->lines += ps_cli_load_live_text(p, width, height - l->lines, l->color, &out);
	send_text(&out);
}

void ps_cli_load_live_done(struct ps_cli_load_live *l)
{
	struct ps_strbuf out;

	if (l->lines > 0) {
		ps_strbuf_init(&out);
		put_begin(l, &out);
		send_text(&out);
	}
	l->lines = 0;
}
