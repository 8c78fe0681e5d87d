#include "simplex.h"

#include <math.h>
#include <string.h>

#define EPS 1e-12

/* Rows of A and b, then the objective, then that of the first phase. */
struct tableau {
	int m, n;
	int basic[LP_ROWS], other[LP_COLUMNS + 1];
	double d[LP_ROWS + 2][LP_COLUMNS + 2];
};

static void pivot(struct tableau *t, int r, int s)
{
	double inverse = 1 / t->d[r][s];

	for (int i = 0; i < t->m + 2; i++)
		for (int j = 0; i != r && j < t->n + 2; j++)
			if (j != s)
				t->d[i][j] -= t->d[r][j] * t->d[i][s] * inverse;
	for (int j = 0; j < t->n + 2; j++)
		if (j != s)
			t->d[r][j] *= inverse;
	for (int i = 0; i < t->m + 2; i++)
		if (i != r)
			t->d[i][s] *= -inverse;
	t->d[r][s] = inverse;
	int kept = t->basic[r];
	t->basic[r] = t->other[s];
	t->other[s] = kept;
}

static int entering(const struct tableau *t, int phase)
{
	int x = phase == 1 ? t->m + 1 : t->m, s = -1;

	for (int j = 0; j <= t->n; j++) {
		if (phase == 2 && t->other[j] == -1)
			continue;
		if (t->d[x][j] < -EPS && (s < 0 || t->other[j] < t->other[s]))
			s = j;
	}
	return s;
}

static int leaving(const struct tableau *t, int s)
{
	int r = -1;

	for (int i = 0; i < t->m; i++) {
		if (t->d[i][s] <= EPS)
			continue;
		double mine = t->d[i][t->n + 1] / t->d[i][s];
		double best = r < 0 ? INFINITY : t->d[r][t->n + 1] / t->d[r][s];
		if (mine < best || (mine == best && t->basic[i] < t->basic[r]))
			r = i;
	}
	return r;
}

static void run(struct tableau *t, int phase)
{
	for (int steps = 0; steps < 10000; steps++) {
		int s = entering(t, phase), r = s < 0 ? -1 : leaving(t, s);
		if (r < 0)
			return;
		pivot(t, r, s);
	}
}

/* From a basis that is not feasible to one that is; false: there is none. */
static int begin(struct tableau *t)
{
	int r = 0;

	for (int i = 1; i < t->m; i++)
		if (t->d[i][t->n + 1] < t->d[r][t->n + 1])
			r = i;
	if (t->d[r][t->n + 1] >= -EPS)
		return 1;
	pivot(t, r, t->n);
	run(t, 1);
	if (t->d[t->m + 1][t->n + 1] < -1e-9)
		return 0;
	for (int i = 0; i < t->m; i++) {
		if (t->basic[i] != -1)
			continue;
		int s = 0;
		for (int j = 1; j <= t->n; j++)
			if (fabs(t->d[i][j]) > fabs(t->d[i][s]))
				s = j;
		pivot(t, i, s);
	}
	return 1;
}

double lp_maximise(int rows, int columns, double a[LP_ROWS][LP_COLUMNS], const double *b,
		   const double *c, double *ret_x)
{
	static struct tableau t;

	memset(&t, 0, sizeof(t));
	t.m = rows;
	t.n = columns;
	for (int i = 0; i < rows; i++) {
		memcpy(t.d[i], a[i], (size_t)columns * sizeof(double));
		t.d[i][columns] = -1;
		t.d[i][columns + 1] = b[i];
		t.basic[i] = columns + i;
	}
	for (int j = 0; j < columns; j++) {
		t.d[rows][j] = -c[j];
		t.other[j] = j;
	}
	t.other[columns] = -1;
	t.d[rows + 1][columns] = 1;
	if (!begin(&t))
		return -INFINITY;
	run(&t, 2);
	memset(ret_x, 0, (size_t)columns * sizeof(double));
	for (int i = 0; i < rows; i++)
		if (t.basic[i] >= 0 && t.basic[i] < columns)
			ret_x[t.basic[i]] = t.d[i][columns + 1];
	return t.d[rows][columns + 1];
}
