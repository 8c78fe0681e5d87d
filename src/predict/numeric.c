#include "predict/numeric_internal.h"

#include <dlfcn.h>
#include <lapacke.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAPACKE_FILE "liblapacke.so.3"
#define LIBSVM_FILE  "libsvm.so.3"

/* Singular values below this share of the largest are taken for zero: columns that say the same. */
#define RANK_LIMIT 1e-10

static struct {
	__typeof__(&LAPACKE_dgelsd) least_squares;
	struct ps_predict_svm svm;
	char lapacke_why[160], svm_why[160];
} libraries;

static pthread_once_t lapacke_once = PTHREAD_ONCE_INIT, svm_once = PTHREAD_ONCE_INIT;

/* ---- opening ---- */

static void keep_why(char *why, size_t size)
{
	const char *text = dlerror();

	snprintf(why, size, "%s", text ? text : "it lacks a function");
}

/* POSIX lets a function pass through void *; ISO C does not, hence the copy. */
static bool find(void *lib, const char *name, void *ret_function)
{
	void *p = dlsym(lib, name);

	memcpy(ret_function, &p, sizeof(p));
	return p != NULL;
}

static void open_lapacke(void)
{
	/* Small systems: threads would only cost. A choice of the user's stands. */
	setenv("OPENBLAS_NUM_THREADS", "1", 0);
	void *lib = dlopen(LAPACKE_FILE, RTLD_NOW | RTLD_LOCAL);
	if (!lib || !find(lib, "LAPACKE_dgelsd", &libraries.least_squares))
		keep_why(libraries.lapacke_why, sizeof(libraries.lapacke_why));
}

static void say_nothing(const char *text)
{
	(void)text;
}

static void open_svm(void)
{
	struct ps_predict_svm s = {0};
	void (*set_print)(void (*)(const char *)) = NULL;
	void *lib = dlopen(LIBSVM_FILE, RTLD_NOW | RTLD_LOCAL);

	if (!lib || !find(lib, "svm_train", &s.train) || !find(lib, "svm_predict", &s.predict) ||
	    !find(lib, "svm_free_and_destroy_model", &s.free_model) ||
	    !find(lib, "svm_check_parameter", &s.check) ||
	    !find(lib, "svm_set_print_string_function", &set_print)) {
		keep_why(libraries.svm_why, sizeof(libraries.svm_why));
		return;
	}
	set_print(say_nothing);
	libraries.svm = s;
}

static enum ps_status missing(const char *file, const char *package, const char *why,
			      struct ps_error *err)
{
	ps_error_set(err, PS_ENOTFOUND, "prediction needs %s, which cannot be opened: %s", file,
		     why);
	ps_error_hint(err, "install the package %s", package);
	return PS_ENOTFOUND;
}

enum ps_status ps_predict_svm_get(const struct ps_predict_svm **ret_svm, struct ps_error *err)
{
	pthread_once(&svm_once, open_svm);
	if (!libraries.svm.train)
		return missing(LIBSVM_FILE, "libsvm3", libraries.svm_why, err);
	*ret_svm = &libraries.svm;
	return PS_OK;
}

/* ---- least squares ---- */

static enum ps_status solve(double *a, double *b, size_t m, size_t n, double *singular,
			    struct ps_error *err)
{
	lapack_int rank = 0;
	lapack_int info =
		libraries.least_squares(LAPACK_ROW_MAJOR, (lapack_int)m, (lapack_int)n, 1, a,
					(lapack_int)n, b, 1, singular, RANK_LIMIT, &rank);

	if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
		return ps_error_set(err, PS_ENOMEM, "no memory for least squares");
	if (info != 0)
		return ps_error_set(err, PS_EINVAL, "least squares has no solution (%d)",
				    (int)info);
	return PS_OK;
}

