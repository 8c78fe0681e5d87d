/* verify_internal.h - what a store has of a planned machine (verify_find.c), and whose results they
 * are (manifest.c). Only measure/ includes this. */
#ifndef PS_MEASURE_VERIFY_INTERNAL_H
#define PS_MEASURE_VERIFY_INTERNAL_H

#include "base/json.h"
#include "measure/measure.h"
#include "tenancy/tenancy.h"

struct ps_measure_earlier {
	int64_t campaign_id;   /* measured, and nothing that it depends on differs; 0: none */
	bool begun;	       /* else: the last one of its name was begun here, and is not done */
	char passed_over[200]; /* why what was measured alike does not count; "" */
};

/* ps_measure_verify_digest fills the digest of a machine's campaign, which has one cell: of all
 * that its result depends on but for the machine and the program. PS_ENOTFOUND (a model file),
 * PS_EPARSE, PS_ENOMEM. Blocks on files. */
enum ps_status ps_measure_verify_digest(const struct ps_measure_campaign *c,
					char ret_digest[PS_TENANCY_DIGEST_SIZE],
					struct ps_error *err);
/* ps_measure_find_earlier looks for it in a store, which need not be there: of this kind of
 * machine, by this build of perseus, with the library of the engine as it was. The store's errors.
 */
enum ps_status ps_measure_find_earlier(const char *store_path, const struct ps_measure_campaign *c,
				       const char *digest, struct ps_measure_earlier *ret_earlier,
				       struct ps_error *err);
/* ps_measure_program describes the program and what of its environment the engine heeds; the caller
 * calls json_decref. ps_measure_same_program says whether the last run of a manifest was of it, and
 * with the same library of the engine; else why not ("by another build"). */
json_t *ps_measure_program(void);
bool ps_measure_same_program(const char *manifest, const json_t *program, const char **ret_why);

#endif
