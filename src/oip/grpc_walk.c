/* Messages read where they lie. */
#include "oip/grpc_internal.h"

#include <string.h>

enum ps_status ps_oip_walk_fail(struct ps_oip_walk *w, const char *what)
{
	return ps_error_set(w->err, PS_EPARSE, "failed to parse the %s: %s", w->message, what);
}

enum ps_status ps_oip_walk(struct ps_oip_walk *w, const struct ps_oip_slice *in,
			   ps_oip_field_reader *field, void *out)
{
	struct ps_wire wire = {.pos = in->data, .end = in->data + in->n};
	struct ps_wire_field f;
	enum ps_status s = PS_OK;
	for (const uint8_t *start = wire.pos; s == PS_OK && ps_wire_next(&wire, &f);
	     start = wire.pos) {
		struct ps_oip_slice bytes = {0};
		if (f.type == PS_WIRE_BYTES) {
			size_t room = (size_t)(f.data - start);
			bytes = (struct ps_oip_slice){in->data + (f.data - in->data), f.len, room};
		}
		s = field(w, &f, &bytes, out);
	}
	if (s == PS_OK && wire.broken)
		return ps_oip_walk_fail(w, "a field that is cut off or malformed");
	return s;
}

enum ps_status ps_oip_take_text(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				const char *what, size_t max, const char **ret_text)
{
	char *text = (char *)bytes->data, *end = text + bytes->n;
	if (bytes->n > max)
		return ps_error_set(w->err, PS_ETOOBIG, "%s has over %zu bytes", what, max);
	for (const char *p = text; p < end;) {
		size_t n = ps_oip_valid_utf8(p, end);
		if (n == 0 || *p == '\0')
			return ps_error_set(w->err, PS_EINVAL, "%s %s", what,
					    n ? "holds a NUL" : "is not UTF-8");
		p += n;
	}
	/* The byte before is the last one of the field's length, which has been read. */
	memmove(text - 1, text, bytes->n);
	end[-1] = '\0';
	*ret_text = text - 1;
	return PS_OK;
}
