#include "cli/shape_internal.h"

#include "base/units.h"

#include <stdlib.h>
#include <string.h>

static bool parse_dims(char *text, struct ps_load_shape *s)
{
	char *save = NULL;

	for (char *p = text; (p = strtok_r(p, "x", &save)); p = NULL) {
		if (s->rank == PS_TENSOR_MAX_RANK ||
		    ps_units_parse_int(p, &s->dims[s->rank], NULL) != PS_OK || s->dims[s->rank] < 0)
			return false;
		s->rank++;
	}
	return true;
}

enum ps_status ps_cli_shapes_parse(struct ps_conf_texts *texts, struct ps_load_shape **ret_shapes,
				   struct ps_error *err)
{
	struct ps_load_shape *shapes = calloc(texts->len + 1, sizeof(*shapes));

	if (!shapes)
		return ps_error_set(err, PS_ENOMEM, "no memory for shapes");
	for (size_t i = 0; i < texts->len; i++) {
		char *text = texts->items[i], *colon = strrchr(text, ':');

		if (colon)
			*colon = '\0';
		shapes[i].input = text;
		if (colon && colon != text && parse_dims(colon + 1, &shapes[i]))
			continue;
		free(shapes);
		ps_error_set(err, PS_EUSAGE, "the shape given for '%s' is none", text);
		ps_error_where(err, "--shape");
		ps_error_hint(err, "write it as INPUT:1x3x224x224, at most %d dimensions",
			      PS_TENSOR_MAX_RANK);
		return PS_EUSAGE;
	}
	*ret_shapes = shapes;
	return PS_OK;
}
