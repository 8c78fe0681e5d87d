/* read.c - Prometheus text taken apart, and held to its rules. */
#include "metrics/read_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ps_status ps_metrics_read_wrong(struct ps_metrics_reader *r, const char *what)
{
	ps_error_set(r->err, PS_EPARSE, "%s", what);
	ps_error_where(r->err, "line %d", r->line);
	return PS_EPARSE;
}

enum ps_status ps_metrics_read_no_memory(struct ps_metrics_reader *r)
{
	ps_error_set(r->err, PS_ENOMEM, "no memory for a page of metrics");
	return PS_ENOMEM;
}

void ps_metrics_read_blanks(struct ps_metrics_reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
		r->at++;
}

static bool is_name_byte(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
	       (!first && c >= '0' && c <= '9');
}

size_t ps_metrics_read_name(struct ps_metrics_reader *r, const char **ret_name)
{
	*ret_name = r->at;
	while (r->at < r->end && is_name_byte(*r->at, r->at == *ret_name))
		r->at++;
	return (size_t)(r->at - *ret_name);
}

static size_t bucket_of(const char *name, size_t len)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * UINT64_C(1099511628211);
	return h % PS_METRICS_READ_BUCKETS;
}

static struct ps_metrics_read_family *find_family(const struct ps_metrics_page *p, const char *name,
						  size_t len)
{
	struct ps_metrics_read_family *f = p->families[bucket_of(name, len)];
	while (f && (f->name_len != len || memcmp(f->name, name, len) != 0))
		f = f->next;
	return f;
}

/* The family of that name, made if there is none; *ret_family NULL on failure. */
static enum ps_status need_family(struct ps_metrics_reader *r, const char *name, size_t len,
				  struct ps_metrics_read_family **ret_family)
{
	struct ps_metrics_page *p = r->page;
	*ret_family = find_family(p, name, len);
	if (*ret_family)
		return PS_OK;
	if (p->n_families == PS_METRICS_MAX_NAMES) {
		ps_error_set(r->err, PS_ETOOBIG, "over %d names of metrics", PS_METRICS_MAX_NAMES);
		return PS_ETOOBIG;
	}
	struct ps_metrics_read_family *f = ps_arena_zalloc(&p->arena, sizeof *f);
	const char *copy = ps_arena_strndup(&p->arena, name, len);
	if (!f || !copy)
		return ps_metrics_read_no_memory(r);
	size_t b = bucket_of(name, len);
	*f = (struct ps_metrics_read_family){
		.name = copy, .name_len = len, .type = PS_METRICS_UNTYPED, .next = p->families[b]};
	p->families[b] = f;
	p->n_families++;
	*ret_family = f;
	return PS_OK;
}

/* Which type a word names; summaries, and those that only OpenMetrics has, count as untyped. */
static bool type_of(const char *word, size_t n, enum ps_metrics_type *ret_type)
{
	static const struct {
		const char *name;
		enum ps_metrics_type type;
	} types[] = {{"counter", PS_METRICS_COUNTER},	    {"gauge", PS_METRICS_GAUGE},
		     {"histogram", PS_METRICS_HISTOGRAM},   {"untyped", PS_METRICS_UNTYPED},
		     {"summary", PS_METRICS_UNTYPED},	    {"unknown", PS_METRICS_UNTYPED},
		     {"info", PS_METRICS_UNTYPED},	    {"stateset", PS_METRICS_UNTYPED},
		     {"gaugehistogram", PS_METRICS_UNTYPED}};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strlen(types[i].name) == n && memcmp(types[i].name, word, n) == 0) {
			*ret_type = types[i].type;
			return true;
		}
	return false;
}

static enum ps_status read_type(struct ps_metrics_reader *r, struct ps_metrics_read_family *f)
{
	const char *word;
	size_t n = ps_metrics_read_name(r, &word);
	ps_metrics_read_blanks(r);
	enum ps_metrics_type type;
	if (!type_of(word, n, &type) || r->at != r->end)
		return ps_metrics_read_wrong(r, "an unknown type");
	if (f->has_type)
		return ps_metrics_read_wrong(r, "a second TYPE of the same name");
	f->has_type = true;
	f->type = type;
	return PS_OK;
}

