/* From a configuration to a snapshot: checks, copies, indexes. */
#include "tenancy/tenancy_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "out of memory");
}

static bool name_is_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._-";
	size_t n = name ? strlen(name) : 0;
	return n > 0 && n <= PS_TENANCY_MAX_NAME && strspn(name, good) == n;
}

static bool sla_is_good(const struct ps_sla *s)
{
	if (!ps_sla_is_set(s))
		return s->percentile == 0;
	return s->percentile < 1 && s->limit_ns > 0 && s->min_success >= 0 && s->min_success <= 1;
}

static enum ps_status check_rate(const struct ps_tenancy_rate *r, struct ps_error *err)
{
	if (!(r->per_s >= 0 && r->per_s <= 1e9))
		return ps_error_set(err, PS_EINVAL,
				    "the rate is not in 0..1e9 requests per second");
	if (r->per_s > 0 && !(r->burst >= 1 && r->burst <= 1e9))
		return ps_error_set(err, PS_EINVAL, "the burst is not in 1..1e9 requests");
	return PS_OK;
}

static enum ps_status check_limits(const struct ps_tenancy_tenant *from, struct ps_error *err)
{
	if (from->class != PS_TENANCY_GUARANTEED && from->class != PS_TENANCY_BEST_EFFORT)
		return ps_error_set(err, PS_EINVAL, "there is no such class");
	if (from->weight < 1 || from->weight > PS_TENANCY_MAX_WEIGHT)
		return ps_error_set(err, PS_EINVAL, "the weight is not in 1..%d",
				    PS_TENANCY_MAX_WEIGHT);
	if (from->queue_limit < 1)
		return ps_error_set(err, PS_EINVAL, "the queue limit is less than 1");
	if (from->concurrency < 0)
		return ps_error_set(err, PS_EINVAL, "the concurrency is negative");
	if (from->max_body_bytes < 0)
		return ps_error_set(err, PS_EINVAL, "the largest body is negative");
	if (from->memory_bytes < 0)
		return ps_error_set(err, PS_EINVAL, "the guaranteed memory is negative");
	return check_rate(&from->rate, err);
}