static bool all_finite(const double *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

enum ps_status ps_predict_least_squares(double *a, double *b, size_t m, size_t n, double *ret_x,
					struct ps_error *err)
{
	size_t longest = m > n ? m : n;

	pthread_once(&lapacke_once, open_lapacke);
	if (!libraries.least_squares)
		return missing(LAPACKE_FILE, "liblapacke", libraries.lapacke_why, err);
	if (!all_finite(a, m * n) || !all_finite(b, m))
		return ps_error_set(err, PS_EINVAL, "a value to fit is not finite");
	/* the right-hand side is where the solution comes out: it needs room for both */
	double *x = calloc(2 * longest, sizeof(*x));
	if (!x)
		return ps_error_set(err, PS_ENOMEM, "no memory for least squares");
	memcpy(x, b, m * sizeof(*x));
	enum ps_status st = solve(a, x, m, n, x + longest, err);
	if (st == PS_OK)
		memcpy(ret_x, x, n * sizeof(*x));
	free(x);
	return st;
}

/* ---- none negative ---- */

struct active {
	const double *a, *b;
	size_t m, n;
	bool *in;	       /* columns that may be positive */
	double *x, *z;	       /* n: the present solution, and that of the free columns */
	double *part, *target; /* m * n and m: what is solved */
	double *slope;	       /* n: of the squared error, downwards */
};

/* z = the least squares solution over the columns that are in; 0 elsewhere. */
static enum ps_status solve_free(struct active *s, struct ps_error *err)
{
	size_t k = 0;

	for (size_t j = 0; j < s->n; j++)
		k += s->in[j];
	memset(s->z, 0, s->n * sizeof(*s->z));
	if (k == 0)
		return PS_OK;
	for (size_t i = 0; i < s->m; i++) {
		double *row = s->part + i * k;
		for (size_t j = 0; j < s->n; j++)
			if (s->in[j])
				*row++ = s->a[i * s->n + j];
	}
	memcpy(s->target, s->b, s->m * sizeof(*s->b));
	double *packed = calloc(k, sizeof(*packed));
	if (!packed)
		return ps_error_set(err, PS_ENOMEM, "no memory for least squares");
	enum ps_status st = ps_predict_least_squares(s->part, s->target, s->m, k, packed, err);
	for (size_t j = 0, at = 0; st == PS_OK && j < s->n; j++)
		if (s->in[j])
			s->z[j] = packed[at++];
	free(packed);
	return st;
}

/* The column that would lower the error most; n: none would. */
static size_t best_column(struct active *s)
{
	size_t best = s->n;
	double most = 1e-12;

	memset(s->slope, 0, s->n * sizeof(*s->slope));
	for (size_t i = 0; i < s->m; i++) {
		const double *row = s->a + i * s->n;
		double rest = s->b[i];
		for (size_t j = 0; j < s->n; j++)
			rest -= row[j] * s->x[j];
		for (size_t j = 0; j < s->n; j++)
			s->slope[j] += row[j] * rest;
	}
	for (size_t j = 0; j < s->n; j++)
		if (!s->in[j] && s->slope[j] > most) {
			most = s->slope[j];
			best = j;
		}
	return best;
}

/* Moves x towards z as far as none becomes negative, and takes out those that became zero. Returns
 * whether z was reached. */
static bool step(struct active *s)
{
	double length = 1;

	for (size_t j = 0; j < s->n; j++)
		if (s->in[j] && s->z[j] <= 0)
			length = fmin(length, s->x[j] / (s->x[j] - s->z[j]));
	for (size_t j = 0; j < s->n; j++)
		s->x[j] += length * (s->z[j] - s->x[j]);
	bool reached = length >= 1;
	for (size_t j = 0; j < s->n; j++)
		if (s->in[j] && s->x[j] <= 1e-14 && !reached) {
			s->in[j] = false;
			s->x[j] = 0;
		}
	return reached;
}

static enum ps_status iterate(struct active *s, struct ps_error *err)
{
	/* Each round ends with a smaller error and another set of columns, so it ends; the bound is
	 * against rounding. */
	for (size_t round = 0; round < 3 * s->n + 10; round++) {
		size_t j = best_column(s);
		if (j == s->n)
			return PS_OK;
		s->in[j] = true;
		enum ps_status st = solve_free(s, err);
		/* a column that rounding alone made attractive */
		if (st == PS_OK && s->z[j] <= 0) {
			s->in[j] = false;
			return PS_OK;
		}
		for (size_t k = 0; st == PS_OK && k <= s->n && !step(s); k++)
			st = solve_free(s, err);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

/* Columns in units of their length: time per multiply-accumulate and a constant differ by 10^9. */
static void scale_columns(double *a, size_t m, size_t n, double *ret_scale)
{
	for (size_t j = 0; j < n; j++) {
		double sum = 0;
		for (size_t i = 0; i < m; i++)
			sum += a[i * n + j] * a[i * n + j];
		ret_scale[j] = sum > 0 ? sqrt(sum) : 1;
		for (size_t i = 0; i < m; i++)
			a[i * n + j] /= ret_scale[j];
	}
}

enum ps_status ps_predict_nonnegative(const double *a, const double *b, size_t m, size_t n,
				      double *ret_x, struct ps_error *err)
{
	if (!all_finite(a, m * n) || !all_finite(b, m))
		return ps_error_set(err, PS_EINVAL, "a value to fit is not finite");
	double *room = calloc(2 * m * n + m + 4 * n, sizeof(*room));
	bool *in = calloc(n, sizeof(*in));
	enum ps_status st = room && in ? PS_OK : PS_ENOMEM;
	if (st != PS_OK) {
		ps_error_set(err, st, "no memory for least squares");
	} else {
		double *scaled = room, *scale = room + 2 * m * n + m + 3 * n;
		memcpy(scaled, a, m * n * sizeof(*a));
		scale_columns(scaled, m, n, scale);
		struct active s = {.a = scaled, .b = b, .m = m, .n = n, .in = in};
		s.part = scaled + m * n;
		s.target = s.part + m * n;
		s.x = s.target + m;
		s.z = s.x + n;
		s.slope = s.z + n;
		st = iterate(&s, err);
		for (size_t j = 0; st == PS_OK && j < n; j++)
			ret_x[j] = s.x[j] / scale[j];
	}
	free(room);
	free(in);
	return st;
}
