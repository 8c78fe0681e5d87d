#include "cli/cli.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Errors quote what came from outside: control characters must not reach the terminal. */
static void put_plain(const char *s)
{
	for (; *s; s++)
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, stderr);
}

int ps_cli_fail(const struct ps_error *err)
{
	fflush(stdout);
	fputs("perseus: ", stderr);
	put_plain(err->where);
	fputs(err->where[0] ? ": " : "", stderr);
	put_plain(err->what[0] ? err->what : ps_status_get(err->status)->meaning);
	fputc('\n', stderr);
	if (err->hint[0]) {
		fputs("hint: ", stderr);
		put_plain(err->hint);
		fputc('\n', stderr);
	}
	int code = ps_status_get(err->status)->exit_code;
	return code ? code : ps_status_get(PS_EINTERNAL)->exit_code;
}

enum ps_status ps_cli_print(const char *text, size_t len, struct ps_error *err)
{
	errno = 0;
	if (fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0)
		return PS_OK;
	return ps_error_errno(err, errno ? errno : EIO, "cannot write to standard output");
}

enum ps_status ps_cli_print_json(json_t *value, struct ps_error *err)
{
	char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
	enum ps_status st;

	json_decref(value);
	if (!text)
		return ps_error_set(err, PS_ENOMEM, "no memory for the JSON output");
	st = ps_cli_print(text, strlen(text), err);
	if (st == PS_OK)
		st = ps_cli_print("\n", 1, err);
	free(text);
	return st;
}

enum ps_status ps_cli_own_path(char *buf, size_t size, struct ps_error *err)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);

	if (n <= 0)
		return ps_error_set(err, PS_EIO, "cannot find this program's own file");
	buf[n] = '\0';
	return PS_OK;
}

bool ps_cli_is_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

int ps_cli_width(int fd)
{
	struct winsize ws;
	long width = 0;

	if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &ws) == 0)
		width = ws.ws_col;
	if (width <= 0) {
		const char *columns = getenv("COLUMNS");
		width = columns ? strtol(columns, NULL, 10) : 0;
	}
	if (width <= 0)
		width = 80;
	return width < 20 ? 20 : width > 1000 ? 1000 : (int)width;
}

void ps_cli_progress_init(struct ps_cli_progress *p, bool quiet)
{
	memset(p, 0, sizeof *p);
	p->quiet = quiet;
	p->terminal = ps_cli_is_terminal(STDERR_FILENO);
}

/* Cuts `text` to at most `width` characters, never inside a UTF-8 sequence. */
static void cut(char *text, int width)
{
	for (char *s = text; *s; s++) {
		if (((unsigned char)*s & 0xC0) == 0x80)
			continue;
		if (width-- == 0) {
			*s = '\0';
			return;
		}
	}
}

void ps_cli_progress_show(struct ps_cli_progress *p, const char *fmt, ...)
{
	char text[sizeof p->last];
	int64_t now_ns = ps_clock_now_ns();
	int64_t gap_ns = p->terminal ? PS_NS_PER_SEC / 10 : 10 * PS_NS_PER_SEC;
	va_list ap;

	if (p->quiet || (p->last_ns && now_ns - p->last_ns < gap_ns))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	p->last_ns = now_ns;
	if (p->terminal) {
		cut(text, ps_cli_width(STDERR_FILENO) - 1);
		fprintf(stderr, "\r\033[K%s", text);
		fflush(stderr);
		p->shown = true;
	} else if (strcmp(text, p->last) != 0) {
		fprintf(stderr, "%s\n", text);
	}
	memcpy(p->last, text, sizeof text);
}

void ps_cli_progress_note(struct ps_cli_progress *p, const char *fmt, ...)
{
	va_list ap;

	if (p->quiet)
		return;
	ps_cli_progress_done(p);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void ps_cli_progress_done(struct ps_cli_progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	fflush(stderr);
	p->shown = false;
	p->last_ns = 0;
}

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
	if (sig == SIGINT)
		signal(SIGINT, SIG_DFL);
}

void ps_cli_stop_on_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD,
	       SIG_DFL); /* it may be inherited as ignored, and then no child can be waited for */
}

bool ps_cli_stopped(void)
{
	return stopped != 0;
}
