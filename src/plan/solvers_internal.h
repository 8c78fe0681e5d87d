/* solvers_internal.h - CLP and CBC, opened when a plan is proven and not before.
 *
 * Linked, they would come with every command: fourteen more libraries and 5 MiB in a server that
 * plans nothing. The functions keep the names and types of their headers. Any thread.
 */
#ifndef PS_PLAN_SOLVERS_INTERNAL_H
#define PS_PLAN_SOLVERS_INTERNAL_H

#include "base/error.h"

#include <coin/Cbc_C_Interface.h>
#include <coin/Clp_C_Interface.h>

#define PS_PLAN_CLP(X)                                                                             \
	X(Clp_addColumns)                                                                          \
	X(Clp_deleteModel)                                                                         \
	X(Clp_dualRowSolution)                                                                     \
	X(Clp_loadProblem)                                                                         \
	X(Clp_newModel)                                                                            \
	X(Clp_objectiveValue)                                                                      \
	X(Clp_primal)                                                                              \
	X(Clp_primalColumnSolution)                                                                \
	X(Clp_primalRowSolution)                                                                   \
	X(Clp_rowLower)                                                                            \
	X(Clp_rowUpper)                                                                            \
	X(Clp_setLogLevel)                                                                         \
	X(Clp_status)

#define PS_PLAN_CBC(X)                                                                             \
	X(Cbc_deleteModel)                                                                         \
	X(Cbc_getColSolution)                                                                      \
	X(Cbc_getObjValue)                                                                         \
	X(Cbc_isProvenInfeasible)                                                                  \
	X(Cbc_isProvenOptimal)                                                                     \
	X(Cbc_loadProblem)                                                                         \
	X(Cbc_newModel)                                                                            \
	X(Cbc_numberSavedSolutions)                                                                \
	X(Cbc_secondaryStatus)                                                                     \
	X(Cbc_setCutoff)                                                                           \
	X(Cbc_setInteger)                                                                          \
	X(Cbc_setLogLevel)                                                                         \
	X(Cbc_setMaximumNodes)                                                                     \
	X(Cbc_setMaximumSeconds)                                                                   \
	X(Cbc_setParameter)                                                                        \
	X(Cbc_solve)                                                                               \
	X(Cbc_status)

/* A member's name takes no parentheses. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define PS_PLAN_MEMBER(name) __typeof__(&(name)) name;

struct ps_plan_solvers {
	PS_PLAN_CLP(PS_PLAN_MEMBER)
	PS_PLAN_CBC(PS_PLAN_MEMBER)
};

/* ps_plan_solvers_get borrows the functions, for the life of the process. PS_ENOTFOUND with the
 * package in the hint when a library cannot be opened. */
enum ps_status ps_plan_solvers_get(const struct ps_plan_solvers **ret_solvers,
				   struct ps_error *err);

#endif