static enum ps_status check_values(const struct ps_tenancy_tenant *from, struct ps_error *err)
{
	if (!name_is_good(from->name))
		return ps_error_set(err, PS_EINVAL,
				    "a tenant's name has 1 to %d letters, digits, '.', '_', '-'",
				    PS_TENANCY_MAX_NAME);
	for (size_t i = 0; i < from->n_models; i++)
		if (!from->models[i] || !*from->models[i])
			return ps_error_set(err, PS_EINVAL, "a model's name is empty");
	if (!sla_is_good(&from->sla))
		return ps_error_set(err, PS_EINVAL, "the SLA is out of range");
	for (size_t i = 0; i < from->n_slas; i++) {
		const struct ps_tenancy_sla *s = &from->slas[i];
		if (!s->model || !*s->model)
			return ps_error_set(err, PS_EINVAL, "an SLA is for a model without a name");
		if (!sla_is_good(&s->sla))
			return ps_error_set(err, PS_EINVAL, "the SLA for %.64s is out of range",
					    s->model);
	}
	return check_limits(from, err);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_model(const void *a, const void *b)
{
	return strcmp(((const struct ps_tenancy_sla *)a)->model,
		      ((const struct ps_tenancy_sla *)b)->model);
}

static const char *copy_text(struct ps_tenancy *t, const char *text)
{
	return ps_arena_strndup(&t->arena, text, strlen(text));
}

static enum ps_status copy_models(struct ps_tenancy *t, struct tenancy_entry *e,
				  const struct ps_tenancy_tenant *from)
{
	if (from->n_models == 0)
		return PS_OK;
	e->models = ps_arena_alloc(&t->arena, from->n_models * sizeof *e->models);
	if (!e->models)
		return PS_ENOMEM;
	for (size_t i = 0; i < from->n_models; i++)
		if (!(e->models[i] = copy_text(t, from->models[i])))
			return PS_ENOMEM;
	e->n_models = from->n_models;
	qsort(e->models, e->n_models, sizeof *e->models, by_text);
	return PS_OK;
}

static enum ps_status copy_slas(struct ps_tenancy *t, struct tenancy_entry *e,
				const struct ps_tenancy_tenant *from, struct ps_error *err)
{
	if (from->n_slas == 0)
		return PS_OK;
	e->slas = ps_arena_alloc(&t->arena, from->n_slas * sizeof *e->slas);
	if (!e->slas)
		return no_memory(err);
	for (size_t i = 0; i < from->n_slas; i++) {
		e->slas[i] = from->slas[i];
		if (!(e->slas[i].model = copy_text(t, from->slas[i].model)))
			return no_memory(err);
	}
	e->n_slas = from->n_slas;
	qsort(e->slas, e->n_slas, sizeof *e->slas, by_model);
	for (size_t i = 1; i < e->n_slas; i++)
		if (by_model(&e->slas[i - 1], &e->slas[i]) == 0)
			return ps_error_set(err, PS_EINVAL, "two SLAs for %.64s", e->slas[i].model);
	return PS_OK;
}

static enum ps_status add_key(struct ps_tenancy *t, int who, const char *text, struct ps_error *err)
{
	unsigned char digest[PS_TENANCY_DIGEST_BYTES];
	if (!ps_tenancy_key_parse(text, digest)) {
		ps_error_set(err, PS_EINVAL, "a key is not of the form sha256:<64 hex digits>");
		ps_error_hint(err, "perseus serve keys prints a key and its digest");
		return PS_EINVAL;
	}
	struct tenancy_key *k = ps_tenancy_key_slot(t, digest);
	if (k->who != PS_TENANCY_NONE)
		return ps_error_set(err, PS_EINVAL, "a key is given twice, to %s and %s",
				    ps_tenancy_name(t, k->who), ps_tenancy_name(t, who));
	memcpy(k->digest, digest, sizeof digest);
	k->who = who;
	return PS_OK;
}

static enum ps_status add_cert(struct ps_tenancy *t, int who, const char *text,
			       struct ps_error *err)
{
	size_t len = text ? strlen(text) : 0;
	if (len == 0 || len > PS_TENANCY_MAX_CERT)
		return ps_error_set(err, PS_EINVAL, "a certificate's name has 1 to %d bytes",
				    PS_TENANCY_MAX_CERT);
	struct tenancy_word *w = ps_tenancy_words_find(&t->certs, text, len);
	if (w->who != PS_TENANCY_NONE)
		return ps_error_set(err, PS_EINVAL,
				    "the certificate name %.100s is given twice, to %s and %s",
				    text, ps_tenancy_name(t, w->who), ps_tenancy_name(t, who));
	*w = (struct tenancy_word){.text = copy_text(t, text), .len = len, .who = who};
	return w->text ? PS_OK : no_memory(err);
}

static enum ps_status add_identities(struct ps_tenancy *t, int who, const char *const *keys,
				     size_t n_keys, const char *const *certs, size_t n_certs,
				     struct ps_error *err)
{
	enum ps_status s = PS_OK;
	for (size_t i = 0; s == PS_OK && i < n_keys; i++)
		s = add_key(t, who, keys[i], err);
	for (size_t i = 0; s == PS_OK && i < n_certs; i++)
		s = add_cert(t, who, certs[i], err);
	return s;
}

/* The number that the name had before, or the next one. */
static enum ps_status take_number(struct ps_tenancy *t, const char *name, int *ret_number,
				  struct ps_error *err)
{
	size_t len = strlen(name);
	struct tenancy_word *w = ps_tenancy_words_find(&t->names, name, len);
	if (w->who != PS_TENANCY_NONE) {
		*ret_number = w->who;
		if (t->entries[w->who].exists)
			return ps_error_set(err, PS_EINVAL, "two tenants are called %s", name);
		return PS_OK;
	}
	if (t->n_entries == PS_TENANCY_MAX_NUMBERS) {
		ps_error_set(err, PS_ETOOBIG, "more than %d names of tenants since the start",
			     PS_TENANCY_MAX_NUMBERS);
		ps_error_hint(err, "restart the server to forget those that are gone");
		return PS_ETOOBIG;
	}
	const char *text = ps_arena_strndup(&t->arena, name, len);
	if (!text)
		return no_memory(err);
	*w = (struct tenancy_word){.text = text, .len = len, .who = t->n_entries};
	t->entries[t->n_entries] = (struct tenancy_entry){.name = text, .weight = 1};
	*ret_number = t->n_entries++;
	return PS_OK;
}

static enum ps_status set_open(struct ps_tenancy *t, int who, struct ps_error *err)
{
	if (t->open_tenant != PS_TENANCY_NONE)
		return ps_error_set(err, PS_EINVAL,
				    "tenants %s and %s both have no key: nothing tells them apart",
				    ps_tenancy_name(t, t->open_tenant), ps_tenancy_name(t, who));
	t->open_tenant = who;
	return PS_OK;
}

static enum ps_status add_tenant(struct ps_tenancy *t, const struct ps_tenancy_tenant *from,
				 struct ps_error *err)
{
	int who = 0;
	enum ps_status s = check_values(from, err);
	if (s == PS_OK)
		s = take_number(t, from->name, &who, err);
	if (s != PS_OK)
		return s;
	struct tenancy_entry *e = &t->entries[who];
	*e = (struct tenancy_entry){
		.name = e->name,
		.exists = true,
		.all_models = from->all_models,
		.may_load = from->may_load,
		.no_share = from->no_share,
		.sla = from->sla,
		.class = from->class,
		.weight = from->weight,
		.queue_limit = from->queue_limit,
		.concurrency = from->concurrency,
		.max_body_bytes = from->max_body_bytes,
		.memory_bytes = from->memory_bytes,
		.rate = from->rate,
	};
	if (copy_models(t, e, from) != PS_OK)
		return no_memory(err);
	s = copy_slas(t, e, from, err);
	if (s == PS_OK && from->n_keys == 0 && from->n_certs == 0)
		s = set_open(t, who, err);
	if (s == PS_OK)
		s = add_identities(t, who, from->keys, from->n_keys, from->certs, from->n_certs,
				   err);
	return s;
}

struct counts {
	size_t keys, certs, models;
};

static bool add_up(size_t *sum, size_t n, size_t limit)
{
	if (n > limit || *sum > limit - n)
		return false;
	*sum += n;
	return true;
}

static enum ps_status too_many(const char *what, int limit, struct ps_error *err)
{
	return ps_error_set(err, PS_ETOOBIG, "more than %d %s", limit, what);
}

static enum ps_status count(const struct ps_tenancy_config *c, struct counts *ret,
			    struct ps_error *err)
{
	struct counts n = {0};
	if (c->n_tenants == 0)
		return ps_error_set(err, PS_EINVAL, "there is no tenant");
	if (c->n_tenants > PS_TENANCY_MAX_TENANTS)
		return too_many("tenants", PS_TENANCY_MAX_TENANTS, err);
	bool keys = add_up(&n.keys, c->n_admin_keys, PS_TENANCY_MAX_KEYS);
	bool certs = add_up(&n.certs, c->n_admin_certs, PS_TENANCY_MAX_CERTS);
	bool models = true;
	for (size_t i = 0; i < c->n_tenants && keys && certs && models; i++) {
		const struct ps_tenancy_tenant *t = &c->tenants[i];
		keys = add_up(&n.keys, t->n_keys, PS_TENANCY_MAX_KEYS);
		certs = add_up(&n.certs, t->n_certs, PS_TENANCY_MAX_CERTS);
		models = add_up(&n.models, t->n_models, PS_TENANCY_MAX_MODELS) &&
			 add_up(&n.models, t->n_slas, PS_TENANCY_MAX_MODELS);
	}
	if (!keys)
		return too_many("keys", PS_TENANCY_MAX_KEYS, err);
	if (!certs)
		return too_many("certificate names", PS_TENANCY_MAX_CERTS, err);
	if (!models)
		return too_many("models and SLAs in the lists of tenants", PS_TENANCY_MAX_MODELS,
				err);
	*ret = n;
	return PS_OK;
}

static enum ps_status make_keys(struct ps_tenancy *t, size_t n)
{
	size_t size = 8;
	while (size < 2 * n + 1)
		size *= 2;
	t->keys = malloc(size * sizeof *t->keys);
	if (!t->keys)
		return PS_ENOMEM;
	for (size_t i = 0; i < size; i++)
		t->keys[i].who = PS_TENANCY_NONE;
	t->key_mask = size - 1;
	return PS_OK;
}

static enum ps_status make_tables(struct ps_tenancy *t, const struct counts *n, size_t n_numbers)
{
	t->entries = calloc(n_numbers, sizeof *t->entries);
	t->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!t->entries || !t->sha256 || make_keys(t, n->keys) != PS_OK ||
	    ps_tenancy_words_init(&t->names, n_numbers, false) != PS_OK ||
	    ps_tenancy_words_init(&t->certs, n->certs, true) != PS_OK)
		return PS_ENOMEM;
	return PS_OK;
}

