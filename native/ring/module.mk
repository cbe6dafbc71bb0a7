# The reader's side of the rings. No napi.h here: the engine is tested, fuzzed and sanitized without Node.
RING_OBJECTS := $(addprefix $(B)/ring/,format.o set_map.o packet.o stream_files.o record_walk.o gather.o reclaim.o ring_reader.o sleeper.o \
    snapshot.o crash_files.o reader_news.o reader_thread.o reader_jobs.o memory_limit.o ring_set.o counter_map.o clock_servo.o \
    clock_page.o)
RING_TEST_OBJECTS := $(RING_OBJECTS) $(B)/ring/test_set.o
TESTS += $(addprefix $(B)/ring/,chunk_test chunk_death_test ring_reader_test reader_thread_test hostile_test reader_death_test \
    clock_test ring_set_test snapshot_test reclaim_test)

$(B)/ring/%_test: $(B)/ring/%_test.o $(RING_TEST_OBJECTS)
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread
.SECONDARY: $(RING_TEST_OBJECTS)

# The libFuzzer target on the reader; clang only.
FUZZ_SOURCES := ../test/fuzz/reader_fuzz.cc $(addprefix ring/,set_map.cc packet.cc stream_files.cc record_walk.cc gather.cc reclaim.cc memory_limit.cc \
    ring_reader.cc)
.PHONY: fuzz
fuzz: build/fuzz/reader_fuzz
build/fuzz/reader_fuzz: $(FUZZ_SOURCES) ring/format.c $(wildcard ring/*.h)
	@mkdir -p $(@D)
	clang -O1 -g -I. -fsanitize=address,undefined -c ring/format.c -o $(@D)/format.o
	clang++ -std=gnu++17 -O1 -g -I. -Wall -Wextra -DWEFT_BEFORE_LOAD=weft_before_load \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $(FUZZ_SOURCES) $(@D)/format.o -o $@

# With libweft's record path. The bench is built on demand: make build/ring/pipeline_bench
$(B)/ring/pipeline_bench: $(B)/ring/pipeline_bench.o $(B)/ring/libweft_writer.o $(RING_OBJECTS) $(B)/libweft-ust.a
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread -ldl
TESTS += $(B)/ring/accounting_test $(B)/ring/chunk_thread_test
$(B)/ring/accounting_test $(B)/ring/chunk_thread_test: %: %.o $(B)/ring/libweft_writer.o $(RING_TEST_OBJECTS) $(B)/libweft-ust.a
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread -ldl
