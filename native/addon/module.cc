/* The module's exports: its functions, and the constants of layout.h that tests compare with what JavaScript assumes. */
#include <cstddef>

#include "addon/arguments.h"
#include "addon/map_calls.h"
#include "addon/reader_calls.h"
#include "addon/seqpacket.h"
#include "addon/system_calls.h"
#include "addon/view_calls.h"

namespace weft_addon {

namespace {

constexpr struct {
    const char *name;
    napi_callback function;
} kFunctions[] = {
    {"allocateRing", allocate_ring},
    {"createRingSet", create_ring_set},     {"adoptRingSet", adopt_ring_set},   {"releaseLocks", release_locks},
    {"ringUsage", ring_usage},
    {"ringTotals", ring_totals},            {"startReader", start_reader},      {"controlReader", control_reader},
    {"listenSeqpacket", listen_seqpacket},  {"openSeqpacket", open_seqpacket},  {"sendSeqpacket", send_seqpacket},
    {"openClockPage", open_clock_page},     {"readClock", read_clock},          {"clockOffset", clock_offset},
    {"wakeApplications", wake_applications},
    {"tryCounter", try_counter},            {"lockFile", lock_file},            {"closeHandle", close_handle},
    {"createMap", create_map},              {"adoptMap", adopt_map},            {"readMap", read_map},
    {"clearMap", clear_map},                {"extractRings", extract_rings},    {"viewTraces", view_traces},
    {"punchHole", punch_hole},
    {"openTail", open_tail},                {"readTail", read_tail},
};

constexpr struct {
    const char *name;
    double value;
} kConstants[] = {
    {"ringMagic", WEFT_RING_MAGIC},
    {"ringAbi", WEFT_RING_ABI},
    {"page", WEFT_PAGE},
    {"subbufSizeMin", WEFT_SUBBUF_SIZE_MIN},
    {"subbufSizeMax", WEFT_SUBBUF_SIZE_MAX},
    {"subbufCountMin", WEFT_SUBBUF_COUNT_MIN},
    {"subbufCountMax", WEFT_SUBBUF_COUNT_MAX},
    {"cpuMax", WEFT_CPU_MAX},
    {"positionShift", WEFT_POS_SHIFT},
    {"tailSlack", WEFT_TAIL_SLACK},
    {"lossCauses", WEFT_LOSS_CAUSES},
    {"ringPosition", offsetof(weft_ring, position)},
    {"ringSlot", offsetof(weft_ring, slot)},
    {"ringReady", offsetof(weft_ring, ready)},
    {"ringLock", offsetof(weft_ring, lock)},
    {"ringLost", offsetof(weft_ring, lost)},
    {"ringTable", offsetof(weft_ring, table)},
    {"entrySize", sizeof(weft_entry)},
    {"entryEndOffset", offsetof(weft_entry, end_offset)},
    {"readerPageSelector", offsetof(weft_reader_page, selector)},
    {"readerPageState", offsetof(weft_reader_page, state)},
    {"readerPageFrozenUntil", offsetof(weft_reader_page, frozen_until)},
    {"readerStateSize", sizeof(weft_reader_state)},
    {"setHeaderDoorbell", offsetof(weft_set_header, doorbell)},
    {"statsFields", weft::kStats},
    {"messageMax", kMessageMax},
};

}  // namespace

NAPI_MODULE_INIT() {
    Environment *environment = Environment::create(env);
    if (environment == nullptr)
        return nullptr;
    for (const auto &entry : kFunctions) {
        napi_value function = nullptr;
        napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.function, environment, &function);
        napi_set_named_property(env, exports, entry.name, function);
    }
    napi_value constants = make_object(env, {});
    for (const auto &entry : kConstants)
        napi_set_named_property(env, constants, entry.name, make_number(env, entry.value));
    napi_set_named_property(env, exports, "constants", constants);
    return exports;
}

}  // namespace weft_addon