/* "# HELP name text", "# TYPE name type", or a comment. */
static enum ps_status read_comment(struct ps_metrics_reader *r)
{
	const char *word, *name;
	r->at++;
	ps_metrics_read_blanks(r);
	size_t n = ps_metrics_read_name(r, &word);
	bool help = n == 4 && memcmp(word, "HELP", 4) == 0;
	bool type = n == 4 && memcmp(word, "TYPE", 4) == 0;
	if (!help && !type)
		return PS_OK;
	ps_metrics_read_blanks(r);
	n = ps_metrics_read_name(r, &name);
	if (n == 0)
		return ps_metrics_read_wrong(r, "HELP or TYPE without a name");
	ps_metrics_read_blanks(r);
	struct ps_metrics_read_family *f;
	enum ps_status status = need_family(r, name, n, &f);
	if (status != PS_OK)
		return status;
	if (f->has_samples)
		return ps_metrics_read_wrong(r, "HELP or TYPE behind the samples");
	if (type)
		return read_type(r, f);
	if (f->has_help)
		return ps_metrics_read_wrong(r, "a second HELP of the same name");
	f->has_help = true;
	return PS_OK;
}

/* --- samples --- */

/* The bytes up to the quote that ends a text: room for as many is enough for the text. */
static size_t text_room(const struct ps_metrics_reader *r)
{
	const char *p = r->at + 1;
	while (p < r->end && *p != '"')
		p += *p == '\\' ? 2 : 1;
	return (size_t)((p < r->end ? p : r->end) - r->at);
}

static enum ps_status take_text(struct ps_metrics_reader *r, const char **ret_text)
{
	char *to = ps_arena_alloc(&r->page->arena, text_room(r));
	if (!to)
		return ps_metrics_read_no_memory(r);
	*ret_text = to;
	for (r->at++; r->at < r->end && *r->at != '"'; r->at++) {
		char c = *r->at;
		if (c == '\\' && ++r->at < r->end) {
			c = *r->at;
			if (c != '\\' && c != '"' && c != 'n')
				return ps_metrics_read_wrong(r, "an unknown escape in a label");
			c = c == 'n' ? '\n' : c;
		}
		*to++ = c;
	}
	if (r->at >= r->end)
		return ps_metrics_read_wrong(r, "a label's value does not end");
	r->at++;
	*to = '\0';
	return PS_OK;
}

static enum ps_status take_label(struct ps_metrics_reader *r, struct ps_metrics_label *ret_label)
{
	const char *name;
	size_t n = ps_metrics_read_name(r, &name);
	if (n == 0)
		return ps_metrics_read_wrong(r, "a label without a name");
	ps_metrics_read_blanks(r);
	if (r->at >= r->end || *r->at++ != '=')
		return ps_metrics_read_wrong(r, "a label without =");
	ps_metrics_read_blanks(r);
	if (r->at >= r->end || *r->at != '"')
		return ps_metrics_read_wrong(r, "a label's value without quotes");
	ret_label->name = ps_arena_strndup(&r->page->arena, name, n);
	if (!ret_label->name)
		return ps_metrics_read_no_memory(r);
	return take_text(r, &ret_label->value);
}

static bool is_among(const struct ps_metrics_label *labels, size_t n, const char *name)
{
	while (n > 0 && strcmp(labels[n - 1].name, name) != 0)
		n--;
	return n > 0;
}

enum ps_status ps_metrics_read_labels(struct ps_metrics_reader *r,
				      const struct ps_metrics_label **ret_labels, size_t *ret_n)
{
	struct ps_metrics_label labels[PS_METRICS_MAX_LABELS];
	enum ps_status status = PS_OK;
	size_t n = 0;
	if (r->at >= r->end || *r->at != '{')
		return PS_OK;
	r->at++;
	ps_metrics_read_blanks(r);
	while (status == PS_OK && r->at < r->end && *r->at != '}') {
		if (n == PS_METRICS_MAX_LABELS)
			return ps_metrics_read_wrong(r, "too many labels");
		status = take_label(r, &labels[n]);
		if (status == PS_OK && is_among(labels, n, labels[n].name))
			return ps_metrics_read_wrong(r, "a label twice");
		n++;
		ps_metrics_read_blanks(r);
		if (status == PS_OK && r->at < r->end && *r->at == ',')
			r->at++;
		else if (status == PS_OK && (r->at >= r->end || *r->at != '}'))
			return ps_metrics_read_wrong(r, "labels are separated by commas");
		ps_metrics_read_blanks(r);
	}
	if (status != PS_OK)
		return status;
	if (r->at >= r->end)
		return ps_metrics_read_wrong(r, "the labels do not end");
	r->at++;
	struct ps_metrics_label *copy = ps_arena_alloc(&r->page->arena, n * sizeof *copy + 1);
	if (!copy)
		return ps_metrics_read_no_memory(r);
	memcpy(copy, labels, n * sizeof *copy);
	*ret_labels = copy;
	*ret_n = n;
	return PS_OK;
}

