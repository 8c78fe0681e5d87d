#include "plan/solvers_internal.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CLP_FILE "libClp.so.1"
#define CBC_FILE "libCbcSolver.so.3"

struct entry {
	const char *name;
	size_t at; /* in struct ps_plan_solvers */
};

#define ENTRY(name) {#name, offsetof(struct ps_plan_solvers, name)},

static const struct entry clp_entries[] = {PS_PLAN_CLP(ENTRY){NULL, 0}};
static const struct entry cbc_entries[] = {PS_PLAN_CBC(ENTRY){NULL, 0}};

static struct ps_plan_solvers solvers;
static char why_not[200]; /* empty: both are there */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool open_one(const char *file, const struct entry *entries)
{
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	if (!lib) {
		const char *text = dlerror();
		snprintf(why_not, sizeof(why_not), "%s", text ? text : file);
		return false;
	}
	for (; entries->name; entries++) {
		void *p = dlsym(lib, entries->name);
		if (!p) {
			snprintf(why_not, sizeof(why_not), "%s has no %s", file, entries->name);
			return false;
		}
		/* POSIX lets a function pass through void *; ISO C does not, hence the copy. */
		memcpy((char *)&solvers + entries->at, &p, sizeof(p));
	}
	return true;
}

static void open_both(void)
{
	(void)(open_one(CLP_FILE, clp_entries) && open_one(CBC_FILE, cbc_entries));
}

enum ps_status ps_plan_solvers_get(const struct ps_plan_solvers **ret_solvers, struct ps_error *err)
{
	pthread_once(&once, open_both);
	if (why_not[0]) {
		ps_error_set(err, PS_ENOTFOUND, "proving a plan needs CLP and CBC: %s", why_not);
		ps_error_hint(err,
			      "install the packages coinor-libclp1 and coinor-libcbc3, or plan "
			      "with --method heuristic");
		return PS_ENOTFOUND;
	}
	*ret_solvers = &solvers;
	return PS_OK;
}
