# Tests of libweft without any daemon: they map channels themselves, or speak to the registry.

# Death at every instruction: minutes of both CPUs, so a target of its own. It finds its breakpoints by the addresses that objdump
# prints: linked to fixed addresses.
.PHONY: kill-points
kill-points: $(B)/test/kill_points_test
	./$<
$(B)/test/kill_points_test: $(B)/test/kill_points_test.o $(B)/test/victim.o $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) -no-pie $^ -o $@ -lpthread

TESTS += $(B)/test/preempted_test
$(B)/test/preempted_test: $(B)/test/preempted_test.o $(B)/test/victim.o $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) -no-pie $^ -o $@ -lpthread

TESTS += $(B)/test/accounting_test
$(B)/test/accounting_test: $(addprefix $(B)/test/,accounting_test.o emitter.o) $(RING_TEST_OBJECTS) $(B)/libweft-ust.a
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread -ldl

TESTS += $(B)/test/registry_test
$(B)/test/registry_test: $(addprefix $(B)/test/,registry_test.o suppressions.o) $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) $^ -o $@ -lpthread

TESTS += $(B)/test/filtered_test
$(B)/test/filtered_test: $(addprefix $(B)/test/,filtered_test.o suppressions.o) $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) $^ -o $@ -ldl -lpthread

# The lock mode on another processor, where a cross compiler and qemu-user are at hand.
AARCH64_CC ?= aarch64-linux-gnu-gcc
AARCH64_RUN ?= qemu-aarch64
AARCH64_SOURCES := test/aarch64_lock_test.c $(addprefix ust/,record.c channel.c context.c app_context.c app_values.c thread_page.c perf_counter.c stage.c) ring/format.c
.PHONY: aarch64-check
aarch64-check: build/aarch64/lock_test
	$(AARCH64_RUN) $<
build/aarch64/lock_test: $(AARCH64_SOURCES) $(wildcard ust/*.h ring/*.h test/*.h)
	@mkdir -p $(@D)
	$(AARCH64_CC) -std=gnu11 -O2 -g $(WARN) -I. -Iinclude -static $(AARCH64_SOURCES) -o $@ -lpthread
