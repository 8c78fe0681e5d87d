/* oip_internal.h - what the files of oip/ share: a pull reader of JSON that makes no nodes,
 * numbers, tensors in both forms. */
#ifndef PS_OIP_INTERNAL_H
#define PS_OIP_INTERNAL_H

#include "oip/oip.h"

/* --- read.c: JSON --- */

struct ps_oip_reader {
	char *start, *at, *end;
	int depth;
	struct ps_arena *arena;
	struct ps_error *err;
};

/* ps_oip_reader_init reads bytes[0..n), which strings are decoded in. */
void ps_oip_reader_init(struct ps_oip_reader *r, char *bytes, size_t n, struct ps_arena *arena,
			struct ps_error *err);
/* ps_oip_read_fail sets PS_EPARSE with the offset in `where`. */
enum ps_status ps_oip_read_fail(struct ps_oip_reader *r, const char *what);
/* ps_oip_peek skips blanks and returns the next byte, 0 at the end; most often there are none. */
char ps_oip_peek_behind_blanks(struct ps_oip_reader *r);
static inline char ps_oip_peek(struct ps_oip_reader *r)
{
	return r->at < r->end && (unsigned char)*r->at > ' ' ? *r->at
							     : ps_oip_peek_behind_blanks(r);
}

/* A key of an object that is understood; others are checked and passed over. */
struct ps_oip_field {
	const char *name;
	enum ps_status (*read)(struct ps_oip_reader *r, void *out);
};

/* ps_oip_read_object reads {...}; a known key that comes twice is refused. At most 32 fields. */
enum ps_status ps_oip_read_object(struct ps_oip_reader *r, const struct ps_oip_field *fields,
				  int n_fields, void *out);
/* ps_oip_read_members reads {...} with any keys. */
enum ps_status ps_oip_read_members(struct ps_oip_reader *r,
				   enum ps_status (*member)(struct ps_oip_reader *r,
							    const char *name, void *out),
				   void *out);
/* ps_oip_read_array reads [...], calling `item` at each element. */
enum ps_status ps_oip_read_array(struct ps_oip_reader *r,
				 enum ps_status (*item)(struct ps_oip_reader *r, void *out),
				 void *out);
/* ps_oip_read_bytes reads a string, decoded in place and NUL-terminated; it may hold NULs. */
enum ps_status ps_oip_read_bytes(struct ps_oip_reader *r, char **ret_text, size_t *ret_n);
/* ps_oip_read_text reads a string without NULs of at most `max` bytes. `what` names it in errors.
 */
enum ps_status ps_oip_read_text(struct ps_oip_reader *r, const char *what, size_t max,
				const char **ret_text);
/* ps_oip_read_bool reads true or false. */
enum ps_status ps_oip_read_bool(struct ps_oip_reader *r, bool *ret_value);
/* ps_oip_read_int reads an integer. */
enum ps_status ps_oip_read_int(struct ps_oip_reader *r, int64_t *ret_value);
/* ps_oip_skip checks one value of any kind and passes over it, changing nothing. */
enum ps_status ps_oip_skip(struct ps_oip_reader *r);
/* ps_oip_read_word passes over `word` if it comes next. */
bool ps_oip_read_word(struct ps_oip_reader *r, const char *word);
/* ps_oip_read_end refuses anything but blanks. */
enum ps_status ps_oip_read_end(struct ps_oip_reader *r);
/* ps_oip_enter and ps_oip_leave count nesting. */
enum ps_status ps_oip_enter(struct ps_oip_reader *r);
void ps_oip_leave(struct ps_oip_reader *r);

/* --- number.c --- */

struct ps_oip_number {
	const char *text;
	size_t n;	   /* bytes of text */
	uint64_t mantissa; /* of the first digits, at most 19 significant ones */
	int64_t exponent;  /* value = mantissa * 10^exponent when exact */
	bool negative;
	bool integer; /* neither point nor exponent */
	bool exact;   /* no digit was left out of mantissa */
};

/* ps_oip_scan_number reads a number of JSON's grammar; false when there is none. */
bool ps_oip_scan_number(const char *at, const char *end, struct ps_oip_number *ret_number);
/* ps_oip_number_real and ps_oip_number_float convert, correctly rounded; false when the result is
 * infinite, or in doubt with over 1,024 characters. */
bool ps_oip_number_real(const struct ps_oip_number *n, double *ret_value);
bool ps_oip_number_float(const struct ps_oip_number *n, float *ret_value);
/* ps_oip_scan_real reads a float (fp32) or double and returns how many bytes it took; 0 when there
 * is none, or none that is finite. */
size_t ps_oip_scan_real(const char *at, const char *end, bool fp32, void *ret_value);
/* ps_oip_number_int converts an integer between min and max (min <= 0). */
bool ps_oip_number_int(const struct ps_oip_number *n, int64_t min, uint64_t max,
		       uint64_t *ret_bits);