/* Every number that was ever given keeps its name. */
static enum ps_status reserve(struct ps_tenancy *t, const struct ps_tenancy *previous,
			      struct ps_error *err)
{
	enum ps_status s = PS_OK;
	int number;
	for (int i = 0; previous && s == PS_OK && i < previous->n_entries; i++)
		s = take_number(t, previous->entries[i].name, &number, err);
	return s;
}

static enum ps_status fill(struct ps_tenancy *t, const struct ps_tenancy_config *c,
			   const struct ps_tenancy *previous, size_t *ret_bad, struct ps_error *err)
{
	enum ps_status s = reserve(t, previous, err);
	if (s == PS_OK) {
		s = add_identities(t, PS_TENANCY_ADMIN, c->admin_keys, c->n_admin_keys,
				   c->admin_certs, c->n_admin_certs, err);
		t->has_admin = c->n_admin_keys > 0 || c->n_admin_certs > 0;
		if (s != PS_OK)
			ps_error_where(err, "the operator");
	}
	for (size_t i = 0; s == PS_OK && i < c->n_tenants; i++) {
		s = add_tenant(t, &c->tenants[i], err);
		if (s != PS_OK) {
			const char *name = c->tenants[i].name;
			ps_error_where(err, "tenant %.64s", name ? name : "?");
			*ret_bad = i;
		}
	}
	return s;
}

enum ps_status ps_tenancy_new(const struct ps_tenancy_config *config,
			      const struct ps_tenancy *previous, struct ps_tenancy **ret_tenancy,
			      size_t *ret_bad, struct ps_error *err)
{
	struct counts n = {0};
	size_t bad = config->n_tenants;
	enum ps_status s = count(config, &n, err);
	struct ps_tenancy *t = s == PS_OK ? calloc(1, sizeof *t) : NULL;
	if (t) {
		size_t numbers = config->n_tenants + (previous ? (size_t)previous->n_entries : 0);
		atomic_init(&t->refs, 1);
		ps_arena_init(&t->arena, 0);
		t->open_tenant = PS_TENANCY_NONE;
		s = make_tables(t, &n, numbers);
		s = s == PS_OK ? fill(t, config, previous, &bad, err) : no_memory(err);
	} else if (s == PS_OK) {
		s = no_memory(err);
	}
	if (ret_bad)
		*ret_bad = bad;
	if (s == PS_OK)
		*ret_tenancy = t;
	else
		ps_tenancy_unref(t);
	return s;
}
