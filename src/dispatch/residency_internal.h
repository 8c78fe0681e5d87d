/* residency_internal.h - which models are in memory: the books.   Inside dispatch/ only.
 *
 *	residency.c   who asks for what, who is parked, what they are told
 *	room.c        what takes memory, and what may go
 *	evict.c       who goes
 *	loads.c       which load begins, and when it has its room
 *	forecast.c    how long it takes
 *	recall.c      loads that nobody waits for
 *	usage.c       what tenants ask for and what it cost them
 *	fair.c        the policy: cache/
 *	content.c     its items, which are contents
 *
 * An *item* is a model in a domain: what requests wait for. A *stock* is an instance of the
 * repository, by its number: what takes memory. Items of one content share a stock.
 */
#ifndef PS_DISPATCH_RESIDENCY_INTERNAL_H
#define PS_DISPATCH_RESIDENCY_INTERNAL_H

#include "dispatch/dispatch_internal.h"

/* Numbers by key; a key is never taken out. */
struct index {
	struct index_slot *slots;
	size_t n_slots, len;
};

struct item {
	int model, domain;
	int64_t bytes;	    /* as last measured or, until then, forecast; 0: unknown */
	int64_t file_bytes; /* as its loader said; 0: it has not */
	bool loaded;	    /* before, from the file `of` */
	struct ps_repo_identity of;
	int64_t convert_ns, open_ns; /* of the last load that converted, that did not; 0: none */
	int64_t used_ns;	     /* when it was last asked for */
	int failures;		     /* in a row */
	int64_t pause_until_ns;
	bool hangs;	    /* its load was given up; it may still end */
	int for_tenant;	    /* who had it loaded; -1: nobody in particular */
	bool asked;	    /* somebody asked for it, and be it the operator; else nobody did */
	int64_t fetched_ns; /* when; 0: nothing is under way. Then: */
	int way;	    /* its place in `under_way` */
	uint64_t turn;	    /* rises with each that is fetched */
	int64_t own_ns;	    /* what its step, or all that is left, is expected to take by itself */
	int64_t active_ns;  /* since when a step goes on; 0: it waits */
	bool own_converts;  /* it has to be converted, as far as is known */
	bool hashed;	    /* what it held when it was there last: */
	unsigned char hash[PS_REPO_HASH_SIZE];
	struct ps_repo_identity hash_of; /* the file that was hashed */
	uint64_t served_by;		 /* the instance's id, as fair_look saw it; 0: none */
	int fair;			 /* cache's number; -1: it does not know it */
	int64_t needs_bytes; /* as its last load was forecast, or measured to be too much */
	bool resident;	     /* as cache was told */
	int resuming;	     /* requests on their way to it */
	struct ps_dispatch_request *first, *last; /* parked */
	int first_use;				  /* of its uses; -1: none */
};

/* What a tenant asks of an item. */
struct use {
	int tenant, item, next; /* next: of the same item; -1: none */
	double demand;		/* requests, halved each epoch */
};

struct stock {
	uint64_t id;		/* of the instance: numbers are given again */
	int64_t reserved_bytes; /* while it loads */
	enum { LOAD_WAITS, LOAD_HASHES, LOAD_OPENS } phase; /* while it loads */
	int64_t began_ns;				    /* of the phase, but of LOAD_WAITS */
	bool converts;					    /* known once it waits */
	bool given_up;					    /* it takes longer than load_timeout */
	bool seen;					    /* in this round of loads_open */
	bool waits;					    /* for its turn and room */
	bool open;	  /* there is room, and load_next has not said so yet */
	bool no_room;	  /* it waited for too long, likewise */
	int64_t since_ns; /* that it waits for room; 0: nobody has looked yet */
	bool timed;	  /* ready_ns is known */
	int64_t ready_ns;
	int for_tenant;
};

