#include "base/status.h"

#include <errno.h>

static const struct ps_status_row rows[PS_STATUS_COUNT] = {
	{PS_OK, "ok", "done", 200, 0, 0, false},
	{PS_EINVAL, "invalid", "a value is wrong", 400, 3, 2, false},
	{PS_EPARSE, "malformed", "bytes do not follow their format", 400, 3, 2, false},
	{PS_EUSAGE, "usage", "the command line cannot be understood", 400, 3, 64, false},
	{PS_EUNAUTH, "unauthenticated", "no key or an unknown key", 401, 16, 3, false},
	{PS_EFORBIDDEN, "forbidden", "this key may not do this", 403, 7, 3, false},
	{PS_ENOTFOUND, "not_found", "it is not there", 404, 5, 4, false},
	{PS_EMETHOD, "method", "this method is not allowed here", 405, 12, 2, false},
	{PS_EEXIST, "exists", "it is there already", 409, 6, 5, false},
	{PS_ETOOBIG, "too_big", "over a limit", 413, 8, 2, false},
	{PS_ETIMEOUT, "timeout", "the other side took too long", 408, 4, 6, true},
	{PS_EQUOTA, "quota", "the tenant's own bound is reached", 429, 8, 6, true},
	{PS_EUNAVAIL, "unavailable", "full, starting or draining", 503, 14, 6, true},
	{PS_EDEADLINE, "deadline", "the deadline cannot be met", 504, 4, 6, true},
	{PS_ECANCELLED, "cancelled", "nobody wants the answer any more", 499, 1, 6, true},
	{PS_EUNSUPPORTED, "unsupported", "not granted by this build", 501, 12, 7, false},
	{PS_EENGINE, "engine", "the inference engine failed", 500, 13, 8, false},
	{PS_EIO, "io", "the system refused", 500, 13, 9, true},
	{PS_ENOSPC, "no_space", "the disk is full", 507, 8, 9, true},
	{PS_EINUSE, "in_use", "somebody else holds it", 503, 14, 9, true},
	{PS_ENOMEM, "no_memory", "out of memory", 503, 8, 9, true},
	{PS_ECORRUPT, "corrupt", "stored data breaks its own rules", 500, 15, 10, false},
	{PS_EINTERNAL, "internal", "a bug", 500, 13, 70, false},
};

const struct ps_status_row *ps_status_get(enum ps_status s)
{
	if ((unsigned)s >= PS_STATUS_COUNT)
		s = PS_EINTERNAL;
	return &rows[s];
}

const char *ps_status_name(enum ps_status s)
{
	return ps_status_get(s)->name;
}

enum ps_status ps_status_from_errno(int e)
{
	switch (e) {
	case 0:
		return PS_OK;
	case ENOENT:
	case ENOTDIR:
		return PS_ENOTFOUND;
	case EACCES:
	case EPERM:
		return PS_EFORBIDDEN;
	case EEXIST:
		return PS_EEXIST;
	case EADDRINUSE:
	case EBUSY:
		return PS_EINUSE;
	case ENOSPC:
	case EDQUOT:
		return PS_ENOSPC;
	case ENOMEM:
		return PS_ENOMEM;
	case ETIMEDOUT:
		return PS_ETIMEOUT;
	case EFBIG:
		return PS_ETOOBIG;
	case EINVAL:
		return PS_EINVAL;
	default:
		return PS_EIO;
	}
}
