/* read.c - Prometheus text taken apart, and held to its rules. */
#include "base/arena.h"
#include "metrics/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct family {
	const char *name;
	size_t name_len;
	enum ps_metrics_type type;
	bool has_help, has_type, has_samples, closed; /* closed: samples of another one followed */
	struct family *next;
};

struct ps_metrics_page {
	struct ps_arena arena;
	struct ps_metrics_sample *samples;
	int *lines;
	size_t n, cap;
	struct family *families; /* the latest first */
};

struct reader {
	struct ps_metrics_page *page;
	const char *at, *end; /* of the line */
	int line;
	struct family *current; /* whose samples stand here */
	struct ps_error *err;
};

static enum ps_status wrong(struct reader *r, const char *what)
{
	ps_error_set(r->err, PS_EPARSE, "%s", what);
	ps_error_where(r->err, "line %d", r->line);
	return PS_EPARSE;
}

static enum ps_status no_memory(struct reader *r)
{
	ps_error_set(r->err, PS_ENOMEM, "no memory for a page of metrics");
	return PS_ENOMEM;
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
		r->at++;
}

static bool is_name_byte(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
	       (!first && c >= '0' && c <= '9');
}

/* Reads a name; its length, 0 when there is none. */
static size_t take_name(struct reader *r, const char **ret_name)
{
	*ret_name = r->at;
	while (r->at < r->end && is_name_byte(*r->at, r->at == *ret_name))
		r->at++;
	return (size_t)(r->at - *ret_name);
}

static struct family *find_family(const struct ps_metrics_page *p, const char *name, size_t len)
{
	struct family *f = p->families;
	while (f && (f->name_len != len || memcmp(f->name, name, len) != 0))
		f = f->next;
	return f;
}

static struct family *add_family(struct ps_metrics_page *p, const char *name, size_t len)
{
	struct family *f = ps_arena_zalloc(&p->arena, sizeof *f);
	const char *copy = ps_arena_strndup(&p->arena, name, len);
	if (!f || !copy)
		return NULL;
	*f = (struct family){
		.name = copy, .name_len = len, .type = PS_METRICS_UNTYPED, .next = p->families};
	p->families = f;
	return f;
}

/* Which type a word names; summaries count as untyped. */
static bool type_of(const char *word, size_t n, enum ps_metrics_type *ret_type)
{
	static const struct {
		const char *name;
		enum ps_metrics_type type;
	} types[] = {{"counter", PS_METRICS_COUNTER},
		     {"gauge", PS_METRICS_GAUGE},
		     {"histogram", PS_METRICS_HISTOGRAM},
		     {"untyped", PS_METRICS_UNTYPED},
		     {"summary", PS_METRICS_UNTYPED}};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strlen(types[i].name) == n && memcmp(types[i].name, word, n) == 0) {
			*ret_type = types[i].type;
			return true;
		}
	return false;
}

static enum ps_status read_type(struct reader *r, struct family *f)
{
	const char *word;
	size_t n = take_name(r, &word);
	skip_blanks(r);
	if (!type_of(word, n, &f->type) || r->at != r->end)
		return wrong(r, "an unknown type");
	if (f->has_type)
		return wrong(r, "a second TYPE of the same name");
	f->has_type = true;
	return PS_OK;
}

/* "# HELP name text", "# TYPE name type", or a comment. */
static enum ps_status read_comment(struct reader *r)
{
	const char *word, *name;
	r->at++;
	skip_blanks(r);
	size_t n = take_name(r, &word);
	bool help = n == 4 && memcmp(word, "HELP", 4) == 0;
	bool type = n == 4 && memcmp(word, "TYPE", 4) == 0;
	if (!help && !type)
		return PS_OK;
	skip_blanks(r);
	n = take_name(r, &name);
	if (n == 0)
		return wrong(r, "HELP or TYPE without a name");
	skip_blanks(r);
	struct family *f = find_family(r->page, name, n);
	if (!f)
		f = add_family(r->page, name, n);
	if (!f)
		return no_memory(r);
	if (f->has_samples)
		return wrong(r, "HELP or TYPE behind the samples");
	if (type)
		return read_type(r, f);
	if (f->has_help)
		return wrong(r, "a second HELP of the same name");
	f->has_help = true;
	return PS_OK;
}

