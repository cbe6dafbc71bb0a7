# Tests of libweft without any daemon: they map channels themselves, or speak to the registry.

# Death at every instruction: minutes of both CPUs, so a target of its own. It finds its breakpoints by the addresses that objdump
# prints: linked to fixed addresses.
.PHONY: kill-points
kill-points: $(B)/test/kill_points_test
	./$<
$(B)/test/kill_points_test: $(B)/test/kill_points_test.o $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) -no-pie $^ -o $@ -lpthread

TESTS += $(B)/test/accounting_test
$(B)/test/accounting_test: $(addprefix $(B)/test/,accounting_test.o emitter.o) $(RING_TEST_OBJECTS) $(B)/libweft-ust.a
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread -ldl

TESTS += $(B)/test/registry_test
$(B)/test/registry_test: $(B)/test/registry_test.o $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) $^ -o $@ -lpthread
