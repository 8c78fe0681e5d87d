/* error.h - what a human reads about a failure: what, where and what to do.   Layer 0. */
#ifndef PS_BASE_ERROR_H
#define PS_BASE_ERROR_H

#include "base/status.h"

#include <stdarg.h>

/* Fixed size, no ownership: lives on the caller's stack. All texts are NUL-terminated and cut
 * with "..." when too long. `where` and `hint` may be empty. */
struct ps_error {
	enum ps_status status;
	char what[400];	 /* what went wrong */
	char where[200]; /* file:line:key, tensor, address */
	char hint[300];	 /* what to do about it */
};

/* ps_error_set fills `err` (may be NULL) with `status` and a formatted `what`, clears `where` and
 * `hint`, and returns `status`, so that `return ps_error_set(...)` is one line. */
enum ps_status ps_error_set(struct ps_error *err, enum ps_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ps_error_errno is ps_error_set with the status and the text of errno value `e` appended. */
enum ps_status ps_error_errno(struct ps_error *err, int e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ps_error_where sets the place of an error that is set already. `err` may be NULL. */
void ps_error_where(struct ps_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ps_error_hint sets the advice of an error that is set already. `err` may be NULL. */
void ps_error_hint(struct ps_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ps_error_clear makes `err` say PS_OK. */
void ps_error_clear(struct ps_error *err);

/* ps_error_format writes "where: what (hint)" into `buf`, cut at `size`; returns `buf`. */
const char *ps_error_format(const struct ps_error *err, char *buf, unsigned long size);

#endif
