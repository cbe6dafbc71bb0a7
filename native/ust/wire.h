/*
 * What applications and the session daemon say to each other over apps.sock (SOCK_SEQPACKET: one message, one packet).
 *
 * Little-endian, packed. Every message begins with struct weft_wire_header. A string is u16 length + bytes, no NUL. Whoever
 * receives a message that is short, too long or of an unknown type closes the connection. The daemon takes uid and pid from
 * SO_PEERCRED, never from a message.
 *
 * application -> daemon
 *   HELLO        u32 abi, u32 pid (own pid namespace), u8 bits (64), u8 rseq (1: can use WEFT_SYNC_RSEQ), u16 0,
 *                string procname, string executable path
 *   POINT        u32 point, i32 loglevel (WEFT_LOGLEVEL_NONE: not declared), string "provider:name", string model_emf_uri,
 *                u16 field count, fields...
 *   POINT_GONE   u32 point                      (dlclose of a provider)
 *   READY        u32 batch                      (all points known now are sent; again after each later dlopen)
 *   ACK          u32 command, i32 status        (0, or an errno value)
 *   FIRED        u32 watch, u32 point, u64 timestamp (ns, CLOCK_MONOTONIC), u32 discarded (occurrences of this watch that could not
 *                be sent since the last one that was), u16 value count, values...    (one per capture of WATCH)
 *   NEED_MEMORY  u32 channel, u32 cpu           (an event met a ring without memory; once per ring, again after START and reconnection)
 * daemon -> application
 *   WELCOME      u32 abi, u32 application id (nonzero, unique for the life of the daemon's rings)   + 1 fd: clock page, read-only
 *   REFUSED      string reason                  (then the daemon closes)
 *   ATTACH       u32 command, u32 channel, u8 ring_id[16], struct weft_geometry, u16 context count, contexts...,
 *                u64 blocking timeout (ns that a writer waits for space; 0: it does not, UINT64_MAX: for ever)
 *                                               + 2 fds: ring memory (read-write), reader memory (read-only)
 *   ENABLE       u32 command, u32 channel, u32 point, u32 event id, u32 filter length, filter bytecode
 *                                               (bytecode.h; length 0: no filter. Once more for an enabled point: replaces its filter. Answered EINVAL
 *                                               when the bytecode is not for this point, ENOTSUP when the program was built before
 *                                               there were filters; then what was, stays)
 *   DISABLE      u32 command, u32 channel, u32 point
 *   START        u32 command, u32 channel       (events are recorded from now on)
 *   STOP         u32 command, u32 channel       (acknowledged when no thread can commit any more)
 *   DETACH       u32 command, u32 channel       (implies STOP and DISABLE of all; the memory is given back)
 *   SYNCED       u32 batch, u8 complete         (the constructor need not wait, unless its user gave it more time. complete 1: all commands that follow from READY were sent, and
 *                                               what a former daemon had attached and this one did not is dropped; 0: some are late,
 *                                               and recording goes on as it stood until a SYNCED that is complete)
 *   WATCH        u32 command, u32 watch, u32 point, u32 filter length, filter bytecode, u16 capture count, captures...
 *                                               (tell when the point is hit and the filter keeps the event; once more for the same watch and
 *                                               point: replaces filter and captures)
 *   UNWATCH      u32 command, u32 watch, u32 point (0xffffffff: all points of the watch)
 *   MAP          u32 command, u32 map, u8 map_id[16], u32 cpu count, u32 slot count, u32 bits (ring/map_layout.h)
 *                                               + 1 fd: the map, read-write. The same id again (after a reconnection): goes on, under this handle
 *   COUNT        u32 command, u32 watch, u32 point, u32 map, u32 slot, u8 flags, u32 filter length, filter bytecode
 *                                               (the slot grows by one when the point is hit and the filter keeps the event. WEFT_COUNT_ONCE:
 *                                               all COUNTs of a point that name the same slot with this flag count an event once, when
 *                                               any of their filters keeps it. Once more for the same watch, point, map and slot: replaces
 *                                               flags and filter. EINVAL: slot, flags or filter; ENOENT: map or point; ENOTSUP as for ENABLE)
 *   UNCOUNT      u32 command, u32 watch, u32 point (0xffffffff: all points of the watch)   (all its slots. An event that is on its way may
 *                                               still be counted once the answer is there)
 *   UNMAP        u32 command, u32 map           (implies UNCOUNT of all that count into it; the memory is given back)
 *                                               Counting goes on while no daemon is there. What the next one has not asked for again
 *                                               when it sends a complete SYNCED is dropped.
 *   STATEDUMP    u32 command, u32 channel       (the state dump is recorded once more into this channel, which is what START does when it
 *                                               starts one; answered when it is done. Only to whom announced lttng_ust_statedump:*)
 *
 * context: u16 type (enum weft_context), u16 length, so many bytes: those of a context that needs them, else 0
 * capture: u8 kind: 0 unavailable; 1 u16 field (as a whole); 2 u16 field, u32 index; 3 u16 context type; 4 u8 length, "PROVIDER:NAME"
 * value: u8 kind: 0 unavailable; 1 i64; 2 u64; 3 f64; 4 string; 5 u16 count, i64...; 6 u16 count, u64...   (a FIRED that would be
 *        longer than 4096 bytes carries strings and rows cut; a WATCH has at most 256 captures)
 * field: string name, u8 flags (WEFT_FIELD_*), u8 kind (enum weft_kind), then by kind
 *   INTEGER   integer
 *   FLOAT     u8 bits (32, 64), u8 flags (WEFT_INT_REVERSE)
 *   STRING    u8 encoding (1 UTF-8)
 *   ENUM      integer (container), string enum name, u16 entry count, entries: i64 start, i64 end, u8 flags
 *             (1: start is signed, 2: end is signed, 4: automatic value), string label
 *   ARRAY     u32 length, u8 encoding (0 none: numbers, 1 UTF-8 text), integer (element)
 *   SEQUENCE  string length field name (empty: the tracer names it), integer (length), u8 encoding, integer (element)
 * integer: u8 bits (8 16 32 64), u8 flags (WEFT_INT_*), u8 base (2 8 10 16)
 */
