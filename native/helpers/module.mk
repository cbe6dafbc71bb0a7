# Preload helpers. They find libweft.so.0 beside themselves.
ALL += $(B)/libweft-libc.so $(B)/libweft-pthread.so $(B)/libweft-dl.so
$(B)/libweft-%.so: $(B)/helpers/%.o
	$(CC) -shared $(LDFLAGS_ALL) -Wl,-rpath,'$$ORIGIN' -Wl,-z,now $^ -o $@ -ldl -lpthread
$(B)/libweft-dl.so: $(B)/ust/objects.o
$(B)/helpers/libc.o: CFLAGS_ALL += -fno-builtin

# A sanitizer replaces malloc itself: these tests are for the plain build.
ifeq ($(SANITIZE),)
TESTS += $(B)/helpers/helpers_test
endif
$(B)/helpers/helpers_program.o: CFLAGS_ALL += -fno-builtin
$(B)/helpers/helpers_program: $(B)/helpers/helpers_program.o
	$(CC) $(LDFLAGS_ALL) $^ -o $@ -ldl -lpthread
$(B)/helpers/helpers_test: $(B)/helpers/helpers_test.o | $(B)/helpers/helpers_program $(B)/libweft-libc.so \
    $(B)/libweft-pthread.so $(B)/libweft-dl.so $(B)/include/fake/libweft.so.0
	$(CXX) $(LDFLAGS_ALL) $^ -o $@