/* --- samples --- */

static enum ps_status take_text(struct reader *r, const char **ret_text)
{
	char *to = ps_arena_alloc(&r->page->arena, (size_t)(r->end - r->at) + 1);
	if (!to)
		return no_memory(r);
	*ret_text = to;
	for (r->at++; r->at < r->end && *r->at != '"'; r->at++) {
		char c = *r->at;
		if (c == '\\' && ++r->at < r->end) {
			c = *r->at;
			if (c != '\\' && c != '"' && c != 'n')
				return wrong(r, "an unknown escape in a label");
			c = c == 'n' ? '\n' : c;
		}
		*to++ = c;
	}
	if (r->at >= r->end)
		return wrong(r, "a label's value does not end");
	r->at++;
	*to = '\0';
	return PS_OK;
}

static enum ps_status take_label(struct reader *r, struct ps_metrics_label *ret_label)
{
	const char *name;
	size_t n = take_name(r, &name);
	if (n == 0)
		return wrong(r, "a label without a name");
	skip_blanks(r);
	if (r->at >= r->end || *r->at++ != '=')
		return wrong(r, "a label without =");
	skip_blanks(r);
	if (r->at >= r->end || *r->at != '"')
		return wrong(r, "a label's value without quotes");
	ret_label->name = ps_arena_strndup(&r->page->arena, name, n);
	if (!ret_label->name)
		return no_memory(r);
	return take_text(r, &ret_label->value);
}

static enum ps_status take_labels(struct reader *r, struct ps_metrics_sample *s)
{
	struct ps_metrics_label labels[PS_METRICS_MAX_LABELS];
	enum ps_status status = PS_OK;
	if (r->at >= r->end || *r->at != '{')
		return PS_OK;
	r->at++;
	skip_blanks(r);
	while (status == PS_OK && r->at < r->end && *r->at != '}') {
		if (s->n_labels == PS_METRICS_MAX_LABELS)
			return wrong(r, "too many labels");
		status = take_label(r, &labels[s->n_labels++]);
		skip_blanks(r);
		if (status == PS_OK && r->at < r->end && *r->at == ',')
			r->at++;
		else if (status == PS_OK && (r->at >= r->end || *r->at != '}'))
			return wrong(r, "labels are separated by commas");
		skip_blanks(r);
	}
	if (status != PS_OK)
		return status;
	if (r->at >= r->end)
		return wrong(r, "the labels do not end");
	r->at++;
	struct ps_metrics_label *copy =
		ps_arena_alloc(&r->page->arena, s->n_labels * sizeof *copy + 1);
	if (!copy)
		return no_memory(r);
	memcpy(copy, labels, s->n_labels * sizeof *copy);
	s->labels = copy;
	return PS_OK;
}

