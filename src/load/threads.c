/* threads.c - see threads.h. */
#include "load/threads.h"

#include "base/thread.h"

#include <sys/prctl.h>

uint32_t ps_load_share(uint32_t total, size_t number, size_t threads)
{
	return (uint32_t)(total / threads + (number < total % threads));
}

uint32_t ps_load_share_first(uint32_t total, size_t number, size_t threads)
{
	size_t over = total % threads;

	return (uint32_t)(number * (total / threads) + (number < over ? number : over));
}

void ps_load_gate_init(struct ps_load_gate *g)
{
	*g = (struct ps_load_gate){.state = PS_LOAD_GATE_SHUT};
	(void)pthread_mutex_init(&g->mutex, NULL);
	(void)pthread_cond_init(&g->changed, NULL);
}

void ps_load_gate_fini(struct ps_load_gate *g)
{
	(void)pthread_cond_destroy(&g->changed);
	(void)pthread_mutex_destroy(&g->mutex);
}

bool ps_load_gate_wait(struct ps_load_gate *g)
{
	bool go;

	pthread_mutex_lock(&g->mutex);
	g->arrived++;
	pthread_cond_broadcast(&g->changed);
	while (g->state == PS_LOAD_GATE_SHUT) {
		pthread_cond_wait(&g->changed, &g->mutex);
	}
	go = g->state == PS_LOAD_GATE_GO;
	pthread_mutex_unlock(&g->mutex);
	return go;
}

void ps_load_gate_await(struct ps_load_gate *g, size_t n)
{
	pthread_mutex_lock(&g->mutex);
	while (g->arrived < n) {
		pthread_cond_wait(&g->changed, &g->mutex);
	}
	pthread_mutex_unlock(&g->mutex);
}

void ps_load_gate_open(struct ps_load_gate *g, bool go)
{
	pthread_mutex_lock(&g->mutex);
	g->state = go ? PS_LOAD_GATE_GO : PS_LOAD_GATE_HOME;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->mutex);
}

static enum ps_status pin(struct ps_load_thread_state *ts, const struct ps_cpus *cpus,
			  size_t number, struct ps_error *err)
{
	int n = ps_cpus_count(cpus), cpu;
	cpu_set_t one;

	if (n == 0) {
		return PS_OK;
	}
	cpu = ps_cpus_nth(cpus, (int)(number % (size_t)n));
	if (cpu < 0 || cpu >= CPU_SETSIZE) {
		return ps_error_set(err, PS_EINVAL, "no CPU %d", cpu);
	}
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_getaffinity(0, sizeof(ts->cpus), &ts->cpus) != 0 ||
	    sched_setaffinity(0, sizeof(one), &one) != 0) {
		return ps_error_set(err, PS_EINVAL, "cannot run on CPU %d", cpu);
	}
	ts->pinned = true;
	return PS_OK;
}

enum ps_status ps_load_thread_enter(struct ps_load_thread_state *ts, const struct ps_cpus *cpus,
				    size_t number, int64_t *ret_slack_ns, struct ps_error *err)
{
	enum ps_status st;

	*ts = (struct ps_load_thread_state){.slack_ns = prctl(PR_GET_TIMERSLACK)};
	st = pin(ts, cpus, number, err);
	if (st == PS_OK) {
		(void)prctl(PR_SET_TIMERSLACK, 1UL);
		*ret_slack_ns = prctl(PR_GET_TIMERSLACK);
		ps_thread_prompt();
	}
	return st;
}

void ps_load_thread_leave(const struct ps_load_thread_state *ts)
{
	ps_thread_prompt_end();
	if (ts->slack_ns > 0) {
		(void)prctl(PR_SET_TIMERSLACK, (unsigned long)ts->slack_ns);
	}
	if (ts->pinned) {
		(void)sched_setaffinity(0, sizeof(ts->cpus), &ts->cpus);
	}
}
