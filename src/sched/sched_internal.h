/* sched_internal.h - the structures of sched, and what its files offer each other. */
#ifndef PS_SCHED_SCHED_INTERNAL_H
#define PS_SCHED_SCHED_INTERNAL_H

#include "sched/sched.h"

#include <stdbool.h>

/* ---- tree.c: an ordered tree (a treap), threaded, with sums; nothing is allocated --------- */

struct tree {
	struct ps_sched_node *root, *first, *last;
	uint64_t random;
};

/* tree_insert puts `n` where its key says. Expected O(log n); O(1) at the end when it is there. */
void tree_insert(struct tree *t, struct ps_sched_node *n);
void tree_remove(struct tree *t, struct ps_sched_node *n);
/* tree_sum_upto returns the sum of the weights of all nodes whose key is at most that of `key`.
 */
int64_t tree_sum_upto(const struct tree *t, const struct ps_sched_node *key);
bool tree_check(const struct tree *t);
static inline int64_t tree_sum(const struct tree *t)
{
	return t->root ? t->root->sum : 0;
}

/* ---- table.c: a hash table of entries that its user embeds -------------------------------- */

struct entry {
	struct entry *next;
	uint64_t hash;
};

struct table {
	struct entry **slots;
	size_t n_slots, len;
};

uint64_t table_hash(uint64_t a, uint64_t b, uint64_t c);
/* table_chain returns the first entry of the chain in which entries of `hash` are. */
struct entry *table_chain(const struct table *t, uint64_t hash);
/* table_add adds `e` under `hash`. PS_ENOMEM only for the very first. */
enum ps_status table_add(struct table *t, struct entry *e, uint64_t hash);
void table_remove(struct table *t, struct entry *e);
void table_fini(struct table *t);

/* ---- what there is ------------------------------------------------------------------------ */

enum { WINDOW = 64, EXACT_ROWS = 16, ROW_SLOTS = 64, MARGIN_KINDS = 4 };

/* The last service times of one (instance, width, rows). */
struct window {
	int64_t sorted[WINDOW], ring[WINDOW];
	int n, at;
	int64_t sum;	       /* of these */
	__int128 squares;      /* of each of these, their sum */
	double mean, variance; /* over many more runs than these, while they go on like that */
	double n_mean;	       /* how many */
	double spread;	       /* standard deviation */
	int64_t last_try;      /* the instance's count of runs when this size was last used */
};

struct learned {
	struct window *slots[ROW_SLOTS];
	uint64_t known; /* a bit for each slot that is there */
};

struct instance {
	struct ps_sched_instance config;
	struct learned learned[2]; /* narrow, wide */
	int64_t runs;		   /* finished */
	int64_t finished_ns;	   /* the last of them, or the last probe */
	int running;
	struct group *groups;
};

/* What waits for one (instance, shape_key). */
struct group {
	struct entry entry;
	struct group *next, *prev; /* of its instance, or free */
	int instance;
	uint64_t shape_key;
	struct tree buckets; /* by class, then tag of the tenant */
	struct ps_sched_item *oldest, *newest;
	int64_t rows;
	int64_t hurry_ns;	  /* a deadline inside asks not to wait for company after this */
	bool ready;		  /* its items may run now */
	bool is_delayed;	  /* it waits for company */
	struct ps_sched_node due; /* in `delayed`, while is_delayed */
	int64_t play_rows;	  /* scratch of a play-forward */
};

/* What waits of one tenant in one group. */
struct ps_sched_bucket {
	struct entry entry;
	struct ps_sched_bucket *next, *prev; /* of its tenant, or free */
	int tenant;
	struct group *group;
	struct tree items; /* by level, deadline, arrival */
	struct ps_sched_node in_group;
	struct ps_sched_node in_ready; /* of its tenant, by the key of its first item */
	bool is_ready;
	const struct ps_sched_node *play; /* scratch of a play-forward */
};

/* How many standard deviations before its deadline an item must be expected: see admit.c. */
struct margin {
	double z;
	double n;	   /* outcomes seen, up to a limit */
	double debt;	   /* late ones that those in time have not made up for */
	int64_t raised_ns; /* when z was last raised */
	double raises;
};

