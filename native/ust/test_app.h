/* What the test program `test_app` is told over its standard input, one struct app_order at a time; it answers each with one
 * struct app_answer on its standard output. It takes libweft.so.0 by dlopen(), as any traced program does. */
#ifndef WEFT_UST_TEST_APP_H
#define WEFT_UST_TEST_APP_H

#include <stdint.h>

enum app_verb {
    APP_REGISTER,        /* provider `app`, event and point `tick`; answers the milliseconds that it took */
    APP_REGISTER_LATE,   /* event and point `late`, as a dlopen() would */
    APP_REGISTER_KINDS,  /* event and point `kinds`: a field of each kind (test_fields.h) */
    APP_EMIT_KINDS,      /* `argument` events of it; its name is 10 times as many characters long */
    APP_REGISTER_TWIN,   /* another object's description of `tick`, whose probe says thread 200 */
    APP_UNREGISTER,      /* the first description of `tick`; its point stays */
    APP_UNREGISTER_LATE, /* event and point `late` */
    APP_EMIT,            /* `argument` events of each point */
    APP_EMIT_FOR_EVER,   /* `argument` threads do, until the program ends */
    APP_EMITTED,         /* how many events those threads have emitted */
    APP_TRACE_TEXT,      /* tracef() and tracelog() with `argument` characters */
    APP_CLOSE_FDS,       /* closes every descriptor above 2 and opens so many files that the numbers are taken again */
    APP_FILES_TOUCHED,   /* how many of those files are no longer empty files */
    APP_FORK,            /* a child emits `argument` ticks of thread 100 and ends; answers its status */
    APP_LOAD,            /* 1: loads libanl.so.1 and tells the library as libweft-dl.so does; 0: unloads it */
    APP_SETUID,          /* becomes user `argument` */
    APP_CONTEXT,         /* $app.app:mode is `argument`; 0: nobody gives it any more */
    APP_EMIT_AT_EXIT     /* at its end: `argument` ticks before and as many after its objects withdraw what they registered */
};

struct app_order {
    uint32_t verb;
    uint32_t argument;
};

struct app_answer {
    uint64_t value;
};

#endif
