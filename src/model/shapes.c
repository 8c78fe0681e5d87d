#include "model/shapes.h"

#include <stdlib.h>
#include <string.h>

void ps_shapes_free(struct ps_shapes *s)
{
	ps_arena_fini(&s->arena);
	free(s->values);
	free(s->nodes);
	*s = (struct ps_shapes){0};
}

int64_t ps_shapes_elements(const struct ps_shapes_value *v)
{
	int64_t n;
	return v->rank >= 0 && ps_tensor_count(v->dims, v->rank, &n, NULL) == PS_OK ? n : -1;
}

int64_t ps_shapes_bytes(const struct ps_shapes_value *v)
{
	int64_t n = ps_shapes_elements(v), size = (int64_t)ps_dtype_size(v->dtype);
	return n >= 0 && size > 0 ? n * size : -1;
}

const struct ps_shapes_attr *ps_shapes_attr(const struct ps_shapes_node *n, const char *name)
{
	for (int i = 0; i < n->n_attrs; i++)
		if (strcmp(n->attrs[i].name, name) == 0)
			return &n->attrs[i];
	return NULL;
}

int64_t ps_shapes_int(const struct ps_shapes_node *n, const char *name, int64_t otherwise)
{
	const struct ps_shapes_attr *a = ps_shapes_attr(n, name);
	return a && a->kind == PS_SHAPES_INT ? a->ints[0] : otherwise;
}

bool ps_shapes_ints(const struct ps_shapes_node *n, const char *name, int count, int64_t otherwise,
		    int64_t *ret)
{
	const struct ps_shapes_attr *a = ps_shapes_attr(n, name);
	if (a && (a->kind != PS_SHAPES_INTS || a->n != count))
		return false;
	for (int i = 0; i < count; i++)
		ret[i] = a ? a->ints[i] : otherwise;
	return true;
}
