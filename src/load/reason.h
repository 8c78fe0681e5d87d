/* reason.h - why a run is INVALID, for programs.   Layer 3, pure.
 *
 * The text of a reason is "CODE: words for people". Codes are stable: they are stored with results
 * and those who decide by a reason (measure, report) ask here, never the words behind the code.
 */
#ifndef PS_LOAD_REASON_H
#define PS_LOAD_REASON_H

#include <stdbool.h>

enum ps_load_reason {
	PS_LOAD_REASON_EMPTY,	/* nothing was due in the measured part */
	PS_LOAD_REASON_UNSENT,	/* too few of the scheduled requests were sent */
	PS_LOAD_REASON_LAG,	/* sent too late after the scheduled instants */
	PS_LOAD_REASON_FEW,	/* too few samples for the judged percentile */
	PS_LOAD_REASON_RISING,	/* latency rose over the run: a backlog grows in the server */
	PS_LOAD_REASON_FALLING, /* latency fell over the run: it was not warm yet */
	PS_LOAD_REASON_STOPPED, /* the run was cancelled */
	PS_LOAD_REASON_WARMUP,	/* no steady state was found to cut the warm-up off */
	PS_LOAD_REASON_MACHINE, /* the machine was taken away from under the run */
	PS_LOAD_REASON_LITTLE, /* requests in flight and time in the system contradict each other */
	PS_LOAD_REASON_RATE,   /* the rate was not kept: sent after the end of the schedule */
	PS_LOAD_REASON_CHANGED, /* the model changed under the run */
	PS_LOAD_REASON_RECORDS, /* more requests than single records: correlation and trend are not
				 * known */
	PS_LOAD_REASON_COUNT
};

/* ps_load_reason_code returns the code: "empty", "unsent", "send-lag", "few-samples",
 * "unsteady-rising", "unsteady-falling", "stopped", "no-steady-state", "machine", "littles-law",
 * "rate", "changed" or "records". */
const char *ps_load_reason_code(enum ps_load_reason reason);
/* ps_load_reason_of returns whose code the text (up to its end or a line's) begins with,
 * PS_LOAD_REASON_COUNT when it is none of them. */
enum ps_load_reason ps_load_reason_of(const char *text);

/* ps_load_reason_is_trusted says whether a result is VALID, or INVALID for a rising backlog alone,
 * which is the server's doing and not the instrument's. `reasons`: a line each; may be NULL. */
bool ps_load_reason_is_trusted(bool valid, const char *reasons);

#endif
