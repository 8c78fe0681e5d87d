/* fault.h - was what a run saw the server's doing?   Layer 3, pure.
 *
 * A run that is INVALID because the latency rose or because samples are too few still tells a
 * search or a sweep something of the server. One that measured the generator, the machine or two
 * models does not, however clear its numbers look.
 */
#ifndef PS_LOAD_FAULT_H
#define PS_LOAD_FAULT_H

#include "load/result.h"

/* ps_load_fault returns the first reason for which the run says nothing of the server, in the words
 * of its tenant's reasons; NULL: there is none. Reasons machine, littles-law and changed always
 * are. A server that is too slow makes requests wait for a connection, so send-lag and unsent are
 * its doing where requests waited, and so is rate where no more were sent after the end than had
 * waited; unless the sending threads used over 90 % of their time, when nobody can tell. */
const char *ps_load_fault(const struct ps_load_result *r);

#endif
