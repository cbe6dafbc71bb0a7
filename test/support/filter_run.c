/*
 * Runs compiled filters with libweft's own interpreter. Prints its pid, then a digit per case read from stdin: 1 kept, 0 not,
 * R refused by the verifier. A case, packed, little-endian: u32 n, program[n], i64 i, i64 e, f64 f, text s, text t, i64 a[3],
 * u8 n, i64 q[n], u8 what is registered (1 p:int, 2 p:num, 4 p:text), i64, f64, text. text: u8 n, byte[n].
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ust/app_context.h"
#include "ust/bytecode.h"
#include "ust/context.h"
#include "ust/filter.h"
#include "weft/serialize.h"

enum { I, E, F, S, T, A, Q, FIELDS };

static const struct weft_field fields[FIELDS] = {
    [I] = { .name = "i", .kind = WEFT_KIND_INTEGER, .integer = { 64, WEFT_INT_SIGNED, 10 } },
    [E] = { .name = "e", .kind = WEFT_KIND_ENUM, .integer = { 64, WEFT_INT_SIGNED, 10 } },
    [F] = { .name = "f", .kind = WEFT_KIND_FLOAT, .integer = { 64, 0, 10 } },
    [S] = { .name = "s", .kind = WEFT_KIND_STRING, .encoding = 1 },
    [T] = { .name = "t", .kind = WEFT_KIND_ARRAY, .encoding = 1, .integer = { 8, 0, 10 }, .length = 8 },
    [A] = { .name = "a", .kind = WEFT_KIND_ARRAY, .integer = { 64, WEFT_INT_SIGNED, 10 }, .length = 3 },
    [Q] = { .name = "q", .kind = WEFT_KIND_SEQUENCE, .integer = { 64, WEFT_INT_SIGNED, 10 }, .length_type = { 32, 0, 10 } },
};

static uint8_t registered;
static int64_t app_int;
static double app_num;
static char app_text[256];

static void get_int(void *data, struct weft_context_value *v)
{
    (void)data;
    v->kind = registered & 1 ? WEFT_CONTEXT_VALUE_INT64 : WEFT_CONTEXT_VALUE_NONE;
    v->as.integer = app_int;
}

static void get_num(void *data, struct weft_context_value *v)
{
    (void)data;
    v->kind = registered & 2 ? WEFT_CONTEXT_VALUE_DOUBLE : WEFT_CONTEXT_VALUE_NONE;
    v->as.number = app_num;
}

static void get_text(void *data, struct weft_context_value *v)
{
    (void)data;
    v->kind = registered & 4 ? WEFT_CONTEXT_VALUE_STRING : WEFT_CONTEXT_VALUE_NONE;
    v->as.text = app_text;
}

static int take(void *to, size_t bytes)
{
    return fread(to, 1, bytes, stdin) == bytes;
}

static void take_text(char text[256])
{
    uint8_t length = 0;
    memset(text, 0, 256);
    if (!take(&length, 1) || !take(text, length))
        exit(2);
}

static void one(uint32_t length)
{
    uint8_t *program = malloc(length);
    int64_t i, e, a[3], q[255];
    double f;
    char s[256], t[256];
    uint8_t count = 0;
    if (!take(program, length) || !take(&i, 8) || !take(&e, 8) || !take(&f, 8))
        exit(2);
    take_text(s);
    take_text(t);
    if (!take(a, sizeof(a)) || !take(&count, 1) || !take(q, count * sizeof(*q)) || !take(&registered, 1) || !take(&app_int, 8) ||
        !take(&app_num, 8))
        exit(2);
    take_text(app_text);
    struct weft_value values[FIELDS];
    weft_value_integer(&values[I], &i, 8, WEFT_INT_SIGNED);
    weft_value_integer(&values[E], &e, 8, WEFT_INT_SIGNED);
    weft_value_double(&values[F], f);
    weft_value_text(&values[S], s, WEFT_VALUE_UNMEASURED);
    weft_value_text(&values[T], t, 8);
    weft_value_array(&values[A], a, 3, 64, WEFT_INT_SIGNED);
    weft_value_array(&values[Q], q, count, 64, WEFT_INT_SIGNED);
    struct weft_filter *filter;
    if (weft_filter_verify(program, length, fields, FIELDS, &filter)) {
        putchar('R');
    } else {
        putchar(weft_filter_run(filter, values, FIELDS, NULL) ? '1' : '0');
        weft_filter_free(filter);
    }
    free(program);
}

int main(void)
{
    static struct weft_app_context contexts[] = {
        { sizeof(struct weft_app_context), "p:int", get_int, NULL, NULL },
        { sizeof(struct weft_app_context), "p:num", get_num, NULL, NULL },
        { sizeof(struct weft_app_context), "p:text", get_text, NULL, NULL },
    };
    prctl(PR_SET_NAME, "aab");
    weft_context_init();
    for (int k = 0; k < 3; k++) {
        if (weft_app_context_add(&contexts[k]))
            return 3;
    }
    printf("%d\n", (int)getpid());
    uint32_t length;
    while (take(&length, 4))
        one(length);
    return 0;
}
