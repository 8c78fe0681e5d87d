#include "engine/onnxruntime/ort_internal.h"

#include "base/log.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct pool_thread {
	pthread_t thread;
	void (*work)(void *);
	void *param;
	int cpu; /* -1: anywhere */
	int number;
};

/* Errors also come back as the status of a call, and are told there. */
static void on_log(void *ctx, int severity, const char *category, const char *id, const char *where,
		   const char *message)
{
	(void)ctx;
	(void)category;
	(void)id;
	ps_log(severity > PS_ORT_LOG_ERROR ? PS_LOG_WARN : PS_LOG_DEBUG, "onnxruntime", "%s (%s)",
	       message, where);
}

static void pin_self(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		ps_log(PS_LOG_WARN, "engine", "cannot pin a pool thread to CPU %d", cpu);
}

static void *pool_main(void *arg)
{
	struct pool_thread *t = arg;
	char name[16];

	snprintf(name, sizeof(name), "ps-wide-%d", t->number);
	pthread_setname_np(pthread_self(), name);
	if (t->cpu >= 0)
		pin_self(t->cpu);
	t->work(t->param);
	return NULL;
}

/* The pool's threads are made by us, so that they are named, pinned beside the lane that calls
 * (which has the first CPU of the budget), and never take a signal meant for the program. */
static void *pool_create(void *options, void (*work)(void *), void *param)
{
	struct ps_engine *e = options;
	struct pool_thread *t = calloc(1, sizeof(*t));
	int n_cpus = ps_cpus_count(&e->cpus);
	sigset_t all, old;
	int rc;

	if (!t)
		return NULL;
	t->work = work;
	t->param = param;
	t->number = ++e->next_pool_cpu;
	t->cpu = n_cpus > 0 ? ps_cpus_nth(&e->cpus, t->number % n_cpus) : -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->thread, NULL, pool_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		return t;
	free(t);
	return NULL;
}

static void pool_join(const void *thread)
{
	struct pool_thread *t = (struct pool_thread *)(uintptr_t)thread;

	pthread_join(t->thread, NULL);
	free(t);
}

static enum ps_status make_threading(struct ps_engine *e, void **ret_threading,
				     struct ps_error *err)
{
	const struct ps_ort_api *a = &e->api;
	int n = e->wide_threads > 1 ? e->wide_threads : 1;
	struct ps_ort_status *s = a->create_threading(ret_threading);

	if (!s)
		s = a->set_pool_intra_threads(*ret_threading, n);
	if (!s)
		s = a->set_pool_inter_threads(*ret_threading, 1);
	if (!s)
		s = a->set_pool_spin(*ret_threading, 0); /* idle tenants must cost nothing */
	if (!s)
		s = a->set_pool_create_thread(*ret_threading, pool_create);
	if (!s)
		s = a->set_pool_thread_options(*ret_threading, e);
	if (!s)
		s = a->set_pool_join_thread(*ret_threading, pool_join);
	return ps_ort_check(a, s, err, "cannot set up the thread pool");
}

/* One arena for all sessions: what runs need between their layers is then held once per lane that
 * runs, not once per session that ever ran. It grows by what is asked, not by doubling. */
static void register_arena(struct ps_engine *e)
{
	static const char *const keys[] = {"arena_extend_strategy"};
	static const size_t values[] = {1};
	const struct ps_ort_api *a = &e->api;
	struct ps_error err;
	void *info = NULL, *arena = NULL;
	struct ps_ort_status *s =
		a->create_cpu_memory_info(PS_ORT_ALLOCATOR_ARENA, PS_ORT_MEM_DEFAULT, &info);

	if (!s)
		s = a->create_arena(keys, values, 1, &arena);
	if (!s)
		s = a->register_allocator(e->env, info, arena);
	e->shared_arena = ps_ort_check(a, s, &err, "no shared arena") == PS_OK;
	if (!e->shared_arena)
		ps_log_error(PS_LOG_WARN, "engine", &err);
	if (arena)
		a->release_arena(arena);
	if (info)
		a->release_memory_info(info);
}

enum ps_status ps_ort_env_start(struct ps_engine *e, struct ps_error *err)
{
	const struct ps_ort_api *a = &e->api;
	void *threading = NULL;
	enum ps_status st = make_threading(e, &threading, err);

	if (st == PS_OK)
		st = ps_ort_check(a,
				  a->create_env(on_log, NULL, PS_ORT_LOG_WARNING, "perseus",
						threading, &e->env),
				  err, "cannot create the environment");
	if (threading)
		a->release_threading(threading);
	if (st != PS_OK)
		return st;
	register_arena(e);
	st = ps_ort_check(a,
			  a->create_cpu_memory_info(PS_ORT_ALLOCATOR_DEVICE, PS_ORT_MEM_DEFAULT,
						    &e->memory_info),
			  err, "cannot describe memory");
	if (st != PS_OK)
		ps_ort_env_stop(e);
	return st;
}

void ps_ort_env_stop(struct ps_engine *e)
{
	if (e->memory_info)
		e->api.release_memory_info(e->memory_info);
	if (e->env)
		e->api.release_env(e->env);
	e->memory_info = e->env = NULL;
}
