/* Server reflection: the schemas that the messages were compiled from, as the schema compiler
 * describes them, taken in by the assembler. */
#include "model/wire.h"
#include "oip/proto_internal.h"

#include <stdio.h>
#include <string.h>

__asm__(".section .rodata\n"
	".balign 16\nps_oip_services_start:\n"
	".incbin \"" PS_OIP_SERVICES "\"\n"
	"ps_oip_services_end:\n"
	".byte 0\n"
	".previous\n");
extern const uint8_t ps_oip_services_start[], ps_oip_services_end[];

enum { MAX_FILES = 8, MAX_IMPORTS = 4 };

/* Field numbers of FileDescriptorSet, FileDescriptorProto and DescriptorProto; a service's methods
 * have the number of a message's fields, and every name has the same. */
enum { SET_FILE = 1 };
enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_IMPORT = 3, FILE_MESSAGE = 4, FILE_ENUM = 5 };
enum { FILE_SERVICE = 6, NAME = 1, MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4 };

struct text {
	const char *s;
	size_t n;
};

static bool same(struct text a, const char *b)
{
	return a.n == strlen(b) && memcmp(a.s, b, a.n) == 0;
}

/* The first text field of this number in a message. */
static struct text text_of(const struct ps_wire_field *message, uint64_t number)
{
	struct ps_wire w = {.pos = message->data, .end = message->data + message->len};
	struct ps_wire_field f;
	while (ps_wire_next(&w, &f))
		if (ps_wire_is(&f, number, PS_WIRE_BYTES))
			return (struct text){(const char *)f.data, f.len};
	return (struct text){"", 0};
}

/* Takes "name" or "name." off the front of a symbol; NULL when it begins otherwise. */
static const char *step(const char *symbol, struct text name)
{
	if (name.n == 0 || strncmp(symbol, name.s, name.n) != 0)
		return NULL;
	symbol += name.n;
	return *symbol == '.' ? symbol + 1 : *symbol ? NULL : symbol;
}

static bool defines(const struct ps_wire_field *scope, bool file, const char *symbol);

/* Does a message, enum, service, method or field that is called `f` define the rest of a symbol? */
static bool member_defines(const struct ps_wire_field *f, bool scope, const char *symbol)
{
	const char *rest = step(symbol, text_of(f, NAME));
	if (!rest)
		return false;
	return !*rest || (scope && defines(f, false, rest));
}

/* Looks for a symbol among the members of a file or a message (or the methods of a service, whose
 * number is that of a message's fields). The compiler's own output nests as deep as our schemas do.
 */
static bool defines(const struct ps_wire_field *scope, bool file, const char *symbol)
{
	struct ps_wire w = {.pos = scope->data, .end = scope->data + scope->len};
	struct ps_wire_field f;
	while (ps_wire_next(&w, &f)) {
		if (f.type != PS_WIRE_BYTES)
			continue;
		bool type = file ? f.number == FILE_MESSAGE || f.number == FILE_SERVICE
				 : f.number == MESSAGE_NESTED;
		bool leaf = file ? f.number == FILE_ENUM
				 : f.number == MESSAGE_FIELD || f.number == MESSAGE_ENUM;
		if ((type || leaf) && member_defines(&f, type, symbol))
			return true;
	}
	return false;
}

/* The files of the set; the compiler's output, so that its form is not in question. */
static int files(struct ps_wire_field out[MAX_FILES])
{
	struct ps_wire w = {.pos = ps_oip_services_start, .end = ps_oip_services_end};
	struct ps_wire_field f;
	int n = 0;
	while (n < MAX_FILES && ps_wire_next(&w, &f))
		if (ps_wire_is(&f, SET_FILE, PS_WIRE_BYTES))
			out[n++] = f;
	return n;
}

static int find_file(const struct ps_wire_field *all, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (same(text_of(&all[i], FILE_NAME), name))
			return i;
	return -1;
}

static int find_symbol(const struct ps_wire_field *all, int n, const char *symbol)
{
	for (int i = 0; i < n; i++) {
		const char *rest = step(symbol, text_of(&all[i], FILE_PACKAGE));
		if (rest && *rest && defines(&all[i], true, rest))
			return i;
	}
	return -1;
}

/* --- answers --- */

struct answer {
	Grpc__Reflection__V1__ServerReflectionResponse response;
	Grpc__Reflection__V1__FileDescriptorResponse files;
	ProtobufCBinaryData bytes[MAX_FILES];
	Grpc__Reflection__V1__ListServiceResponse list;
	Grpc__Reflection__V1__ServiceResponse services[MAX_FILES];
	Grpc__Reflection__V1__ServiceResponse *service_pointers[MAX_FILES];
	char names[MAX_FILES][128];
	Grpc__Reflection__V1__ErrorResponse error;
};

