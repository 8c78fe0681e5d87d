/* log.h - lines for operators, on stderr.   Layer 0. Thread-safe: one write(2) per line. */
#ifndef PS_BASE_LOG_H
#define PS_BASE_LOG_H

#include "base/error.h"

enum ps_log_level { PS_LOG_ERROR, PS_LOG_WARN, PS_LOG_INFO, PS_LOG_DEBUG };

/* ps_log_set_level drops lines above `level`. Default PS_LOG_INFO. Call before threads start. */
void ps_log_set_level(enum ps_log_level level);

/* ps_log writes "2026-11-22T17:00:00.123Z level module: text". Never blocks on locks of ours. */
void ps_log(enum ps_log_level level, const char *module, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ps_log_error writes an error with its place and its advice. */
void ps_log_error(enum ps_log_level level, const char *module, const struct ps_error *err);

#endif