/* ps_oip_put_real appends the shortest form that reads back as the same FP32 or FP64. */
void ps_oip_put_real(struct ps_strbuf *out, double v, bool fp32);

/* --- tensor.c: the tensor objects of requests and responses --- */

/* A tensor while its object is read. */
struct ps_oip_tensor {
	struct ps_tensor t;
	bool has_shape, has_data;
	char *data_at;	     /* JSON data that is still to be read, NULL when none */
	int64_t binary_size; /* parameter binary_data_size, -1 when absent */
};

/* How tensors are called in errors, and where to put them. */
struct ps_oip_tensors {
	const char *kind;	     /* "input" or "output" */
	struct ps_oip_tensor *items; /* room for PS_MODEL_MAX_TENSORS, the caller's */
	int n;
};

/* ps_oip_read_tensors reads an array of tensor objects into a struct ps_oip_tensors. */
enum ps_status ps_oip_read_tensors(struct ps_oip_reader *r, struct ps_oip_tensors *out);
/* ps_oip_place_tensors gives each its data, from the JSON or from binary[0..n), and returns them.
 */
enum ps_status ps_oip_place_tensors(struct ps_oip_tensors *in, char *binary, size_t n,
				    struct ps_arena *arena, struct ps_tensor **ret_tensors,
				    struct ps_error *err);
/* ps_oip_place_raw makes `bytes` at `data` the content of `t`, whose type and shape are known:
 * checks the size and what BOOL and BYTES hold, and aligns it, moving it down by at most `room`
 * bytes, else into the arena. */
enum ps_status ps_oip_place_raw(const char *kind, struct ps_tensor *t, void *data, size_t bytes,
				size_t room, struct ps_arena *arena, struct ps_error *err);
/* ps_oip_split checks the header's value against the body and finds its two parts. */
enum ps_status ps_oip_split(char *body, size_t n, int64_t json_bytes, size_t *ret_json_bytes,
			    struct ps_error *err);

/* --- parameter.c --- */

/* ps_oip_add_parameter takes a parameter of a request: those that the protocol reserves into their
 * fields, all but binary_data_output into the list as well. */
enum ps_status ps_oip_add_parameter(struct ps_oip_request *q, const struct ps_oip_parameter *p,
				    struct ps_arena *arena, struct ps_error *err);
/* ps_oip_refuse_shared_memory refuses shared_memory_* of a tensor, PS_EUNSUPPORTED. */
enum ps_status ps_oip_refuse_shared_memory(const char *name, struct ps_error *err);
/* ps_oip_refuse_output_parameter refuses classification, too. */
enum ps_status ps_oip_refuse_output_parameter(const char *name, struct ps_error *err);

/* --- data.c --- */

/* ps_oip_read_data reads the JSON data of `t`, whose type and shape are known. */
enum ps_status ps_oip_read_data(struct ps_oip_reader *r, const char *kind, struct ps_tensor *t);
/* ps_oip_check_bytes says whether `t` (BYTES) is a sequence of `count` lengths with their bytes. */
bool ps_oip_check_bytes(const void *data, size_t n, int64_t count);

/* --- write.c --- */

/* ps_oip_put_text appends a JSON string; false when the bytes are not UTF-8 (then '?' stands for
 * each bad byte). */
bool ps_oip_put_text(struct ps_strbuf *out, const char *s, size_t n);
/* ps_oip_put_uint appends a number. */
void ps_oip_put_uint(struct ps_strbuf *out, uint64_t v);
/* ps_oip_check_tensor says whether the bytes of a tensor agree with its type and shape. PS_EINVAL.
 */
enum ps_status ps_oip_check_tensor(const char *kind, const struct ps_tensor *t, int64_t *ret_count,
				   struct ps_error *err);
/* ps_oip_put_dims appends [1,2,3]. */
void ps_oip_put_dims(struct ps_strbuf *out, const int64_t *dims, int n);
/* ps_oip_put_tensor appends {"name":...,"shape":...}: its data as JSON, or its binary size. */
enum ps_status ps_oip_put_tensor(struct ps_strbuf *out, const char *kind, const struct ps_tensor *t,
				 bool binary, struct ps_error *err);
/* ps_oip_finish makes the message of the JSON in `json` and the binary ones of the tensors. */
enum ps_status ps_oip_finish(const struct ps_strbuf *json, const struct ps_tensor *tensors,
			     const bool *binary, bool all_binary, int n, struct ps_arena *arena,
			     struct ps_oip_message *ret_message, struct ps_error *err);
/* ps_oip_valid_utf8 returns the length of the valid sequence at s (1..4), 0 when there is none. */
size_t ps_oip_valid_utf8(const char *s, const char *end);

#endif