static void answer_error(struct answer *a, int grpc_status, char *text)
{
	a->response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
	a->response.error_response = &a->error;
	a->error.error_code = grpc_status;
	a->error.error_message = text;
}

static void add_file(struct answer *a, const struct ps_wire_field *f)
{
	for (size_t i = 0; i < a->files.n_file_descriptor_proto; i++)
		if (a->bytes[i].data == f->data)
			return;
	if (a->files.n_file_descriptor_proto == MAX_FILES)
		return;
	a->bytes[a->files.n_file_descriptor_proto++] =
		(ProtobufCBinaryData){f->len, (uint8_t *)f->data};
}

/* The file and what it imports (imports import nothing). */
static void answer_file(struct answer *a, const struct ps_wire_field *all, int n, int file)
{
	if (file < 0) {
		answer_error(a, ps_status_get(PS_ENOTFOUND)->grpc, "not found");
		return;
	}
	a->response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	a->response.file_descriptor_response = &a->files;
	a->files.file_descriptor_proto = a->bytes;
	add_file(a, &all[file]);
	struct ps_wire w = {.pos = all[file].data, .end = all[file].data + all[file].len};
	struct ps_wire_field f;
	while (ps_wire_next(&w, &f))
		for (int i = 0; ps_wire_is(&f, FILE_IMPORT, PS_WIRE_BYTES) && i < n; i++) {
			struct text name = text_of(&all[i], FILE_NAME);
			if (name.n == f.len && memcmp(name.s, f.data, f.len) == 0)
				add_file(a, &all[i]);
		}
}

static void add_service(struct answer *a, const struct ps_wire_field *file,
			const struct ps_wire_field *service)
{
	size_t i = a->list.n_service;
	struct text package = text_of(file, FILE_PACKAGE), name = text_of(service, NAME);
	if (i == MAX_FILES)
		return;
	snprintf(a->names[i], sizeof a->names[i], "%.*s.%.*s", (int)package.n, package.s,
		 (int)name.n, name.s);
	grpc__reflection__v1__service_response__init(&a->services[i]);
	a->services[i].name = a->names[i];
	a->service_pointers[i] = &a->services[i];
	a->list.n_service++;
}

static void answer_list(struct answer *a, const struct ps_wire_field *all, int n)
{
	a->response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	a->response.list_services_response = &a->list;
	a->list.service = a->service_pointers;
	for (int i = 0; i < n; i++) {
		struct ps_wire w = {.pos = all[i].data, .end = all[i].data + all[i].len};
		struct ps_wire_field f;
		while (ps_wire_next(&w, &f))
			if (ps_wire_is(&f, FILE_SERVICE, PS_WIRE_BYTES))
				add_service(a, &all[i], &f);
	}
}

static void answer(struct answer *a, const Grpc__Reflection__V1__ServerReflectionRequest *q)
{
	struct ps_wire_field all[MAX_FILES];
	int n = files(all);
	switch (q->message_request_case) {
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		answer_file(a, all, n, find_file(all, n, q->file_by_filename));
		break;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		answer_file(a, all, n, find_symbol(all, n, q->file_containing_symbol));
		break;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		answer_list(a, all, n);
		break;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
		answer_error(a, ps_status_get(PS_ENOTFOUND)->grpc, "there are no extensions");
		break;
	default:
		answer_error(a, ps_status_get(PS_EINVAL)->grpc, "the request asks for nothing");
	}
}

enum ps_status ps_oip_grpc_reflect(const void *message, size_t n, struct ps_strbuf *out,
				   struct ps_error *err)
{
	struct ps_arena arena;
	struct answer a = {0};
	Grpc__Reflection__V1__ServerReflectionRequest *q = NULL;
	ps_arena_init(&arena, 0);
	enum ps_status s =
		ps_oip_unpack(&grpc__reflection__v1__server_reflection_request__descriptor, message,
			      n, &arena, &q, err);
	if (s == PS_OK) {
		grpc__reflection__v1__server_reflection_response__init(&a.response);
		grpc__reflection__v1__file_descriptor_response__init(&a.files);
		grpc__reflection__v1__list_service_response__init(&a.list);
		grpc__reflection__v1__error_response__init(&a.error);
		a.response.valid_host = q->host;
		a.response.original_request = q;
		answer(&a, q);
		ps_oip_pack(&a.response.base, out);
	}
	ps_arena_fini(&arena);
	return s;
}
