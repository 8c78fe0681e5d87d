#include "repo/text_internal.h"

#include <stdlib.h>
#include <string.h>

struct reader {
	const char *p, *end, *line_start;
	int line, depth, nodes;
	const char *file;
	struct ps_error *err;
};

static int column(const struct reader *r)
{
	return (int)(r->p - r->line_start) + 1;
}

static enum ps_status fail_at(const struct reader *r, enum ps_status st, int line, int col,
			      const char *what)
{
	ps_error_set(r->err, st, "%s", what);
	ps_error_where(r->err, "%s:%d:%d", r->file, line, col);
	return st;
}

static enum ps_status fail(const struct reader *r, enum ps_status st, const char *what)
{
	return fail_at(r, st, r->line, column(r), what);
}

static void skip_blank(struct reader *r)
{
	for (; r->p < r->end; r->p++) {
		if (*r->p == '\n') {
			r->line++;
			r->line_start = r->p + 1;
		} else if (*r->p == '#') {
			while (r->p + 1 < r->end && r->p[1] != '\n')
				r->p++;
		} else if (*r->p != ' ' && *r->p != '\t' && *r->p != '\r' && *r->p != '\v' &&
			   *r->p != '\f') {
			return;
		}
	}
}

/* The next character that counts, '\0' at the end. */
static char peek(struct reader *r)
{
	skip_blank(r);
	return r->p < r->end ? *r->p : '\0';
}

static bool accept(struct reader *r, char c)
{
	if (peek(r) != c || r->p >= r->end)
		return false;
	r->p++;
	return true;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.';
}

static bool is_name_start(char c)
{
	return is_word(c) && c != '.' && !(c >= '0' && c <= '9');
}

static struct ps_repo_node *new_node(struct reader *r, enum ps_repo_text_kind kind)
{
	struct ps_repo_node *n;

	if (++r->nodes > PS_REPO_TEXT_MAX_NODES) {
		fail(r, PS_ETOOBIG, "over 100000 values");
		return NULL;
	}
	n = calloc(1, sizeof(*n));
	if (!n) {
		fail(r, PS_ENOMEM, "out of memory");
		return NULL;
	}
	n->kind = kind;
	n->line = r->line;
	n->column = column(r);
	return n;
}

