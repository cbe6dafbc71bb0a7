/* A library with points whose probes are the program's, and in another file (points_own.c) with a provider of its own. */
#define WEFT_TRACEPOINT_DEFINE
#define WEFT_TRACEPOINT_PROBE_DYNAMIC_LINKAGE
#include "points_provider.h"

void own_event(void);
__attribute__((visibility("default"))) void library_number(int n);
void library_number(int n)
{
    weft_tracepoint(weft_points, number, n);
    own_event();
}