struct flow {
	int64_t weight, queue_limit;
	enum ps_sched_class class;
	double tag;	 /* virtual start */
	double idle_to;	 /* the virtual time when it last became backlogged */
	double largest;	 /* the most that one run has cost it since then */
	double run_cost; /* scratch: of it in the run at hand */
	double cost_ns;	 /* of all time */
	int64_t len;
	struct ps_sched_bucket *buckets;
	struct tree ready;	     /* its ready buckets */
	struct ps_sched_node active; /* in its class's tree, while `ready` is not empty */
	struct flow *next, *prev;    /* of its class, while anything waits */
	struct margin margin[MARGIN_KINDS];
	int64_t margin_ebbs;	       /* its class's when its margins were learned */
	double recent_ns, recent_runs; /* of the last while */
	int64_t recent_age;	       /* the class's when that was true */
	int64_t few_ns;		       /* its cost among the last few of its class */
};

enum { FEW = 32 };

/* One of the last few items that were done. */
struct few {
	int tenant;
	int64_t cost_ns, at_ns;
};

struct class
{
	struct tree active; /* flows, by tag */
	struct flow *backlogged;
	int n_backlogged;
	double virtual_time;
	int64_t len;
	int running;
	struct margin margin[MARGIN_KINDS];
	bool crowded;		     /* a large part of those who asked of late was refused */
	double refused;		     /* what part */
	double idle;		     /* what part found a lane idle */
	double calm_z[MARGIN_KINDS]; /* of the margins, when it became crowded */
	int64_t ebbs;		     /* how often a crowd has gone */
	/* The last while, in runs, cost and time; halved with each step of the age. */
	double recent_runs, recent_ns, recent_span_ns;
	int64_t recent_age, recent_at_ns;
	int last_tenant;     /* whose item was done last, */
	int64_t other_at_ns; /* and when one of somebody else was */
	struct few few[FEW];
	int few_at, n_few;
	int64_t few_ns;
};

enum { MOST_WARM = 8 };

/* What a lane's cache holds, the last that ran there first. */
struct warm {
	int instance[MOST_WARM];
	int n;
};

struct ps_sched {
	struct ps_sched_options options;
	struct flow *flows;
	int n_flows;
	struct instance *instances;
	int n_instances;
	struct class classes[PS_SCHED_CLASSES];
	struct table groups, buckets;
	struct group *free_groups;
	struct ps_sched_bucket *free_buckets;
	struct tree delayed;
	double credit_ns;  /* what the guaranteed class owes to a waiting best-effort class */
	struct warm *warm; /* by lane */
	bool keeps;	   /* lanes are chosen by what they hold */
	int left_for;	   /* by the last start: another lane; -1: it was not left */
	struct ps_sched_run *runs; /* by lane */
	int running, wide_running;
	int64_t len;
	uint64_t order;
	struct play *play; /* scratch of admission; made when it is first needed */
};

#define ITEM_OF(n) ((struct ps_sched_item *)((char *)(n)-offsetof(struct ps_sched_item, node)))
#define BUCKET_IN_GROUP(n)                                                                         \
	((struct ps_sched_bucket *)((char *)(n)-offsetof(struct ps_sched_bucket, in_group)))
#define BUCKET_IN_READY(n)                                                                         \
	((struct ps_sched_bucket *)((char *)(n)-offsetof(struct ps_sched_bucket, in_ready)))
#define FLOW_ACTIVE(n)	((struct flow *)((char *)(n)-offsetof(struct flow, active)))
#define GROUP_OF_DUE(n) ((struct group *)((char *)(n)-offsetof(struct group, due)))

static inline struct flow *flow_of(const struct ps_sched *s, int tenant)
{
	return &s->flows[tenant];
}
static inline int lanes_of(const struct ps_sched *s, enum ps_sched_class c)
{
	return c == PS_SCHED_GUARANTEED ? s->options.n_lanes
					: s->options.n_lanes - s->options.reserve_lanes;
}

/* ---- queue.c ------------------------------------------------------------------------------ */