void ps_repo_text_free(struct ps_repo_node *n)
{
	while (n) {
		struct ps_repo_node *next = n->next;

		ps_repo_text_free(n->first); /* as deep as the reader went: 32 levels */
		free(n->name);
		free(n->text);
		free(n);
		n = next;
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int octal(struct reader *r)
{
	int v = 0;

	for (int i = 0; i < 3 && r->p < r->end && *r->p >= '0' && *r->p <= '7'; i++)
		v = v * 8 + (*r->p++ - '0');
	return v <= 255 ? v : -1;
}

static int hexadecimal(struct reader *r)
{
	int v = -1;

	for (int i = 0; i < 2 && r->p < r->end && hex_digit(*r->p) >= 0; i++)
		v = (v < 0 ? 0 : v) * 16 + hex_digit(*r->p++);
	return v;
}

/* The byte that an escape stands for (behind its backslash); -1: none. */
static int escape(struct reader *r)
{
	static const char from[] = "abfnrtv\\'\"?", to[] = "\a\b\f\n\r\t\v\\'\"?";
	const char *at;

	if (r->p >= r->end || *r->p == '\0')
		return -1;
	if (*r->p >= '0' && *r->p <= '7')
		return octal(r);
	if (*r->p == 'x' || *r->p == 'X') {
		r->p++;
		return hexadecimal(r);
	}
	at = strchr(from, *r->p);
	if (!at)
		return -1;
	r->p++;
	return (unsigned char)to[at - from];
}

/* One quoted piece, appended at `to`; the text is never longer than what is read. */
static enum ps_status read_piece(struct reader *r, char *to, size_t *len)
{
	int line = r->line, col = column(r);
	char quote = *r->p++;

	while (r->p < r->end && *r->p != quote && *r->p != '\n') {
		int c = (unsigned char)*r->p++;

		if (c == '\\' && (c = escape(r)) < 0)
			return fail(r, PS_EPARSE, "an escape that strings do not have");
		to[(*len)++] = (char)c;
	}
	if (r->p >= r->end || *r->p != quote)
		return fail_at(r, PS_EPARSE, line, col, "the string has no end on its line");
	r->p++;
	return PS_OK;
}

/* Bytes that the pieces of a string may need: up to the end of what can belong to it. */
static size_t string_bound(const struct reader *r)
{
	const char *p = r->p;
	char quote = '\0';

	for (; p < r->end; p++) {
		if (quote == '\0') {
			if (*p == '"' || *p == '\'')
				quote = *p;
			else if (*p == '#') /* a comment between two pieces */
				while (p + 1 < r->end && p[1] != '\n')
					p++;
			else if (!strchr(" \t\r\n\v\f", *p) || *p == '\0')
				break;
		} else if (*p == '\\') {
			p++;
		} else if (*p == quote || *p == '\n') {
			quote = '\0';
		}
	}
	return (size_t)((p < r->end ? p : r->end) - r->p);
}

static enum ps_status read_string(struct reader *r, struct ps_repo_node *n)
{
	n->text = malloc(string_bound(r) + 1);
	if (!n->text)
		return fail(r, PS_ENOMEM, "out of memory");
	while (peek(r) == '"' || peek(r) == '\'') {
		enum ps_status st = read_piece(r, n->text, &n->len);

		if (st != PS_OK)
			return st;
	}
	n->text[n->len] = '\0';
	return PS_OK;
}

static enum ps_status read_word(struct reader *r, struct ps_repo_node *n)
{
	bool minus = accept(r, '-');
	const char *start;

	skip_blank(r);
	for (start = r->p; r->p < r->end; r->p++) {
		bool exponent = r->p > start && (r->p[-1] == 'e' || r->p[-1] == 'E') &&
				(*start >= '0' && *start <= '9');

		if (!is_word(*r->p) && !(exponent && (*r->p == '-' || *r->p == '+')))
			break;
	}
	if (r->p == start)
		return fail(r, PS_EPARSE, "a value is missing here");
	n->len = (size_t)(r->p - start) + minus;
	n->text = malloc(n->len + 1);
	if (!n->text)
		return fail(r, PS_ENOMEM, "out of memory");
	n->text[0] = '-';
	memcpy(n->text + minus, start, n->len - minus);
	n->text[n->len] = '\0';
	return PS_OK;
}

static enum ps_status read_fields(struct reader *r, struct ps_repo_node *parent, char close);

static enum ps_status read_message(struct reader *r, struct ps_repo_node *n)
{
	char close = *r->p == '<' ? '>' : '}';
	enum ps_status st;

	r->p++;
	if (++r->depth > PS_REPO_TEXT_MAX_DEPTH)
		return fail(r, PS_ETOOBIG, "messages are nested over 32 levels deep");
	st = read_fields(r, n, close);
	r->depth--;
	return st;
}

static void append(struct ps_repo_node *parent, struct ps_repo_node *n)
{
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
}

static enum ps_status read_value(struct reader *r, struct ps_repo_node *parent, const char *name,
				 bool must_be_message)
{
	char c = peek(r);
	bool message = c == '{' || c == '<', string = c == '"' || c == '\'';
	struct ps_repo_node *n;

	if (must_be_message && !message)
		return fail(r, PS_EPARSE, "':' or '{' is missing here");
	n = new_node(r, message	 ? PS_REPO_TEXT_MESSAGE
			: string ? PS_REPO_TEXT_STRING
				 : PS_REPO_TEXT_WORD);
	if (!n)
		return r->err ? r->err->status : PS_ENOMEM;
	append(parent, n);
	n->name = strdup(name);
	if (!n->name)
		return fail(r, PS_ENOMEM, "out of memory");
	if (message)
		return read_message(r, n);
	return string ? read_string(r, n) : read_word(r, n);
}

static enum ps_status read_list(struct reader *r, struct ps_repo_node *parent, const char *name,
				bool must_be_message)
{
	if (accept(r, ']'))
		return PS_OK;
	for (;;) {
		enum ps_status st = read_value(r, parent, name, must_be_message);

		if (st != PS_OK)
			return st;
		if (accept(r, ']'))
			return PS_OK;
		if (!accept(r, ','))
			return fail(r, PS_EPARSE, "',' or ']' is missing here");
	}
}

static enum ps_status read_field(struct reader *r, struct ps_repo_node *parent)
{
	char name[64];
	const char *start = r->p;
	bool colon;

	while (r->p < r->end && is_word(*r->p) && *r->p != '.')
		r->p++;
	if ((size_t)(r->p - start) >= sizeof(name))
		return fail(r, PS_EPARSE, "the field's name is too long");
	memcpy(name, start, (size_t)(r->p - start));
	name[r->p - start] = '\0';
	colon = accept(r, ':');
	if (accept(r, '['))
		return read_list(r, parent, name, !colon);
	return read_value(r, parent, name, !colon);
}

static enum ps_status read_fields(struct reader *r, struct ps_repo_node *parent, char close)
{
	int line = r->line, col = column(r) - 1;

	for (;;) {
		char c = peek(r);
		enum ps_status st;

		if (r->p >= r->end)
			return close ? fail_at(r, PS_EPARSE, line, col, "this '{' is never closed")
				     : PS_OK;
		if (close && c == close) {
			r->p++;
			return PS_OK;
		}
		if (!is_name_start(c))
			return fail(r, PS_EPARSE, "the name of a field is missing here");
		st = read_field(r, parent);
		if (st != PS_OK)
			return st;
		if (!accept(r, ','))
			(void)accept(r, ';');
	}
}

enum ps_status ps_repo_text_parse(const char *text, size_t len, const char *file,
				  struct ps_repo_node **ret_root, struct ps_error *err)
{
	struct ps_error own = {0};
	struct reader r = {.p = text,
			   .end = text + len,
			   .line_start = text,
			   .line = 1,
			   .file = file,
			   .err = err ? err : &own};
	struct ps_repo_node *root = new_node(&r, PS_REPO_TEXT_MESSAGE);
	enum ps_status st;

	if (!root)
		return PS_ENOMEM;
	st = read_fields(&r, root, '\0');
	if (st != PS_OK)
		ps_repo_text_free(root);
	else
		*ret_root = root;
	return st;
}