static enum ps_status take_value(struct ps_metrics_reader *r, double *ret_value)
{
	char text[64];
	const char *from = r->at;
	while (r->at < r->end && *r->at != ' ' && *r->at != '\t')
		r->at++;
	size_t n = (size_t)(r->at - from);
	if (n == 0 || n >= sizeof text)
		return ps_metrics_read_wrong(r, "a sample without a value");
	memcpy(text, from, n);
	text[n] = '\0';
	char *end;
	*ret_value = strtod(text, &end);
	if (*end != '\0' || memchr(text, 'x', n))
		return ps_metrics_read_wrong(r, "a value that is no number");
	ps_metrics_read_blanks(r);
	return ps_metrics_read_tail(r);
}

/* Which families a suffix of a sample's name belongs to. */
static bool has_suffix(enum ps_metrics_type type, bool of_counters)
{
	bool many = type == PS_METRICS_HISTOGRAM || type == PS_METRICS_UNTYPED;
	return of_counters ? type == PS_METRICS_COUNTER : many;
}

/* The family that a sample's name belongs to: itself, or a histogram without its suffix; counters
 * are named without theirs in OpenMetrics. */
static struct ps_metrics_read_family *family_of(struct ps_metrics_page *p, const char *name,
						size_t len)
{
	static const struct {
		const char *text;
		bool of_counters;
	} suffixes[] = {{"_bucket", false}, {"_sum", false},	{"_count", false},
			{"_total", true},   {"_created", true}, {"_created", false}};
	struct ps_metrics_read_family *f = find_family(p, name, len);
	for (size_t i = 0; !f && i < sizeof suffixes / sizeof *suffixes; i++) {
		size_t n = strlen(suffixes[i].text);
		if (len <= n || memcmp(name + len - n, suffixes[i].text, n) != 0)
			continue;
		f = find_family(p, name, len - n);
		if (f && !has_suffix(f->type, suffixes[i].of_counters))
			f = NULL;
	}
	return f;
}

static enum ps_status enter_family(struct ps_metrics_reader *r, const char *name, size_t len)
{
	struct ps_metrics_read_family *f = family_of(r->page, name, len);
	enum ps_status status = f ? PS_OK : need_family(r, name, len, &f);
	if (status != PS_OK)
		return status;
	if (f->closed && !r->any)
		return ps_metrics_read_wrong(r, "the samples of a name do not stand together");
	if (r->current && r->current != f)
		r->current->closed = r->current->has_samples;
	f->has_samples = true;
	r->current = f;
	return PS_OK;
}

static enum ps_status keep(struct ps_metrics_reader *r, const struct ps_metrics_sample *s)
{
	struct ps_metrics_page *p = r->page;
	if (p->n == PS_METRICS_MAX_SAMPLES) {
		ps_error_set(r->err, PS_ETOOBIG, "over %d samples", PS_METRICS_MAX_SAMPLES);
		return PS_ETOOBIG;
	}
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 256;
		struct ps_metrics_sample *more = realloc(p->samples, cap * sizeof *more);
		if (more)
			p->samples = more;
		int *lines = realloc(p->lines, cap * sizeof *lines);
		if (lines)
			p->lines = lines;
		if (!more || !lines)
			return ps_metrics_read_no_memory(r);
		p->cap = cap;
	}
	p->lines[p->n] = r->line;
	p->samples[p->n++] = *s;
	return PS_OK;
}

