/* ledger_internal.h - the ledger from inside: ledger.c and ledger_memory.c.   Layer 5. The
 * observer's thread's. */
#ifndef PS_SERVE_LEDGER_INTERNAL_H
#define PS_SERVE_LEDGER_INTERNAL_H

#include "serve/observe_parts_internal.h"

enum { PS_SERVE_LEDGER_HASH = 8192 };

struct ps_serve_ledger_entry {
	struct ps_serve_ledger_entry *next; /* of the same hash value */
	int tenant, model;		    /* tenant -1: nobody */
	char *tenant_name;
	const char *model_name; /* the repository's */
	int64_t version;
	/* counted up to the last flush */
	int64_t requests, failed, inferences, cost_ns;
	/* of `minute` */
	struct ps_state_usage usage;
	__int128 byte_ns;
	int64_t pending_minute; /* of the row below; -1: none */
	size_t pending;
	double rps; /* smoothed demand */
};

struct ps_serve_owner {
	int model, tenant;
};

struct ps_serve_ledger {
	struct ps_serve_observe *observe;
	struct ps_serve_ledger_entry *hash[PS_SERVE_LEDGER_HASH];
	struct ps_serve_ledger_entry **entries;
	size_t n_entries, cap_entries;
	struct ps_state_usage *pending;
	size_t n_pending, cap_pending;
	uint64_t dropped; /* rows that could not be kept */
	bool failing;	  /* the last write failed */
	int64_t last_ns, next_ns;
	int64_t minute; /* that the time since last_ns belongs to; never falls within a run */
	/* who owns what, by model; made anew when one of these numbers changes */
	struct ps_serve_owner *owners;
	size_t n_owners;
	uint64_t generation;
	size_t at_pairs;
	int at_models;
	struct ps_serve_counts counts; /* of the pair that is being read */
};

/* ps_serve_ledger_charge adds what a tenant (-1: nobody) held of a model in `minute`. [ledger.c] */
void ps_serve_ledger_charge(struct ps_serve_ledger *l, int tenant, int model, __int128 byte_ns,
			    int64_t minute);
/* ps_serve_ledger_memory charges what is loaded now for `dt_ns`. [ledger_memory.c] */
void ps_serve_ledger_memory(struct ps_serve_ledger *l, int64_t dt_ns, int64_t minute);

#endif
