/* Preprocessor ground of the provider macros: pairs of (type, name), up to ten. Nothing here is for programs. */
#ifndef WEFT_MACROS_H
#define WEFT_MACROS_H
#pragma GCC system_header

#define WEFT_CAT_(a, b) a##b
#define WEFT_CAT(a, b) WEFT_CAT_(a, b)
#define WEFT_TEXT_(a) #a
#define WEFT_TEXT(a) WEFT_TEXT_(a)
#define WEFT_UNWRAP(...) __VA_ARGS__

/* How many arguments, 1 for none at all (so 0 and 1 both mean: no pair; a lone `void` is no pair either). */
#define WEFT_COUNT(...) WEFT_COUNT_(__VA_ARGS__, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define WEFT_COUNT_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, n, ...) n

/* WEFT_EACH(m, t1, n1, t2, n2, ...) is m(t1, n1) m(t2, n2) ... */
#define WEFT_EACH(m, ...) WEFT_CAT(WEFT_EACH_, WEFT_COUNT(__VA_ARGS__))(m, __VA_ARGS__)
#define WEFT_EACH_1(m, ...)
#define WEFT_EACH_2(m, t, n) m(t, n)
#define WEFT_EACH_4(m, t, n, ...) m(t, n) WEFT_EACH_2(m, __VA_ARGS__)
#define WEFT_EACH_6(m, t, n, ...) m(t, n) WEFT_EACH_4(m, __VA_ARGS__)
#define WEFT_EACH_8(m, t, n, ...) m(t, n) WEFT_EACH_6(m, __VA_ARGS__)
#define WEFT_EACH_10(m, t, n, ...) m(t, n) WEFT_EACH_8(m, __VA_ARGS__)
#define WEFT_EACH_12(m, t, n, ...) m(t, n) WEFT_EACH_10(m, __VA_ARGS__)
#define WEFT_EACH_14(m, t, n, ...) m(t, n) WEFT_EACH_12(m, __VA_ARGS__)
#define WEFT_EACH_16(m, t, n, ...) m(t, n) WEFT_EACH_14(m, __VA_ARGS__)
#define WEFT_EACH_18(m, t, n, ...) m(t, n) WEFT_EACH_16(m, __VA_ARGS__)
#define WEFT_EACH_20(m, t, n, ...) m(t, n) WEFT_EACH_18(m, __VA_ARGS__)

#define WEFT_FIRST_PARAMETER(type, name) type name __attribute__((unused)),
#define WEFT_PARAMETER(type, name) , type name __attribute__((unused))
#define WEFT_TYPE(type, name) , type
#define WEFT_NAME(type, name) , name
#define WEFT_TYPE_TEXT(type, name) #type ","

/* For a tuple (t1, n1, ...): parameters before a last one; parameters, types and names after a first one; all types as text. */
#define WEFT_FIRST_PARAMETERS(tuple) WEFT_EACH(WEFT_FIRST_PARAMETER, WEFT_UNWRAP tuple)
#define WEFT_PARAMETERS(tuple) WEFT_EACH(WEFT_PARAMETER, WEFT_UNWRAP tuple)
#define WEFT_TYPES(tuple) WEFT_EACH(WEFT_TYPE, WEFT_UNWRAP tuple)
#define WEFT_NAMES(tuple) WEFT_EACH(WEFT_NAME, WEFT_UNWRAP tuple)
#define WEFT_SIGNATURE(tuple) "" WEFT_EACH(WEFT_TYPE_TEXT, WEFT_UNWRAP tuple)

#ifdef __has_attribute
#define WEFT_HAS_ATTRIBUTE(a) __has_attribute(a)
#else
#define WEFT_HAS_ATTRIBUTE(a) 0
#endif

/* Builds that zero every local (-ftrivial-auto-var-init) shall not zero a probe's staging area at each event. */
#if WEFT_HAS_ATTRIBUTE(uninitialized)
#define WEFT_UNINITIALIZED __attribute__((uninitialized))
#else
#define WEFT_UNINITIALIZED
#endif

/* Linkers that collect garbage by section keep what only the __start_/__stop_ symbols reach. gcc knows the attribute from 11 on
 * but refuses it for old assemblers; GNU ld keeps such sections anyway. */
#if defined(__clang__) && WEFT_HAS_ATTRIBUTE(retain)
#define WEFT_RETAIN __attribute__((retain))
#else
#define WEFT_RETAIN
#endif

#ifdef __cplusplus
#define WEFT_EXTERN_C extern "C"
#else
#define WEFT_EXTERN_C extern
#endif

#endif