/* queue_first returns the item of a tenant whose turn it is among its ready ones. */
struct ps_sched_item *queue_first(const struct flow *f);
/* queue_unlink takes an item out; queue_settle follows, with its group, after one or more. */
void queue_unlink(struct ps_sched *s, struct ps_sched_item *it);
void queue_settle(struct ps_sched *s, struct group *g, int64_t now_ns);
void queue_fini(struct ps_sched *s);
/* queue_refresh sees whether a group may run now, and tells its tenants if that changed. */
void queue_refresh(struct ps_sched *s, struct group *g, int64_t now_ns);
/* queue_refresh_instance does so for all groups of an instance. */
void queue_refresh_instance(struct ps_sched *s, struct instance *i, int64_t now_ns);
/* queue_release_due makes the groups ready that have waited long enough. */
void queue_release_due(struct ps_sched *s, int64_t now_ns);

/* ---- fair.c ------------------------------------------------------------------------------- */

/* fair_backlogged: something of the flow waits, and nothing did before; fair_idle: the reverse. */
void fair_backlogged(struct ps_sched *s, struct flow *f);
void fair_idle(struct ps_sched *s, struct flow *f);
/* fair_advance: the virtual time of its class is at least the tag of a flow that is served. */
void fair_advance(struct ps_sched *s, const struct flow *f);
/* fair_floor_share returns what each ns of a run of a class adds to the credit of best-effort. */
double fair_floor_share(const struct ps_sched *s, enum ps_sched_class class);
/* fair_rekey puts a flow and its buckets where its tag says. */
void fair_rekey(struct ps_sched *s, struct flow *f);
int64_t fair_key(double tag);
/* fair_pick returns the flow whose turn it is, NULL when nothing may run. */
struct flow *fair_pick(struct ps_sched *s);
/* fair_charge charges the items of a run that starts; fair_settle replaces that by what it cost. */
void fair_charge(struct ps_sched *s, struct ps_sched_run *run);
void fair_settle(struct ps_sched *s, struct ps_sched_run *run, double cost_ns, int64_t now_ns);

/* ---- learn.c ------------------------------------------------------------------------------ */

void learn_add(struct instance *i, int64_t rows, bool wide, int64_t ns);
void learn_forget(struct instance *i);
bool learn_known(const struct instance *i, bool wide);
/* learn_ns returns the time of a run at a quantile, interpolated between known sizes; learn_mean_ns
 * its mean. 0: nothing is known. */
double learn_ns(const struct instance *i, int64_t rows, bool wide, double q);
double learn_mean_ns(const struct instance *i, int64_t rows, bool wide);
/* learn_spread_ns returns a standard deviation. */
double learn_spread_ns(const struct instance *i, int64_t rows, bool wide);
/* learn_rest_ns returns the mean of what is left of a run that has taken `elapsed_ns`. */
double learn_rest_ns(const struct instance *i, int64_t rows, bool wide, int64_t elapsed_ns);
/* learn_trial_ns returns what a size that has not been tried of late is believed to take, so that
 * it gets tried: as long per row as the next smaller one. INFINITY: it has been tried. */
double learn_trial_ns(const struct instance *i, int64_t rows);

/* ---- batch.c ------------------------------------------------------------------------------ */

/* batch_may says whether an instance makes batches at all. */
static inline bool batch_may(const struct instance *i)
{
	return i->config.max_batch > 1;
}
/* batch_budget_ns returns how long the run of a batch with `it` should take at most: half of the
 * time that its deadline gave it, so that whoever has just missed a batch can make the next. */
double batch_budget_ns(const struct ps_sched_item *it, int64_t arrived_ns);
/* batch_rows returns how many of `waiting` rows should run together, `first` of them at least, when
 * the run should take `budget_ns` and has to be done `limit_ns` after its start (INFINITY: no such
 * bound). */
int64_t batch_rows(const struct instance *i, int64_t first, int64_t waiting, double budget_ns,
		   double limit_ns);
/* batch_take takes the run out of the queues whose first item is `it`. */
void batch_take(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns,
		struct ps_sched_run *run);
/* batch_hopeless says whether a waiting item is not worth a run any more. */
bool batch_hopeless(const struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns);
/* batch_drop takes such an item out; queue_settle follows. */
void batch_drop(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns);

