UST_OBJECTS := $(addprefix $(B)/ust/,library.o record.o registry.o target.o tap.o watch.o fired.o map.o count.o app_context.o channel_table.o channel.o context.o app_values.o thread_page.o perf_counter.o filter.o filter_verify.o connection.o \
	listener.o message.o held_fd.o doorbell.o directories.o wait_page.o stage.o builtin.o objects.o object_events.o statedump.o libraries.o) $(B)/ring/format.o
ALL += $(B)/libweft.so.0 $(B)/libweft-ust.a

# Bound at load (-z now): the listener thread must not need the loader's lock, which a dlopen() that waits for it may hold.
$(B)/libweft.so.0: $(UST_OBJECTS)
	$(CC) -shared $(LDFLAGS_ALL) -Wl,-soname,libweft.so.0 -Wl,-z,now -Wl,-z,nodelete -Wl,-z,defs $^ -o $@ -lpthread
# The same for native tests, which record without any daemon (ust/record.h, ust/channel.h).
$(B)/libweft-ust.a: $(UST_OBJECTS)
	rm -f $@ && ar rcs $@ $^

$(B)/ust/record_bench: $(B)/ust/record_bench.o $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) $^ -o $@ -lpthread

# The libFuzzer target on filters; clang only, as ring/module.mk's.
FILTER_FUZZ_OBJECTS := $(addprefix build/fuzz/ust/,filter.o filter_verify.o app_context.o context.o thread_page.o perf_counter.o)
FUZZ_FLAGS := -O1 -g -I. -Iinclude -Wall -Wextra -fno-sanitize-recover=all
fuzz: build/fuzz/filter_fuzz
build/fuzz/ust/%.o: ust/%.c $(wildcard ust/*.h include/weft/*.h)
	@mkdir -p $(@D)
	clang -std=gnu11 $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@
build/fuzz/filter_fuzz: ../test/fuzz/filter_fuzz.cc $(FILTER_FUZZ_OBJECTS)
	clang++ -std=gnu++17 $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined $^ -o $@

# Tests without a daemon, then those that play one for a traced program, which takes libweft.so.0 as any program does.
TESTS += $(addprefix $(B)/ust/,record_test blocking_test threads_test context_test app_context_test filter_test filter_verify_test registration_test lifecycle_test builtin_test statedump_test watch_test count_test)
$(B)/ust/%_test: $(B)/ust/%_test.o $(B)/libweft-ust.a
	$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(filter %.a,$^) -o $@ -lpthread
$(addprefix $(B)/ust/,registration_test lifecycle_test builtin_test statedump_test watch_test count_test): $(B)/ust/test_daemon.o | $(B)/ust/test_app $(B)/libweft.so.0
$(B)/ust/test_app: $(B)/ust/test_app.o
	$(CC) $(LDFLAGS_ALL) $^ -o $@ -ldl -lpthread
