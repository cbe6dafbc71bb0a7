/* What the generated probes are made of. Nothing here is for programs. */
#ifndef WEFT_SERIALIZE_H
#define WEFT_SERIALIZE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A field whose size is known only at run time, measured once: where it lies and how many bytes of it are recorded. */
struct weft_measured {
    const void *from;
    size_t length;
};

static inline __attribute__((unused, always_inline)) size_t weft_measure_string(struct weft_measured *m, const char *text)
{
    m->from = text ? text : "(null)";
    m->length = strlen((const char *)m->from);
    return m->length + 1;
}

/* Copies what was measured. Whoever owns the text may be changing it: a NUL that was not there before is covered with '#', or a
 * reader would take the rest for the next field. */
static inline __attribute__((unused)) char *weft_put_string(char *at, const struct weft_measured *m)
{
    memcpy(at, m->from, m->length);
    at[m->length] = 0;
    const size_t shown = strlen(at);
    if (__builtin_expect(shown != m->length, 0))
        memset(at + shown, '#', m->length - shown);
    return at + m->length + 1;
}

/* Text of a given size: up to its NUL, then zeros; what lies behind the NUL is not read. */
static inline __attribute__((unused)) char *weft_put_text(char *at, const void *from, size_t length)
{
    const char *end = (const char *)memchr(from, 0, length);
    const size_t shown = end ? (size_t)(end - (const char *)from) : length;
    memcpy(at, from, shown);
    memset(at + shown, 0, length - shown);
    return at + length;
}

#define WEFT_SIGN_OF(type) (((type)-1 < (type)1) ? WEFT_INT_SIGNED : 0u)

#define WEFT_IF_WRITE(...) __VA_ARGS__
#define WEFT_IF_NOWRITE(...)
#define WEFT_FLAGS_WRITE 0u
#define WEFT_FLAGS_NOWRITE WEFT_FIELD_NOWRITE

#endif