/* ---- play.c, fluid.c, admit.c ------------------------------------------------------------- */

/* What becomes of an item that would be pushed now. */
struct outcome {
	double finish_ns; /* from now, expected */
	double sd_ns;	  /* of that */
	double others_ns; /* of it, what newcomers of other tenants are expected to take */
	bool harms;	  /* one that was admitted would be late for it, who has a better right */
};

/* play_run plays what waits forward, item by item, with `it` in its place. False when that is more
 * than play_items items; then nothing is written. */
bool play_run(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns, int play_items,
	      struct outcome *ret_outcome);
void play_fini(struct ps_sched *s);
/* fluid_run does so as if the lanes served all tenants at once in proportion. */
void fluid_run(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns,
	       struct outcome *ret_outcome);
/* fluid_drain_ns returns how long what waits of a flow will take. */
double fluid_drain_ns(const struct ps_sched *s, const struct flow *f, int64_t now_ns);
/* admit_finished takes note of the end of a run of an instance: when it may be tried again. */
void admit_finished(struct instance *i, const struct ps_sched_item *first, int64_t now_ns);
/* admit_rest_ns returns how long a run under way will go on. */
double admit_rest_ns(const struct ps_sched *s, const struct ps_sched_run *run, int64_t now_ns);

/* ---- margin.c ----------------------------------------------------------------------------- */

/* margin_outcome learns from what became of an item that had been checked: started_ns 0 when it was
 * not run. */
void margin_outcome(struct ps_sched *s, const struct ps_sched_item *it, bool late,
		    int64_t started_ns, int64_t now_ns);
/* margin_asked notes what became of one that asked to be let in. */
void margin_asked(struct ps_sched *s, enum ps_sched_class class, bool refused, bool idle);
/* margin_ns returns how long before its deadline an item must be expected. */
double margin_ns(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns,
		 const struct outcome *o);

/* ---- warm.c ------------------------------------------------------------------------------- */

/* warm_matters says whether it makes a difference which lane runs an instance. */
bool warm_matters(const struct ps_sched *s, int instance);
/* warm_lane returns the idle lane on which an instance should run: one whose cache holds it, else
 * the one that has most room; -1: it does not matter, or none is idle. */
int warm_lane(const struct ps_sched *s, int instance);
/* warm_ran notes that a run begins, and warm_forget that an instance is another model now. */
void warm_ran(struct ps_sched *s, const struct ps_sched_run *run);
void warm_forget(struct ps_sched *s, int instance);
/* warm_leave says whether the run of an item is left to an idle lane that holds its instance, for a
 * moment at most; s->left_for is that lane. */
bool warm_leave(struct ps_sched *s, int lane, struct ps_sched_item *it, int64_t now_ns);
/* warm_pick returns, in place of the flow whose turn it is, one of its class that the lane holds
 * what it needs for, if that is ahead by no more than the run that is passed over costs. */
struct flow *warm_pick(struct ps_sched *s, int lane, struct flow *f);

/* ---- recent.c ----------------------------------------------------------------------------- */

/* What tenants of one class cost of late: in the last while, and of the last few items. */
struct traffic {
	double ns, runs;
	int64_t few_ns;
};

/* recent_add adds an item that is done to what its tenant and its class cost of late. */
void recent_add(struct ps_sched *s, int tenant, double cost_ns, int64_t now_ns);
/* recent_leave forgets a tenant, before it changes its class. */
void recent_leave(struct ps_sched *s, int tenant);
struct traffic recent_of_class(const struct ps_sched *s, enum ps_sched_class class);
/* recent_subtract takes a flow out of the traffic of its class. */
void recent_subtract(struct traffic *t, const struct ps_sched *s, const struct flow *f);
/* recent_rate_of returns how many ns of cost come in a ns; `t` is without the flow `but` (NULL: any
 * may be in it). recent_rate returns it for one flow. */
double recent_rate_of(const struct ps_sched *s, enum ps_sched_class class, const struct traffic *t,
		      const struct flow *but, int64_t now_ns);
double recent_rate(const struct ps_sched *s, const struct flow *f, int64_t now_ns);

#endif