/* An instance, in a census. */
struct look {
	int64_t private_bytes; /* that it holds; 0: it is not loaded */
	int head;	       /* the first that maps the same file, perhaps itself; -1: none */
	int mappers, stay;     /* of a head: who maps it; who of them was not evicted */
	int64_t mapped_bytes;  /* of a head */
};

/* One that may go. */
struct candidate {
	int instance, rank;
	struct ps_cache_worth worth;
	int64_t used_ns, bytes;
};

/* A number of the cache: a content, as far as is known. */
struct fair_slot {
	int item;     /* one that has it; -1: the number is not in use */
	int members;  /* items that have it */
	uint64_t key; /* as the cache knows it */
};

/* What all instances hold, added up in one walk; kept up to date while victims are taken. */
struct census {
	int64_t used_bytes, reserved_bytes, leaving_bytes, pinned_bytes;
	struct look *look; /* by instance */
	int *table;	   /* of heads, by content */
	int *waiting;	   /* instances whose load waits for room */
	int *undated;	   /* that are READY since when nobody has said yet */
	int n_waiting, n_undated, n_open, room;
	struct candidate *candidates;
	int64_t *kept;	/* by tenant: of models that it uses and that stay */
	uint64_t *seen; /* by tenant: by the last look at an instance */
	uint64_t stamp;
	int tenants;
};

struct residency {
	struct ps_dispatch_memory config;
	struct census census;
	int64_t steps; /* looks at an instance, a use or a pair to be ordered: for tests */
	struct item *items;
	int n_items, cap_items;
	int *under_way, n_under_way, cap_under_way; /* items whose loads are; room for all */
	struct use *uses;
	int n_uses, cap_uses;
	struct ps_dispatch_evictions *evictions;
	int n_evictions, cap_evictions;
	struct stock *stocks; /* by instance */
	int n_stocks;
	struct index item_of, use_of, eviction_of;
	struct ps_dispatch_request *told_first, *told_last; /* whom tick tells of */
	struct ps_cache *cache;
	struct fair_slot *fairs; /* by cache's number */
	uint64_t last_key;	 /* of a number */
	int n_fair;
	int64_t largest_bytes;	   /* of any item */
	uint64_t tenants_at;	   /* one more with each tenancy */
	struct ps_cache_job *plan; /* under way, */
	uint64_t plan_number;	   /* and its number */
	int64_t epochs, failed_epochs;
	bool epoch_failed; /* the last one */
	struct ps_error epoch_err;
	int max_loading;		 /* as load_next was told last */
	double scale[PS_DISPATCH_RATES]; /* of what loads take, to the first guess */
	bool measured[PS_DISPATCH_RATES];
	double load_clock; /* of the order of loads: where the last that began started */
	uint64_t next_turn;
	int64_t now_ns;	       /* the last that anybody told */
	bool guarantees;       /* some tenant has guaranteed bytes */
	bool loads_due;	       /* make_room and load_next have something to do */
	int64_t retry_ns;      /* or may have from then on; INT64_MAX: no */
	int64_t epoch_ends_ns; /* INT64_MAX: nobody has asked since the last one */
	struct ps_error why;   /* of the last REFUSE */
};

/* usage.c */
/* index_get returns the number of a key, or -1. O(1). */
int index_get(const struct index *x, uint64_t key);
/* index_put adds a key that is not there. PS_ENOMEM. */
enum ps_status index_put(struct index *x, uint64_t key, int number);
void index_fini(struct index *x);
/* item_find returns the item of a model in a domain, or -1; item_need makes it. -1: no memory. */
int item_find(const struct residency *r, int model, int domain);
int item_need(struct residency *r, int model, int domain);
/* usage_note counts a request for an item. */
void usage_note(struct ps_dispatch *d, int tenant, int item, double requests, int64_t now_ns);
/* usage_decay halves all demand, at the end of an epoch. */
void usage_decay(struct ps_dispatch *d);
/* usage_main returns the tenant that asks most for the items of an instance, or -1. */
int usage_main(const struct ps_dispatch *d, int instance);
/* usage_demand returns what a tenant asks for an item, as usage_note counted it. */
double usage_demand(const struct residency *r, int tenant, int item);
/* usage_tenants calls `each` once for every tenant that asks for one of them, with the bytes that
 * the instance holds. After census_take. */
