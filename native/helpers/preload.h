/*
 * What each preload helper begins with, before any other header: its provider's tracepoints are defined in it, and stay its own.
 */
#ifndef WEFT_HELPERS_PRELOAD_H
#define WEFT_HELPERS_PRELOAD_H

#define _GNU_SOURCE
#define WEFT_TRACEPOINT_DEFINE
#define WEFT_TRACEPOINT_CREATE_PROBES
#define WEFT_TRACEPOINT_HIDDEN_DEFINITION
#define WEFT_TP_IP_PARAM ip /* the context `ip` is the program's address, not one in here */

#define EXPORT __attribute__((visibility("default")))

#endif
