/* status.h - the one list of ways to fail, and what each means outside.   Layer 0.
 *
 * Every function that can fail returns an enum ps_status. What a human reads besides travels in a
 * struct ps_error (error.h). One row of ps_status_table() says what a status becomes on the wire
 * (HTTP, gRPC), at the shell (exit code), whether a client may try again, and under which name a
 * measurement counts it.
 */
#ifndef PS_BASE_STATUS_H
#define PS_BASE_STATUS_H

#include <stdbool.h>

enum ps_status {
	PS_OK = 0,
	PS_EINVAL,	 /* the caller's value is wrong (shape, type, range, name) */
	PS_EPARSE,	 /* bytes that do not follow their format */
	PS_EUSAGE,	 /* a command line that cannot be understood */
	PS_EUNAUTH,	 /* no key or an unknown key */
	PS_EFORBIDDEN,	 /* a known key that may not do this */
	PS_ENOTFOUND,	 /* model, file or row is not there */
	PS_EMETHOD,	 /* the path is there, the HTTP method is not */
	PS_EEXIST,	 /* it is there already */
	PS_ETOOBIG,	 /* over a stated limit */
	PS_ETIMEOUT,	 /* the other side took too long */
	PS_EQUOTA,	 /* the tenant's own bound (queue, rate) is reached */
	PS_EUNAVAIL,	 /* the machine is full, starting or draining */
	PS_EDEADLINE,	 /* the deadline has passed or cannot be met */
	PS_ECANCELLED,	 /* nobody wants the answer any more */
	PS_EUNSUPPORTED, /* a valid wish that this build does not grant */
	PS_EENGINE,	 /* the inference engine failed */
	PS_EIO,		 /* the system refused a read, a write or a socket */
	PS_ENOSPC,	 /* the disk is full */
	PS_EINUSE,	 /* an address, a port or a file that somebody else holds */
	PS_ENOMEM,	 /* memory */
	PS_ECORRUPT,	 /* stored data that breaks its own rules */
	PS_EINTERNAL,	 /* a bug of ours */
	PS_STATUS_COUNT
};

struct ps_status_row {
	enum ps_status status;
	const char *name;    /* stable identifier, also what a measurement counts it as */
	const char *meaning; /* a short sentence */
	int http;	     /* HTTP status code */
	int grpc;	     /* gRPC status code */
	int exit_code;	     /* exit code of the program */
	bool retryable;	     /* may the same request succeed later, unchanged? */
};

/* ps_status_get returns the row of `s`; never NULL (unknown values give PS_EINTERNAL's row). */
const struct ps_status_row *ps_status_get(enum ps_status s);

/* ps_status_name returns the stable identifier of `s`, such as "not_found". */
const char *ps_status_name(enum ps_status s);

/* ps_status_from_errno maps the system's errno `e` to a status (unknown ones to PS_EIO). */
enum ps_status ps_status_from_errno(int e);

#endif