void usage_tenants(const struct ps_dispatch *d, int instance,
		   void (*each)(void *ctx, int tenant, int64_t bytes), void *ctx);
/* usage_evicted counts an eviction. */
void usage_evicted(struct residency *r, int by, int of);

/* room.c */
/* stock_of returns the books of an instance; NULL: no memory. */
struct stock *stock_of(struct ps_dispatch *d, int instance);
/* stock_get returns what is known of it, without making books. */
const struct stock *stock_get(const struct ps_dispatch *d, int instance);
/* census_take adds up what counts, in one walk; NULL: no memory. Good until the repository or the
 * reservations change. O(instances + uses of guaranteed memory). */
struct census *census_take(const struct ps_dispatch *d);
void census_fini(struct census *c);
/* room_most returns what a model that is not pinned can hold at most: the budget less what is
 * pinned, as of the last census. O(1). */
int64_t room_most(const struct ps_dispatch *d);
/* room_used returns a new census' used_bytes. */
int64_t room_used(const struct ps_dispatch *d);
bool instance_is_pinned(const struct ps_dispatch *d, const struct ps_repo_instance *in);

/* For whom room is wanted. */
struct want {
	int tenant;	     /* -1: nobody's; the budget is exceeded, or nobody waits */
	int item;	     /* -1: none */
	bool may_rob;	     /* somebody waits: also what the plan keeps */
	bool young;	     /* also what has just come */
	bool rob_guarantees; /* also what is guaranteed: it does not fit at all */
	int64_t now_ns;
	int64_t retry_ns; /* when somebody may go who may not yet; INT64_MAX: nobody */
	bool awaited;	  /* somebody may go once a request that was told is there */
};
/* room_may_go says whether an instance can be evicted now, and else perhaps when; guarantees are
 * not its business. */
bool room_may_go(const struct ps_dispatch *d, int instance, struct want *w);
/* census_may_lose says whether an instance can go without breaking a guarantee, together with those
 * that were taken. census_lose takes it, census_put_back undoes that; both return the bytes.
 * census_gives says how many they would be. */
bool census_may_lose(const struct ps_dispatch *d, struct census *c, int instance,
		     const struct want *w);
int64_t census_gives(const struct census *c, int instance);
int64_t census_lose(const struct ps_dispatch *d, struct census *c, int instance);
int64_t census_put_back(const struct ps_dispatch *d, struct census *c, int instance);

/* evict.c */
/* evict_choose takes those that give `bytes` together out of the census: the first *ret_n of its
 * candidates. False: there are none, and nothing is taken; with `most`, as many as there are are
 * taken all the same. O(instances log instances). */
bool evict_choose(struct ps_dispatch *d, struct census *c, int64_t bytes, struct want *w, bool most,
		  int *ret_n);
/* evict_for evicts until `bytes` beside what else counts fit in the budget once all that goes is
 * gone. False: they will not, as things are, and nobody goes; `most`: all go that may. */
bool evict_for(struct ps_dispatch *d, struct census *c, int64_t bytes, struct want *w, bool most);

/* loads.c */
/* load_begun, _over: an item is to be loaded, for a tenant (-1: none in particular), because it was
 * `asked` for or not; it is, or will not be. load_failed counts. */
void load_begun(struct ps_dispatch *d, int item, int tenant, bool asked, int64_t now_ns);
void load_over(struct residency *r, struct item *it);
void load_failed(struct residency *r, struct item *it, int64_t now_ns);
/* load_idle_of counts a tenant's loads that wait for their turn, and nobody for them. */
int load_idle_of(const struct ps_dispatch *d, int tenant);
/* loads_check gives up those that hang. */
void loads_check(struct ps_dispatch *d, int64_t now_ns);
/* loads_open lets loads begin for which there is room, and makes room for the next. */
void loads_open(struct ps_dispatch *d, struct census *c, int64_t now_ns);

