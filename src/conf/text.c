/* text.c - text broken into lines. */
#include "conf_internal.h"

#include <ctype.h>
#include <string.h>

/* Columns that `n` bytes of UTF-8 take, one per character. */
size_t ps_conf_columns(const char *s, size_t n)
{
	size_t c = 0;

	for (size_t i = 0; i < n; i++)
		c += ((unsigned char)s[i] & 0xC0) != 0x80;
	return c;
}

void ps_conf_spaces(struct ps_strbuf *out, size_t n)
{
	while (n-- > 0)
		ps_strbuf_putc(out, ' ');
}

/* Appends one paragraph, broken at blanks so that no line passes `width`; the cursor stands at
 * column `at`, later lines start at `indent`. Ends the last line. */
void ps_conf_wrap(struct ps_strbuf *out, const char *text, size_t len, size_t at, size_t indent,
		  size_t width)
{
	const char *end = text + len;
	bool first = true;

	while (text < end) {
		while (text < end && isspace((unsigned char)*text))
			text++;
		const char *word = text;
		/* a number and its "%" stay on one line */
		while (text < end && (!isspace((unsigned char)*text) ||
				      (end - text > 1 && text[0] == ' ' && text[1] == '%')))
			text++;
		size_t n = ps_conf_columns(word, (size_t)(text - word));
		if (n == 0)
			break;
		if (!first && at + 1 + n > width) {
			ps_strbuf_putc(out, '\n');
			ps_conf_spaces(out, indent);
			at = indent;
			first = true;
		}
		if (!first)
			ps_strbuf_putc(out, ' ');
		ps_strbuf_append(out, word, (size_t)(text - word));
		at += n + !first;
		first = false;
	}
	ps_strbuf_putc(out, '\n');
}

/* Paragraphs are separated by empty lines; a line that starts with a blank is kept as it is. */
void ps_conf_wrap_paragraphs(struct ps_strbuf *out, const char *text, size_t indent, size_t width)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		if (*text == '\n' || isblank((unsigned char)*text)) {
			if (n > 0)
				ps_conf_spaces(out, indent);
			ps_strbuf_append(out, text, n);
			ps_strbuf_putc(out, '\n');
			text += n + (text[n] == '\n');
			continue;
		}
		while (text[n] == '\n' && text[n + 1] && text[n + 1] != '\n' &&
		       !isblank((unsigned char)text[n + 1]))
			n += 1 + strcspn(text + n + 1, "\n");
		ps_conf_spaces(out, indent);
		ps_conf_wrap(out, text, n, indent, indent, width);
		text += n + (text[n] == '\n');
	}
}