static enum ps_status read_sample(struct ps_metrics_reader *r)
{
	struct ps_metrics_sample s = {0};
	const char *name;
	size_t n = ps_metrics_read_name(r, &name);
	if (n == 0)
		return ps_metrics_read_wrong(r, "a line that is neither comment nor sample");
	enum ps_status status = enter_family(r, name, n);
	if (status != PS_OK)
		return status;
	s.name = ps_arena_strndup(&r->page->arena, name, n);
	if (!s.name)
		return ps_metrics_read_no_memory(r);
	s.type = r->current->type;
	ps_metrics_read_blanks(r);
	status = ps_metrics_read_labels(r, &s.labels, &s.n_labels);
	ps_metrics_read_blanks(r);
	if (status == PS_OK)
		status = take_value(r, &s.value);
	return status == PS_OK ? keep(r, &s) : status;
}

/* The next line from *text on, without what ends it. */
static enum ps_status next_line(struct ps_metrics_reader *r, const char **text, const char *stop)
{
	r->line++;
	r->at = *text;
	r->end = memchr(*text, '\n', (size_t)(stop - *text));
	*text = r->end ? r->end + 1 : stop;
	if (!r->end && !r->any)
		return ps_metrics_read_wrong(r, "the last line does not end");
	r->end = r->end ? r->end : stop;
	if (r->any && r->end > r->at && r->end[-1] == '\r')
		r->end--;
	ps_metrics_read_blanks(r);
	return PS_OK;
}

/* Notes a line that is no sample, if such may be: the others are worth reading all the same. */
static enum ps_status forgive(struct ps_metrics_reader *r, enum ps_status status,
			      struct ps_metrics_loss *loss)
{
	if (status != PS_EPARSE || !r->any)
		return status;
	if (loss->lines++ == 0)
		snprintf(loss->first, sizeof loss->first, "%.20s: %.120s", r->err->where,
			 r->err->what);
	return PS_OK;
}

static enum ps_status read_lines(struct ps_metrics_reader *r, const char *text, size_t len,
				 struct ps_metrics_loss *loss)
{
	const char *stop = text + len;
	enum ps_status status = PS_OK;
	while (status == PS_OK && text < stop) {
		status = next_line(r, &text, stop);
		if (status != PS_OK || r->at == r->end)
			continue;
		status = *r->at == '#' ? read_comment(r) : read_sample(r);
		status = forgive(r, status, loss);
	}
	return status;
}

/* A page of lines of which none is a sample is no page of metrics: a web page, say. */
static enum ps_status check_any(struct ps_metrics_reader *r, const struct ps_metrics_loss *loss)
{
	if (r->page->n > 0 || loss->lines == 0)
		return PS_OK;
	ps_error_set(r->err, PS_EPARSE, "this is no page of metrics: %s", loss->first);
	return PS_EPARSE;
}

static enum ps_status read_page(struct ps_metrics_reader *r, const char *text, size_t len,
				struct ps_metrics_loss *loss, struct ps_metrics_page **ret_page)
{
	if (len > PS_METRICS_MAX_BYTES)
		return ps_error_set(r->err, PS_ETOOBIG, "%zu bytes of metrics, the limit is %d",
				    len, PS_METRICS_MAX_BYTES);
	r->page = calloc(1, sizeof *r->page);
	if (!r->page)
		return ps_metrics_read_no_memory(r);
	ps_arena_init(&r->page->arena, 0);
	enum ps_status status = read_lines(r, text, len, loss);
	if (status == PS_OK)
		status = r->any ? check_any(r, loss) : ps_metrics_read_rules(r);
	if (status != PS_OK) {
		ps_metrics_page_free(r->page);
		return status;
	}
	*ret_page = r->page;
	return PS_OK;
}

enum ps_status ps_metrics_read(const char *text, size_t len, struct ps_metrics_page **ret_page,
			       struct ps_error *err)
{
	struct ps_metrics_reader r = {.err = err};
	struct ps_metrics_loss none = {0};
	return read_page(&r, text, len, &none, ret_page);
}

enum ps_status ps_metrics_read_any(const char *text, size_t len, struct ps_metrics_page **ret_page,
				   struct ps_metrics_loss *ret_loss, struct ps_error *err)
{
	struct ps_error local = {.status = PS_OK};
	struct ps_metrics_reader r = {.any = true, .err = err ? err : &local};
	struct ps_metrics_loss loss = {0};
	enum ps_status status = read_page(&r, text, len, &loss, ret_page);
	if (status == PS_OK)
		*ret_loss = loss;
	return status;
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