static enum ps_status take_value(struct reader *r, double *ret_value)
{
	char text[64];
	const char *from = r->at;
	while (r->at < r->end && *r->at != ' ' && *r->at != '\t')
		r->at++;
	size_t n = (size_t)(r->at - from);
	if (n == 0 || n >= sizeof text)
		return wrong(r, "a sample without a value");
	memcpy(text, from, n);
	text[n] = '\0';
	char *end;
	*ret_value = strtod(text, &end);
	if (*end != '\0' || memchr(text, 'x', n))
		return wrong(r, "a value that is no number");
	skip_blanks(r);
	while (r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')))
		r->at++; /* a timestamp */
	return r->at == r->end ? PS_OK : wrong(r, "something behind the value");
}

/* The family that a sample's name belongs to: itself, or a histogram without its suffix. */
static struct family *family_of(struct ps_metrics_page *p, const char *name, size_t len)
{
	static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
	struct family *f = find_family(p, name, len);
	for (int i = 0; !f && i < 3; i++) {
		size_t n = strlen(suffixes[i]);
		if (len <= n || memcmp(name + len - n, suffixes[i], n) != 0)
			continue;
		f = find_family(p, name, len - n);
		if (f && f->type != PS_METRICS_HISTOGRAM && f->type != PS_METRICS_UNTYPED)
			f = NULL;
	}
	return f;
}

static enum ps_status enter_family(struct reader *r, const char *name, size_t len)
{
	struct family *f = family_of(r->page, name, len);
	if (!f)
		f = add_family(r->page, name, len);
	if (!f)
		return no_memory(r);
	if (f->closed)
		return wrong(r, "the samples of a name do not stand together");
	if (r->current && r->current != f)
		r->current->closed = r->current->has_samples;
	f->has_samples = true;
	r->current = f;
	return PS_OK;
}

static enum ps_status keep(struct reader *r, const struct ps_metrics_sample *s)
{
	struct ps_metrics_page *p = r->page;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 256;
		struct ps_metrics_sample *more = realloc(p->samples, cap * sizeof *more);
		if (more)
			p->samples = more;
		int *lines = realloc(p->lines, cap * sizeof *lines);
		if (lines)
			p->lines = lines;
		if (!more || !lines)
			return no_memory(r);
		p->cap = cap;
	}
	p->lines[p->n] = r->line;
	p->samples[p->n++] = *s;
	return PS_OK;
}

static enum ps_status read_sample(struct reader *r)
{
	struct ps_metrics_sample s = {0};
	const char *name;
	size_t n = take_name(r, &name);
	if (n == 0)
		return wrong(r, "a line that is neither comment nor sample");
	enum ps_status status = enter_family(r, name, n);
	if (status != PS_OK)
		return status;
	s.name = ps_arena_strndup(&r->page->arena, name, n);
	if (!s.name)
		return no_memory(r);
	s.type = r->current->type;
	skip_blanks(r);
	status = take_labels(r, &s);
	skip_blanks(r);
	if (status == PS_OK)
		status = take_value(r, &s.value);
	return status == PS_OK ? keep(r, &s) : status;
}

static enum ps_status read_lines(struct reader *r, const char *text, size_t len)
{
	const char *stop = text + len;
	enum ps_status status = PS_OK;
	while (status == PS_OK && text < stop) {
		r->line++;
		r->at = text;
		r->end = memchr(text, '\n', (size_t)(stop - text));
		if (!r->end)
			return wrong(r, "the last line does not end");
		text = r->end + 1;
		skip_blanks(r);
		if (r->at == r->end)
			continue;
		status = *r->at == '#' ? read_comment(r) : read_sample(r);
	}
	return status;
}

/* --- rules over all samples --- */

static int compare_labels(const struct ps_metrics_sample *a, const struct ps_metrics_sample *b,
			  const char *without)
{
	size_t i = 0, k = 0;
	for (;; i++, k++) {
		while (without && i < a->n_labels && strcmp(a->labels[i].name, without) == 0)
			i++;
		while (without && k < b->n_labels && strcmp(b->labels[k].name, without) == 0)
			k++;
		if (i == a->n_labels || k == b->n_labels)
			return (k == b->n_labels) - (i == a->n_labels);
		int names = strcmp(a->labels[i].name, b->labels[k].name);
		int values = strcmp(a->labels[i].value, b->labels[k].value);
		if (names || values)
			return names ? names : values;
	}
}

static int compare_samples(const void *x, const void *y)
{
	const struct ps_metrics_sample *a = *(const struct ps_metrics_sample *const *)x;
	const struct ps_metrics_sample *b = *(const struct ps_metrics_sample *const *)y;
	int names = strcmp(a->name, b->name);
	return names ? names : compare_labels(a, b, NULL);
}

