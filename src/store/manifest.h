/* manifest.h - what manifests say of the runs of a campaign and of their machines.   Layer 2. Uses
 * base. Pure.
 *
 * A manifest is a JSON object with a list "runs": one entry per call of `perseus measure`, with
 * "started", "machine" (as host.h describes it) and more. What is no such object has no runs.
 *
 * Two machines are of one kind when nothing that a result depends on differs as far as both
 * say it: processor, instruction sets, caches, number of CPUs and which may be used, SMT,
 * frequency governor and boost, architecture, maker and product, memory (to 5 %). Which of two
 * machines of one kind it was is not told apart; neither are kernels and libraries, which a
 * manifest names and a report can.
 */
#ifndef PS_STORE_MANIFEST_H
#define PS_STORE_MANIFEST_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

#define PS_STORE_MAX_RUNS	   1000 /* of one manifest */
#define PS_STORE_MACHINE_TEXT_SIZE 320

/* ps_store_machine_differs says whether two machines are of different kinds, and writes what
 * differs: "processor A, here B; memory 8 GiB, here 4 GiB". */
bool ps_store_machine_differs(const json_t *was, const json_t *here,
			      char ret_text[PS_STORE_MACHINE_TEXT_SIZE]);
/* ps_store_manifest_differs is the same for the machine of any run in a manifest (may be NULL). */
bool ps_store_manifest_differs(const char *manifest, const json_t *here,
			       char ret_text[PS_STORE_MACHINE_TEXT_SIZE]);

/* ps_store_manifest_join returns the manifest of two copies of one campaign: `ours` with the runs
 * that only `theirs` has behind its own; the caller frees. A run that both have is taken
 * from whichever knows more of it. NULL with PS_OK: nothing is new. PS_EEXIST, with the difference
 * in `err`, when a new run was on another kind of machine than one of ours; PS_ETOOBIG,
 * PS_ENOMEM. */
enum ps_status ps_store_manifest_join(const char *ours, const char *theirs, char **ret_text,
				      struct ps_error *err);

#endif
