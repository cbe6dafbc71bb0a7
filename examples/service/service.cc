// A small service with its own provider. usage: service ORDERS
// Serves that many orders on two threads and prints what one event cost.
#define WEFT_TRACEPOINT_DEFINE
#define WEFT_TRACEPOINT_CREATE_PROBES
#include "provider.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

const std::vector<std::string> items = {"tea", "coffee", "cocoa"};

void serve(uint64_t first, uint64_t count)
{
    for (uint64_t id = first; id < first + count; id++) {
        const std::string &item = items[id % items.size()];
        weft_tracepoint(shop, order, id, item.c_str(), static_cast<int>(id % 5 + 1));
        weft_tracepoint(shop, served, id, static_cast<double>(id % 5 + 1) * 2.5);
    }
}

}  // namespace

int main(int argc, char **argv)
{
    const uint64_t orders = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 100000;
    const auto begin = std::chrono::steady_clock::now();
    std::thread second(serve, orders / 2, orders - orders / 2);
    serve(0, orders / 2);
    second.join();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    std::printf("%.1f ns per event and thread\n", took.count() / static_cast<double>(orders));
}
