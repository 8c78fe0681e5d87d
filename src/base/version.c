#include "base/version.h"

#include "revision.h"

const char *ps_version(void)
{
	return PS_VERSION;
}

const char *ps_version_revision(void)
{
	return PS_REVISION;
}