/* forecast.c */
void loads_init(struct residency *r);
/* load_learn: a step of a load of so many bytes took so long. 0: unknown. */
void load_learn(struct residency *r, enum ps_dispatch_rate kind, int64_t bytes, int64_t ns);
/* load_is_known says whether an item was loaded before from the file that it has now,
 * load_converts whether its next load is expected to convert the file. */
bool load_is_known(const struct ps_dispatch *d, const struct item *it);
bool load_converts(const struct ps_dispatch *d, const struct item *it);
/* What finding out its content, opening it, and both are expected to take; 0: unknown. */
int64_t load_hash_ns(const struct ps_dispatch *d, const struct item *it);
int64_t load_open_ns(const struct ps_dispatch *d, const struct item *it, bool converts);
int64_t load_expected_ns(const struct ps_dispatch *d, const struct item *it);
/* load_wait_ns returns in what time its load is expected to be over, if nothing new comes before
 * it; where it is not under way, as if `tenant` asked for it now. O(what is under way + tenants).
 */
int64_t load_wait_ns(struct ps_dispatch *d, const struct item *it, int tenant, int64_t now_ns);

/* fair.c */
enum ps_status fair_new(struct residency *r, uint64_t seed);
/* fair_set_capacity follows the budget, and the largest item. */
void fair_set_capacity(struct residency *r);
/* fair_item tells the policy of an item, as it is known now. */
void fair_item(struct ps_dispatch *d, int item);
void fair_ask(struct ps_dispatch *d, int tenant, int item);
void fair_recall(struct ps_dispatch *d, int tenant, int item, double requests);
/* fair_values returns what the policy is told of an item. fair_counts_as_largest says whether a
 * plan keeps room for one of so many bytes. */
struct ps_cache_item fair_values(const struct ps_dispatch *d, const struct item *it);
bool fair_counts_as_largest(const struct ps_dispatch *d, int64_t bytes);
/* fair_content: an item holds what an instance holds, whose hash is known. */
void fair_content(struct ps_dispatch *d, int item, const struct ps_repo_instance *in);
/* fair_look tells the policy whether an item is there, and looks whether its content is another one
 * than that of the items it shares a number with, or that of others. */
void fair_look(struct ps_dispatch *d, int item);
/* fair_plan begins an epoch's plan, NULL: there is nothing to plan; fair_planned ends it.
 * fair_wants says whether the policy wants an item kept. */
struct ps_cache_job *fair_plan(struct ps_dispatch *d);
void fair_planned(struct ps_dispatch *d, enum ps_status status, const struct ps_error *why);
bool fair_wants(const struct residency *r, int item);
bool fair_is_wanted(const struct residency *r, int fair);
/* fair_of returns the number that the policy has for what an instance serves; -1: it does not know
 * it. */
int fair_of(const struct ps_dispatch *d, const struct ps_repo_instance *in);
/* fair_worth says what keeping it is worth to others than a tenant (-1: to all). */
struct ps_cache_worth fair_worth(struct ps_dispatch *d, int fair, int tenant);

/* recall.c */
/* residency_fetch_wanted fetches what the policy wants kept and is on disk. */
void residency_fetch_wanted(struct ps_dispatch *d, int64_t now_ns);

/* residency.c */
/* residency_fetch has an item loaded; -1: for no tenant. `asked`: somebody asked for it. now_ns 0:
 * nobody looked at a clock. */
enum ps_status residency_fetch(struct ps_dispatch *d, int item, int tenant, bool asked,
			       int64_t now_ns);
/* residency_tell: tick tells all that are parked for an item to go on, or that they are refused. */
void residency_tell(struct ps_dispatch *d, int item, bool good);
/* residency_settle looks who of the parked can go on, or has to be told otherwise, and tells the
 * policy what is there. */
void residency_settle(struct ps_dispatch *d, int64_t now_ns);

#endif
