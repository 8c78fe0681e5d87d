/* users.c - the users of closed loops: ask, wait for the answer, think, ask again.
 *
 *   thinking --due--> waiting for a slot --> in flight --answer--> thinking
 *      ^                                         |
 *      +------------- rest <----- failure -------+
 *
 * A question is scheduled at the instant at which the user is free to ask: the last answer, plus
 * the rest after a failure, plus the thinking. Lag and latency count from there, as in an open
 * loop.
 */
#include "load/driver_internal.h"

#include <stdlib.h>

enum { MAX_DOUBLINGS = 5 };

#define REST_NS	    (10 * PS_NS_PER_MS)
#define MAX_REST_NS (250 * PS_NS_PER_MS)

int64_t ps_load_rest_ns(int failures)
{
	int64_t ns = REST_NS << (failures < MAX_DOUBLINGS ? failures : MAX_DOUBLINGS);

	return ns < MAX_REST_NS ? ns : MAX_REST_NS;
}

static void ask(struct ps_load_user *u, int64_t now_ns)
{
	struct ps_load_tenant_run *tr = u->tr;
	struct ps_load_waiting w = {
		.scheduled_ns = u->due_ns, .sequence = tr->next_sequence, .user = u};

	if (!ps_load_thread_stopped(tr->th)) {
		tr->next_sequence += tr->th->run->thread_len;
		ps_load_sender_hand_out(tr, w, now_ns);
	}
}

static void on_wake(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_user *u = timer->ctx;

	(void)now_ns; /* of the round: others may have been served since */
	ask(u, ps_evloop_now_ns(u->tr->th->loop));
}

/* Nothing is asked at or after the end of the run. */
static void ask_at(struct ps_load_user *u, int64_t due_ns)
{
	struct ps_load_thread *th = u->tr->th;

	u->due_ns = due_ns;
	if (th->run->start_ns + due_ns < th->run->end_ns) {
		ps_load_sender_timer(th, &u->wake, th->run->start_ns + due_ns);
	}
}

void ps_load_user_next(struct ps_load_user *u, enum ps_load_outcome outcome, int64_t done_ns,
		       int64_t now_ns)
{
	const struct ps_load_run *run = u->tr->th->run;
	int64_t pause = ps_load_think_next(&u->tr->t->think, &u->rng);

	u->failures = outcome == PS_LOAD_CONNECT ? u->failures + 1 : 0;
	if (outcome != PS_LOAD_OK) {
		pause += ps_load_rest_ns(u->failures ? u->failures - 1 : 0);
	}
	if (pause > 0 || run->start_ns + done_ns >= run->end_ns) {
		ask_at(u, done_ns + pause);
	} else {
		u->due_ns = done_ns;
		ask(u, now_ns);
	}
}

enum ps_status ps_load_users_init(struct ps_load_tenant_run *tr, size_t n)
{
	const struct ps_load_thread *th = tr->th;
	size_t threads = th->run->thread_len;

	tr->users = calloc(n ? n : 1, sizeof(*tr->users));
	if (!tr->users) {
		return PS_ENOMEM;
	}
	tr->user_len = n;
	tr->next_sequence = th->number;
	for (size_t i = 0; i < n; i++) {
		struct ps_load_user *u = &tr->users[i];

		u->tr = tr;
		ps_evloop_timer_init(&u->wake, on_wake, u);
		/* By the user's number in the whole tenant: the same with any number of threads. */
		ps_load_think_init(&u->rng, th->run->plan->seed, tr->t->name,
				   th->number + i * threads);
	}
	return PS_OK;
}

void ps_load_users_start(struct ps_load_tenant_run *tr)
{
	for (size_t i = 0; i < tr->user_len; i++) {
		/* Somebody who thinks begins with it: else all would ask at once. */
		ask_at(&tr->users[i], ps_load_think_next(&tr->t->think, &tr->users[i].rng));
	}
}

void ps_load_users_fini(struct ps_load_tenant_run *tr)
{
	for (size_t i = 0; i < tr->user_len; i++) {
		ps_evloop_timer_cancel(&tr->users[i].wake);
	}
	free(tr->users);
	tr->users = NULL;
	tr->user_len = 0;
}
