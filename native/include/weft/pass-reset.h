/* Forgets what the macros of a provider header do: each pass over a header gives some of them a meaning. No include guard. */
#pragma GCC system_header
#undef WEFT_ON_CLASS
#undef WEFT_ON_EVENT
#undef WEFT_ON_ENUM
#undef WEFT_ON_LEVEL
#undef WEFT_ON_URI
#undef weft_field_enum_value
#undef weft_field_enum_range
#undef weft_field_enum_auto
#undef weft_ext_integer
#undef weft_ext_float
#undef weft_ext_string
#undef weft_ext_array
#undef weft_ext_sequence
#undef weft_ext_enum
#undef weft_ext_unused
