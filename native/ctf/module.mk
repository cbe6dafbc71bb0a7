# The decoder of traces. No napi.h here: it is tested and sanitized without Node.
CTF_OBJECTS := $(addprefix $(B)/ctf/,text.o table.o outs.o source.o printer.o filter.o no_contexts.o view.o tail.o) \
    $(addprefix $(B)/ust/,filter.o filter_verify.o)

TESTS += $(B)/ctf/decode_test
$(B)/ctf/decode_test: $(B)/ctf/decode_test.o $(CTF_OBJECTS)
	$(CXX) $(LDFLAGS_ALL) $^ -o $@
