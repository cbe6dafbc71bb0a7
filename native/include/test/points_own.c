/* The second file with points of one library. */
#define WEFT_TRACEPOINT_DEFINE
#define WEFT_TRACEPOINT_CREATE_PROBES
#include "points_own.h"

void own_event(void);
void own_event(void)
{
    weft_tracepoint(weft_own, used);
}
