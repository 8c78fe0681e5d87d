#include "load/reason.h"

#include <stddef.h>
#include <string.h>

static const char *const codes[] = {
	[PS_LOAD_REASON_EMPTY] = "empty",
	[PS_LOAD_REASON_UNSENT] = "unsent",
	[PS_LOAD_REASON_LAG] = "send-lag",
	[PS_LOAD_REASON_FEW] = "few-samples",
	[PS_LOAD_REASON_RISING] = "unsteady-rising",
	[PS_LOAD_REASON_FALLING] = "unsteady-falling",
	[PS_LOAD_REASON_STOPPED] = "stopped",
	[PS_LOAD_REASON_WARMUP] = "no-steady-state",
	[PS_LOAD_REASON_MACHINE] = "machine",
	[PS_LOAD_REASON_LITTLE] = "littles-law",
	[PS_LOAD_REASON_RATE] = "rate",
	[PS_LOAD_REASON_CHANGED] = "changed",
	[PS_LOAD_REASON_RECORDS] = "records",
};

const char *ps_load_reason_code(enum ps_load_reason reason)
{
	return reason < PS_LOAD_REASON_COUNT ? codes[reason] : "unknown";
}

enum ps_load_reason ps_load_reason_of(const char *text)
{
	size_t n = strcspn(text, ":\n");

	for (int i = 0; text[n] == ':' && i < PS_LOAD_REASON_COUNT; i++) {
		if (strlen(codes[i]) == n && strncmp(text, codes[i], n) == 0) {
			return (enum ps_load_reason)i;
		}
	}
	return PS_LOAD_REASON_COUNT;
}

bool ps_load_reason_is_trusted(bool valid, const char *reasons)
{
	for (const char *line = valid ? NULL : reasons; line && *line;) {
		if (ps_load_reason_of(line) != PS_LOAD_REASON_RISING)
			return false;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return valid || (reasons && *reasons);
}
