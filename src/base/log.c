#include "base/log.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

static enum ps_log_level max_level = PS_LOG_INFO;

void ps_log_set_level(enum ps_log_level level)
{
	max_level = level;
}

void ps_log(enum ps_log_level level, const char *module, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	if (level > max_level)
		return;
	char line[1400], stamp[PS_CLOCK_ISO_SIZE];
	ps_clock_wall_iso(ps_clock_wall_ns(), stamp);
	int n = snprintf(line, sizeof line, "%s %s %s: ", stamp, names[level], module);
	va_list ap;
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = m < 0 ? n : n + m;
	if ((size_t)n > sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	/* A log that cannot be written has nobody to tell. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void ps_log_error(enum ps_log_level level, const char *module, const struct ps_error *err)
{
	char text[1000];
	ps_log(level, module, "%s", ps_error_format(err, text, sizeof text));
}
