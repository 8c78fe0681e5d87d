/* verify.h - one planned machine, measured on a slice of this one.   Layer 5.
 *
 * What is measured: the server in its planned configuration, with as many CPUs and as much memory
 * as its instance type has; every tenant at its planned rate, with Poisson arrivals, all at once.
 * It is a campaign like any other, of one cell: a grid of one point that is measured until every
 * agreement is decided (verdict.h). So its trials lie in a store, with manifest, host samples and
 * single requests, and a verification that was killed goes on with those machines that are done.
 *
 *	machine --fit--> slot (CPUs, memory) --text--> campaign --ps_measure_run--> store
 *	           \-> does not fit: why                                              |
 *	                          verdicts per tenant <--judge-- trials of the cell <-+
 *
 * States of a machine: it does not fit; its cell failed (the server did not start, or died); or it
 * was measured, and each tenant has a verdict. What can go wrong: a model file that is not there
 * (PS_ENOTFOUND, nothing is measured); the caller stops (PS_ECANCELLED, machines that are done stay
 * in the store); the store is full or broken (its errors); everything else is the cell's reason.
 */
#ifndef PS_MEASURE_VERIFY_H
#define PS_MEASURE_VERIFY_H

#include "base/strbuf.h"
#include "measure/measure.h"
#include "measure/verdict.h"

struct ps_measure_machine_model {
	const char *name, *path; /* absolute */
};

struct ps_measure_machine_tenant {
	const char *name, *model;
	double rate_rps; /* 0: silent */
	struct ps_sla sla;
};

struct ps_measure_machine {
	const char *instance_type;
	int lanes, gpus;
	int64_t memory_bytes;		/* of the type */
	int64_t needed_bytes;		/* that the plan foresees on it */
	const char *priced_as, *prices; /* row and sheet; NULL: none */
	const char *config; /* models and tenants of its server, with `keys_file: keys.yaml` */
	const struct ps_measure_machine_model *models;
	const struct ps_measure_machine_tenant *tenants;
	int model_len, tenant_len;
};

/* What this machine has. */
struct ps_measure_here {
	struct ps_cpus cpus;
	int64_t memory_bytes;
};

/* The part of it that a machine gets. */
struct ps_measure_slot {
	struct ps_cpus cpus;
	int64_t memory_bytes;
	int generator_cpu; /* -1: no CPU is left, the load generator shares those of the server */
};

/* ps_measure_look_here fills what this process may use: its CPUs, and the machine's memory or its
 * control group's if that is less. */
void ps_measure_look_here(struct ps_measure_here *ret_here);

/* ps_measure_fit says whether a machine fits here, and where: the first CPUs, and the next one for
 * the load generator if there is one. A type with more memory than there is here fits when what the
 * plan foresees on it does. Else false, and why (a phrase). Pure. */
bool ps_measure_fit(const struct ps_measure_here *here, const struct ps_measure_machine *m,
		    struct ps_measure_slot *ret_slot, char *why, size_t size);

/* How long a machine is measured. */
struct ps_measure_patience {
	int64_t duration_ns; /* of the first trial; 0: ps_measure_first_ns */
	int64_t max_ns;	     /* of all of them together */
	int64_t warmup_ns;
};
/* ps_measure_first_ns returns the shortest trial after which the slowest tenant's agreement can be
 * decided with some requests late: so many as p99.9 needs 10 times those of p99. At least 10 s, at
 * most `max_ns`. Pure. */
int64_t ps_measure_first_ns(const struct ps_measure_machine *m, int64_t max_ns);

/* ps_measure_machine_text appends the campaign of a machine. Pure. */
void ps_measure_machine_text(const struct ps_measure_machine *m, const struct ps_measure_slot *slot,
			     const struct ps_measure_patience *p, int64_t seed,
			     struct ps_strbuf *out);

struct ps_measure_verify_run {
	const char *store_path, *workdir, *program;
	bool resume; /* a machine that the store has, measured alike by this program on this kind of
		      * machine, is not measured again */
	int64_t seed;
	struct ps_measure_patience patience;
	ps_measure_progress_fn *progress; /* may be NULL */
	void *ctx;
};

/* What came of a machine. */
struct ps_measure_verified {
	char why[400];			   /* it failed; "": it was measured */
	struct ps_measure_judged *tenants; /* [m->tenant_len], in its order */
	char (*reasons)[160];		   /* [tenant_len]: of INVALID ones, the first line */
	int trials;
	int64_t measured_ns; /* of all trials, warm-up apart */
	int64_t campaign_id;
	bool earlier;	       /* taken from the store */
	char passed_over[200]; /* why what the store has of it was measured anew; "" */
};

/* ps_measure_verify measures one machine that fits. The caller calls ps_measure_verified_free.
 * Errors: see above. Blocks for up to the patience's max_ns, and a server's start. */
enum ps_status ps_measure_verify(const struct ps_measure_verify_run *run,
				 const struct ps_measure_machine *m,
				 const struct ps_measure_slot *slot,
				 struct ps_measure_verified *ret_verified, struct ps_error *err);
/* ps_measure_verified_free releases it; a zeroed one may be passed. */
void ps_measure_verified_free(struct ps_measure_verified *v);

#endif
