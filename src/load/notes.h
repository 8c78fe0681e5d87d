/* notes.h - what was noticed about a tenant's answers beside their outcomes.   Layer 3, pure data.
 *
 * All counts hold the warm-up as well.
 */
#ifndef PS_LOAD_NOTES_H
#define PS_LOAD_NOTES_H

#include "load/target_spec.h"

#include <stdint.h>

struct ps_load_notes {
	uint64_t checked;   /* answers compared with a reference */
	uint64_t unchecked; /* that should have been, but the reference was too large to keep */
	uint64_t version_changes; /* answers of another version of the model than the first one's */
	uint64_t output_changes;  /* whose outputs are not those declared at the start */
	uint64_t redirects;	  /* answers 3xx: not followed, outcome rejected */
	uint64_t key_refusals;	  /* 401, 403, UNAUTHENTICATED, PERMISSION_DENIED */
	uint64_t sent[PS_LOAD_MAX_REPLICAS], failed[PS_LOAD_MAX_REPLICAS];
};

#endif
