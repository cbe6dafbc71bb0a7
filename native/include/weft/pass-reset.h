/* Forgets what the provider macros mean: each pass over a provider header gives them another meaning. No include guard. */
#undef WEFT_TRACEPOINT_EVENT
#undef WEFT_TRACEPOINT_EVENT_CLASS
#undef WEFT_TRACEPOINT_EVENT_INSTANCE
#undef WEFT_TRACEPOINT_ENUM
#undef WEFT_TRACEPOINT_LOGLEVEL
#undef WEFT_TRACEPOINT_MODEL_EMF_URI
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
#define WEFT_TRACEPOINT_ENUM(provider, name, values)
#define WEFT_TRACEPOINT_LOGLEVEL(provider, name, level)
#define WEFT_TRACEPOINT_MODEL_EMF_URI(provider, name, uri)
