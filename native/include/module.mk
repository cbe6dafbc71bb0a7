# The provider macros are headers; here are their tests, against a fake libweft that keeps what probes stage.
FAKE_WEFT := $(B)/include/fake/libweft.so.0
FIELDS_FLAGS := -Dmain=every_main -Iinclude/compat -Iinclude/test
TESTS += $(addprefix $(B)/include/test/,fields_c_test fields_cc_test)

$(FAKE_WEFT): $(addprefix $(B)/include/test/,fake_weft.o fake_text.o)
	@mkdir -p $(@D)
	$(CC) -shared $(LDFLAGS_ALL) -Wl,-soname,libweft.so.0 $^ -o $@

$(B)/include/test/c/%.o: include/test/%.c
	@mkdir -p $(@D)
	$(CC) $(subst -std=gnu11,-std=c99 -Wpedantic,$(CFLAGS_ALL)) $(FIELDS_FLAGS) -c $< -o $@
$(B)/include/test/cc/%.o: include/test/%.c
	@mkdir -p $(@D)
	$(CXX) -x c++ $(subst -std=gnu++17,-std=c++11 -Wpedantic,$(CXXFLAGS_ALL)) $(FIELDS_FLAGS) -c $< -o $@
$(B)/include/test/fields_c_test.o: include/test/fields_test.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_ALL) -DFIELDS_IN_C -Iinclude/test -c $< -o $@
$(B)/include/test/fields_cc_test.o: include/test/fields_test.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_ALL) -Iinclude/test -c $< -o $@

# RPATH, not RUNPATH: under a sanitizer it is the sanitizer's library that calls dlopen().
FAKE_PATH := -Wl,--disable-new-dtags -Wl,-rpath,'$$ORIGIN/../fake'
$(B)/include/test/fields_%_test: $(B)/include/test/fields_%_test.o $(B)/include/test/%/fields_program.o \
    $(B)/include/test/%/fields_provider.o | $(FAKE_WEFT)
	$(CXX) $(LDFLAGS_ALL) $(FAKE_PATH) $^ -o $@ -ldl

# Programs with points of their own: native spelling, several files, a library that shares the program's points.
TESTS += $(addprefix $(B)/include/test/,points_test absent_test)
$(B)/include/test/points_%.o $(B)/include/test/absent_%.o: CFLAGS_ALL += -Iinclude/test
$(B)/include/test/points_%.o $(B)/include/test/absent_%.o: CXXFLAGS_ALL += -Iinclude/test
$(B)/include/fake/libpoints.so: $(addprefix $(B)/include/test/,points_library.o points_own.o)
	@mkdir -p $(@D)
	$(CC) -shared $(LDFLAGS_ALL) $^ -o $@ -ldl
# Exported as a program's points are that its libraries share.
$(B)/include/test/points_test: $(addprefix $(B)/include/test/,points_test.o points_caller.o) | $(FAKE_WEFT) $(B)/include/fake/libpoints.so
	$(CXX) $(LDFLAGS_ALL) -rdynamic $(FAKE_PATH) $^ -o $@ -ldl
$(B)/include/test/absent_test: $(B)/include/test/absent_test.o
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -ldl
