/* Points of a second file in the same object: they are registered once, with those of the first. */
#define WEFT_TRACEPOINT_DEFINE
#define WEFT_TRACEPOINT_CREATE_PROBES
#define WEFT_TP_IP_PARAM ip
#include "points_caller.h"

void call_from(void *ip);
void call_from(void *ip)
{
    weft_tracepoint(weft_caller, called, ip);
}
