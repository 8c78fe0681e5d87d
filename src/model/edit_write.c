/* edit_write.c - replaces nodes, and writes the file with them. */
#include "model/edit_internal.h"
#include "model/onnx.h"

static void put_varint(struct ps_strbuf *to, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		ps_strbuf_putc(to, (char)(v | 0x80));
	ps_strbuf_putc(to, (char)v);
}

static void put_bytes(struct ps_strbuf *to, uint64_t number, const void *data, size_t len)
{
	put_varint(to, number << 3 | PS_WIRE_BYTES);
	put_varint(to, len);
	ps_strbuf_append(to, data, len);
}

static void put_text(struct ps_strbuf *to, uint64_t number, const char *text)
{
	put_bytes(to, number, text, strlen(text));
}

static void put_number(struct ps_strbuf *to, uint64_t number, int64_t v)
{
	put_varint(to, number << 3 | PS_WIRE_VARINT);
	put_varint(to, (uint64_t)v);
}

/* ---- replacing ---- */

static void put_attr(struct ps_strbuf *to, const char *name, int64_t value)
{
	struct ps_strbuf a;

	ps_strbuf_init(&a);
	put_text(&a, PS_EDIT_ATTR_NAME, name);
	put_number(&a, PS_EDIT_ATTR_I, value);
	put_number(&a, PS_EDIT_ATTR_TYPE, PS_EDIT_TYPE_INT);
	put_bytes(to, PS_EDIT_NODE_ATTR, a.data, a.len);
	to->failed |= a.failed;
	ps_strbuf_fini(&a);
}

static const char *kept(const struct ps_edit_node *n, int place)
{
	return place < n->n_in ? n->in[place] : "";
}

static void put_node(struct ps_strbuf *to, const struct ps_edit_node *n,
		     const struct ps_edit_replacement *r)
{
	int last = 0; /* inputs that are left out at the end are not written */

	for (int i = 0; i < r->n_keep; i++)
		last = kept(n, r->keep[i])[0] ? i + 1 : last;
	for (int i = 0; i < last; i++)
		put_text(to, PS_EDIT_NODE_IN, kept(n, r->keep[i]));
	for (int i = 0; i < n->n_out; i++)
		put_text(to, PS_EDIT_NODE_OUT, n->out[i]);
	put_text(to, PS_EDIT_NODE_NAME, n->name);
	put_text(to, PS_EDIT_NODE_OP, r->op);
	for (int i = 0; i < r->n_numbers; i++)
		put_attr(to, r->numbers[i].name, r->numbers[i].value);
	put_text(to, PS_EDIT_NODE_DOMAIN, r->domain);
}

/* The node does not read these any more. */
static void release(struct ps_edit *e, const struct ps_edit_node *n,
		    const struct ps_edit_replacement *r)
{
	for (int i = 0; i < n->n_in; i++) {
		struct ps_edit_stored *t = ps_edit_find(e, n->in[i]);
		bool stays = false;
		for (int k = 0; k < r->n_keep; k++)
			stays |= r->keep[k] == i;
		if (!t || stays)
			continue;
		t->released = true;
		t->dropped = --t->uses == 0;
	}
}

enum ps_status ps_edit_replace(struct ps_edit *e, int node, const struct ps_edit_replacement *r,
			       struct ps_error *err)
{
	struct ps_edit_node *n = &e->nodes[node];
	struct ps_strbuf bytes;
	char *copy = NULL;

	ps_strbuf_init(&bytes);
	put_node(&bytes, n, r);
	if (!bytes.failed)
		copy = ps_arena_strndup(&e->arena, bytes.data, bytes.len);
	n->replacement_bytes = bytes.len;
	ps_strbuf_fini(&bytes);
	if (!copy)
		return ps_error_set(err, PS_ENOMEM, "no memory to replace a node");
	n->replacement = copy;
	release(e, n, r);
	return PS_OK;
}

/* ---- writing ---- */

/* Whether a stored tensor, or the row of an input, is of one that went. `name` is its field. */
static bool is_dropped(const struct ps_edit *e, const struct ps_wire_field *f, uint64_t name)
{
	struct ps_wire_field text;
	char buf[PS_TENSOR_MAX_NAME];

	if (!ps_edit_field_text(f, name, &text) || text.len >= sizeof buf)
		return false;
	memcpy(buf, text.data, text.len);
	buf[text.len] = '\0';
	const struct ps_edit_stored *t = ps_edit_find(e, buf);
	return t && t->dropped && !t->constant;
}

static bool goes(const struct ps_edit *e, const struct ps_wire_field *f)
{
	if (ps_wire_is(f, PS_EDIT_GRAPH_STORED, PS_WIRE_BYTES))
		return is_dropped(e, f, 8);
	return ps_wire_is(f, PS_EDIT_GRAPH_INPUT, PS_WIRE_BYTES) && is_dropped(e, f, 1);
}

static void put_graph(struct ps_strbuf *to, const struct ps_edit *e,
		      const struct ps_wire_field *graph)
{
	struct ps_wire w = ps_edit_inside(graph);
	const uint8_t *from = w.pos;
	struct ps_wire_field f;
	int node = 0;

	for (; ps_wire_next(&w, &f); from = w.pos) {
		const struct ps_edit_node *n = ps_wire_is(&f, PS_EDIT_GRAPH_NODE, PS_WIRE_BYTES)
						       ? &e->nodes[node++]
						       : NULL;
		if (n && n->replacement)
			put_bytes(to, PS_EDIT_GRAPH_NODE, n->replacement, n->replacement_bytes);
		else if (!goes(e, &f))
			ps_strbuf_append(to, from, (size_t)(w.pos - from));
	}
}

static void put_opset(struct ps_strbuf *to, const char *domain)
{
	struct ps_strbuf s;

	ps_strbuf_init(&s);
	put_text(&s, 1, domain);
	put_number(&s, 2, 1);
	put_bytes(to, PS_EDIT_MODEL_OPSET, s.data, s.len);
	to->failed |= s.failed;
	ps_strbuf_fini(&s);
}

enum ps_status ps_edit_write(const struct ps_edit *e, const char *domain, struct ps_strbuf *to,
			     struct ps_error *err)
{
	struct ps_wire w = {.pos = e->data, .end = e->data + e->len};
	const uint8_t *from = w.pos;
	struct ps_wire_field f;
	struct ps_strbuf graph;

	for (; ps_wire_next(&w, &f); from = w.pos) {
		if (!ps_wire_is(&f, PS_EDIT_MODEL_GRAPH, PS_WIRE_BYTES)) {
			ps_strbuf_append(to, from, (size_t)(w.pos - from));
			continue;
		}
		ps_strbuf_init(&graph);
		put_graph(&graph, e, &f);
		put_bytes(to, PS_EDIT_MODEL_GRAPH, graph.data, graph.len);
		to->failed |= graph.failed;
		ps_strbuf_fini(&graph);
	}
	put_opset(to, domain);
	if (to->failed)
		return ps_error_set(err, PS_ENOMEM, "no memory to write the model");
	if (to->len > (size_t)PS_ONNX_MAX_BYTES)
		return ps_error_set(err, PS_ETOOBIG, "the model would take over %lld bytes",
				    (long long)PS_ONNX_MAX_BYTES);
	return PS_OK;
}
