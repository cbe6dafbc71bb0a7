/*
 * usage: fields_program [ROUNDS]
 * Emits each event of fields_provider.h, in the order of the header. Compiled as C and as C++, for both tracers.
 */
#include "fields_provider.h"

#include <lttng/tracef.h>
#include <lttng/tracelog.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const int32_t numbers[4] = { 1, -2, 2147483647, -2147483647 - 1 };
static const uint16_t network[3] = { 0x0100, 0x0200, 0xffff };
static const struct every_sample samples[2] = {
    { -128, 255, -32768, 65535, -2147483647 - 1, 4294967295u, -9223372036854775807 - 1, 18446744073709551615u, numbers, network,
      "half\0whole!!", (void *)0x7f0012345678 },
    { 127, 1, 32767, 2, 2147483647, 3, 9223372036854775807, 4, numbers, network, "twelve bytes", NULL },
};

static void print_events(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lttng_ust_vtracef(format, arguments);
    va_end(arguments);
    va_start(arguments, format);
    lttng_ust_vtracelog(LTTNG_UST_TRACEPOINT_LOGLEVEL_NOTICE, format, arguments);
    va_end(arguments);
}

static void emit_sample(const struct every_sample *s)
{
    lttng_ust_tracepoint(weft_every, integers, s);
    lttng_ust_tracepoint(weft_every, c_types, s);
    lttng_ust_tracepoint(weft_every, hexadecimal, s);
    lttng_ust_tracepoint(weft_every, network, s);
    lttng_ust_tracepoint(weft_every, arrays, s);
    lttng_ust_tracepoint(weft_every, sequences, s, 3);
    lttng_ust_tracepoint(weft_every, sequences, s, 0);
    lttng_ust_tracepoint(weft_every, unwritten, s, "unwritten", 2);
}

static void emit_round(const char *large)
{
    lttng_ust_tracepoint(weft_every, nothing);
    lttng_ust_tracepoint(weft_every, nothing_void);
    emit_sample(&samples[0]);
    emit_sample(&samples[1]);
    lttng_ust_tracepoint(weft_every, floats, 1.5f, -2.25);
    lttng_ust_tracepoint(weft_every, floats, -0.0f, 1e300);
    lttng_ust_tracepoint(weft_every, strings, "text with \"quotes\" and \\", "", NULL);
    lttng_ust_tracepoint(weft_every, strings, "\xc3\xa4\xc3\xb6\xe2\x82\xac", large, "tab\tend");
    lttng_ust_tracepoint(weft_every, enumerations, EVERY_RED, -1);
    lttng_ust_tracepoint(weft_every, enumerations, 1, -50);
    lttng_ust_tracepoint(weft_every, enumerations, EVERY_GREEN, 0);
    lttng_ust_tracepoint(weft_every, enumerations, 15, 99);
    lttng_ust_tracepoint(weft_every, enumerations, 20, 1);
    lttng_ust_tracepoint(weft_every, ten, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    if (lttng_ust_tracepoint_enabled(weft_every, first))
        lttng_ust_do_tracepoint(weft_every, first, 1, "instance of a class");
    lttng_ust_tracepoint(weft_every, second, 2, "another one");
    lttng_ust_tracef("formatted %d of %s", 42, "tracef");
    lttng_ust_tracelog(LTTNG_UST_TRACEPOINT_LOGLEVEL_ERR, "error %d", 7);
    lttng_ust_tracelog(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG, "plain");
    print_events("from a list: %s %c", "text", 'x');
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 1;
    char large[3001];
    int i;
    memset(large, 'l', sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    for (i = 0; i < rounds; i++)
        emit_round(large);
    return 0;
}