static enum ps_status check_once(struct reader *r)
{
	struct ps_metrics_page *p = r->page;
	const struct ps_metrics_sample **sorted = malloc((p->n + 1) * sizeof *sorted);
	enum ps_status status = PS_OK;
	if (!sorted)
		return no_memory(r);
	for (size_t i = 0; i < p->n; i++)
		sorted[i] = &p->samples[i];
	if (p->n > 0)
		qsort(sorted, p->n, sizeof *sorted, compare_samples);
	for (size_t i = 1; status == PS_OK && i < p->n; i++)
		if (compare_samples(&sorted[i - 1], &sorted[i]) == 0) {
			r->line = p->lines[sorted[i] - p->samples];
			status = wrong(r, "the same sample twice");
		}
	free(sorted);
	return status;
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

/* One run of buckets with equal labels: bounds and counts rise, +Inf is the count behind it. */
static enum ps_status check_buckets(struct reader *r, size_t *i)
{
	struct ps_metrics_page *p = r->page;
	const struct ps_metrics_sample *first = &p->samples[*i];
	double bound = -INFINITY, count = 0;
	for (; *i < p->n && strcmp(p->samples[*i].name, first->name) == 0 &&
	       compare_labels(first, &p->samples[*i], "le") == 0;
	     ++*i) {
		const struct ps_metrics_sample *s = &p->samples[*i];
		const char *le = ps_metrics_sample_label(s, "le");
		r->line = p->lines[*i];
		if (!le)
			return wrong(r, "a bucket without le");
		double v = strtod(le, NULL);
		if (v <= bound || s->value < count)
			return wrong(r, "buckets do not rise");
		bound = v;
		count = s->value;
	}
	if (!isinf(bound))
		return wrong(r, "no bucket up to +Inf");
	for (size_t k = *i; k < p->n && k < *i + 2; k++)
		if (ends_in(p->samples[k].name, "_count"))
			return p->samples[k].value == count
				       ? PS_OK
				       : wrong(r, "the bucket +Inf is not the count");
	return wrong(r, "a histogram without its count");
}

static enum ps_status check_histograms(struct reader *r)
{
	struct ps_metrics_page *p = r->page;
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < p->n;) {
		if (p->samples[i].type == PS_METRICS_HISTOGRAM &&
		    ends_in(p->samples[i].name, "_bucket"))
			status = check_buckets(r, &i);
		else
			i++;
	}
	return status;
}

enum ps_status ps_metrics_read(const char *text, size_t len, struct ps_metrics_page **ret_page,
			       struct ps_error *err)
{
	struct reader r = {.err = err};
	if (len > PS_METRICS_MAX_BYTES)
		return ps_error_set(err, PS_ETOOBIG, "%zu bytes of metrics, the limit is %d", len,
				    PS_METRICS_MAX_BYTES);
	r.page = calloc(1, sizeof *r.page);
	if (!r.page)
		return no_memory(&r);
	ps_arena_init(&r.page->arena, 0);
	enum ps_status status = read_lines(&r, text, len);
	if (status == PS_OK)
		status = check_once(&r);
	if (status == PS_OK)
		status = check_histograms(&r);
	if (status != PS_OK) {
		ps_metrics_page_free(r.page);
		return status;
	}
	*ret_page = r.page;
	return PS_OK;
}

void ps_metrics_page_free(struct ps_metrics_page *p)
{
	if (!p)
		return;
	ps_arena_fini(&p->arena);
	free(p->samples);
	free(p->lines);
	free(p);
}

const struct ps_metrics_sample *ps_metrics_page_samples(const struct ps_metrics_page *p,
							size_t *ret_n)
{
	*ret_n = p->n;
	return p->samples;
}

const char *ps_metrics_sample_label(const struct ps_metrics_sample *s, const char *name)
{
	for (size_t i = 0; i < s->n_labels; i++)
		if (strcmp(s->labels[i].name, name) == 0)
			return s->labels[i].value;
	return NULL;
}

const struct ps_metrics_sample *ps_metrics_page_find(const struct ps_metrics_page *p,
						     const char *name,
						     const struct ps_metrics_label *labels,
						     size_t n)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct ps_metrics_sample *s = &p->samples[i];
		bool same = strcmp(s->name, name) == 0;
		for (size_t k = 0; same && k < n; k++) {
			const char *v = ps_metrics_sample_label(s, labels[k].name);
			same = v && strcmp(v, labels[k].value) == 0;
		}
		if (same)
			return s;
	}
	return NULL;
}
