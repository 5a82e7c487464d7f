/* Text of the page: a growing string, and the two ways in which names from a model go into it.
 *
 * A model's names are untrusted. What is written through page_escape and page_json ends no element,
 * attribute or string, has no control characters, and cannot turn the direction of the text around
 * it.
 */
#include "html.h"

#include <stdarg.h>
#include <string.h>

static void reserve(struct page_text *to, size_t more)
{
	if (more > SIZE_MAX / 4 || to->n > SIZE_MAX / 4)
		memory_spent(arena_memory(to->arena));
	if (to->text && to->n + more < to->room)
		return;
	size_t room = 2 * (to->n + more) + 1024;
	char *text = arena_new(to->arena, char, room);
	if (to->text)
		memcpy(text, to->text, to->n);
	to->text = text;
	to->room = room;
}

static void put_bytes(struct page_text *to, const char *bytes, size_t n)
{
	reserve(to, n);
	memcpy(to->text + to->n, bytes, n);
	to->n += n;
	to->text[to->n] = 0;
}

void page_put(struct page_text *to, const char *text)
{
	put_bytes(to, text, strlen(text));
}

void page_printf(struct page_text *to, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	if (n > 0) {
		reserve(to, (size_t)n);
		vsnprintf(to->text + to->n, (size_t)n + 1, format, again);
		to->n += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

/* ---- untrusted text ---- */

/* The character at s and its length in bytes; 0xfffd and 1 if there is none. `s` ends with NUL. */
static uint32_t decode(const char *s, size_t *length)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t letter = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	*length = 1;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0xfffd;
		letter = letter << 6 | (p[i] & 0x3f);
	}
	if (!n || p[0] > 0xf4 || letter < least[n] || letter > 0x10ffff ||
	    (letter & ~0x7ffu) == 0xd800)
		return 0xfffd;
	*length = n;
	return letter;
}

/* Characters without a look of their own, some of which turn the direction of what follows. */
static bool is_invisible(uint32_t c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       (c & 0xfffe) == 0xfffe;
}

static void escape(struct page_text *to, const char *text, size_t most,
		   const char *(*special)(uint32_t letter))
{
	for (size_t i = 0, length; text[i]; i += length) {
		uint32_t letter = decode(text + i, &length);
		const char *instead = special(letter);
		if (most && i + length > most) {
			page_put(to, "…");
			return;
		}
		if (instead)
			page_put(to, instead);
		else if (letter == 0xfffd || is_invisible(letter))
			page_put(to, "\xef\xbf\xbd");
		else
			put_bytes(to, text + i, length);
	}
}

static const char *special_html(uint32_t letter)
{
	switch (letter) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '\n':
		return " ";
	default:
		return NULL;
	}
}

/* '<' is written as a number, so that no </script> or <!-- can be in it. */
static const char *special_json(uint32_t letter)
{
	switch (letter) {
	case '<':
		return "\\u003c";
	case '>':
		return "\\u003e";
	case '&':
		return "\\u0026";
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	default:
		return NULL;
	}
}

void page_escape(struct page_text *to, const char *text, size_t most)
{
	escape(to, text, most, special_html);
}

void page_json(struct page_text *to, const char *text, size_t most)
{
	page_put(to, "\"");
	escape(to, text, most, special_json);
	page_put(to, "\"");
}