#ifndef WEFT_UST_WIRE_H
#define WEFT_UST_WIRE_H

#include <stdint.h>

#define WEFT_WIRE_ABI 1u
#define WEFT_WIRE_MAX (128u * 1024) /* bytes of one message */
#define WEFT_LOGLEVEL_NONE INT32_MIN

struct weft_wire_header {
    uint16_t type;     /* enum weft_wire_type */
    uint16_t reserved; /* 0 */
    uint32_t length;   /* of the whole message, header included */
};

enum weft_wire_type {
    WEFT_WIRE_HELLO = 1,
    WEFT_WIRE_POINT = 2,
    WEFT_WIRE_POINT_GONE = 3,
    WEFT_WIRE_READY = 4,
    WEFT_WIRE_ACK = 5,
    WEFT_WIRE_FIRED = 6,
    WEFT_WIRE_NEED_MEMORY = 7,
    WEFT_WIRE_WELCOME = 64,
    WEFT_WIRE_REFUSED = 65,
    WEFT_WIRE_ATTACH = 66,
    WEFT_WIRE_ENABLE = 67,
    WEFT_WIRE_DISABLE = 68,
    WEFT_WIRE_START = 69,
    WEFT_WIRE_STOP = 70,
    WEFT_WIRE_DETACH = 71,
    WEFT_WIRE_SYNCED = 72,
    WEFT_WIRE_WATCH = 73,
    WEFT_WIRE_UNWATCH = 74,
    WEFT_WIRE_MAP = 75,
    WEFT_WIRE_COUNT = 76,
    WEFT_WIRE_UNCOUNT = 77,
    WEFT_WIRE_UNMAP = 78,
    WEFT_WIRE_STATEDUMP = 79,
};

#define WEFT_COUNT_ONCE 1u /* flag of COUNT */

/* Context fields of a channel, written between event header and payload: in the order of ATTACH, but application contexts last. */
enum weft_context {
    WEFT_CONTEXT_VPID = 1,       /* i32 */
    WEFT_CONTEXT_VTID = 2,       /* i32 */
    WEFT_CONTEXT_PROCNAME = 3,   /* char[17], thread name, NUL padded */
    WEFT_CONTEXT_PTHREAD_ID = 4, /* u64 (unsigned long) */
    WEFT_CONTEXT_IP = 5,         /* u64: caller of the instrumentation point */
    WEFT_CONTEXT_CPU_ID = 6,     /* i32 */
    WEFT_CONTEXT_CGROUP_NS = 7,  /* 7..14: u64, inode numbers of namespaces */
    WEFT_CONTEXT_IPC_NS = 8,
    WEFT_CONTEXT_MNT_NS = 9,
    WEFT_CONTEXT_NET_NS = 10,
    WEFT_CONTEXT_PID_NS = 11,
    WEFT_CONTEXT_TIME_NS = 12,
    WEFT_CONTEXT_USER_NS = 13,
    WEFT_CONTEXT_UTS_NS = 14,
    WEFT_CONTEXT_VUID = 15,      /* 15..20: u32, real, effective and saved ids as the process sees them */
    WEFT_CONTEXT_VEUID = 16,
    WEFT_CONTEXT_VSUID = 17,
    WEFT_CONTEXT_VGID = 18,
    WEFT_CONTEXT_VEGID = 19,
    WEFT_CONTEXT_VSGID = 20,
    WEFT_CONTEXT_PERF_THREAD = 21, /* bytes: u32 type, u64 config (struct perf_event_attr). u64: this thread's count */
    WEFT_CONTEXT_APP = 22,         /* bytes: "PROVIDER:NAME". u8 tag, value (app_values.h) */
};

#endif
