/*
 * Field macros of a provider header, each as one of six kinds with all its properties: reverse byte order (0, 1), display base,
 * encoding (0 none, 1 UTF-8), written (WRITE) or only for filters (NOWRITE).
 */
#ifndef WEFT_FIELDS_H
#define WEFT_FIELDS_H
#pragma GCC system_header

#define weft_field_integer(type, item, src) weft_ext_integer(type, item, src, 0, 10, WRITE)
#define weft_field_integer_hex(type, item, src) weft_ext_integer(type, item, src, 0, 16, WRITE)
#define weft_field_integer_network(type, item, src) weft_ext_integer(type, item, src, 1, 10, WRITE)
#define weft_field_integer_network_hex(type, item, src) weft_ext_integer(type, item, src, 1, 16, WRITE)
#define weft_field_integer_nowrite(type, item, src) weft_ext_integer(type, item, src, 0, 10, NOWRITE)
#define weft_field_float(type, item, src) weft_ext_float(type, item, src, WRITE)
#define weft_field_float_nowrite(type, item, src) weft_ext_float(type, item, src, NOWRITE)
#define weft_field_string(item, src) weft_ext_string(item, src, WRITE)
#define weft_field_string_nowrite(item, src) weft_ext_string(item, src, NOWRITE)
#define weft_field_enum(provider, name, type, item, src) weft_ext_enum(provider, name, type, item, src, WRITE)
#define weft_field_enum_nowrite(provider, name, type, item, src) weft_ext_enum(provider, name, type, item, src, NOWRITE)
#define weft_field_unused(src) weft_ext_unused(src)
#define weft_field_unused_nowrite(src) weft_ext_unused(src)

#define weft_field_array(type, item, src, length) weft_ext_array(type, item, src, length, 0, 10, 0, WRITE)
#define weft_field_array_hex(type, item, src, length) weft_ext_array(type, item, src, length, 0, 16, 0, WRITE)
#define weft_field_array_network(type, item, src, length) weft_ext_array(type, item, src, length, 1, 10, 0, WRITE)
#define weft_field_array_network_hex(type, item, src, length) weft_ext_array(type, item, src, length, 1, 16, 0, WRITE)
#define weft_field_array_text(type, item, src, length) weft_ext_array(type, item, src, length, 0, 10, 1, WRITE)
#define weft_field_array_nowrite(type, item, src, length) weft_ext_array(type, item, src, length, 0, 10, 0, NOWRITE)
#define weft_field_array_nowrite_hex(type, item, src, length) weft_ext_array(type, item, src, length, 0, 16, 0, NOWRITE)
#define weft_field_array_network_nowrite(type, item, src, length) weft_ext_array(type, item, src, length, 1, 10, 0, NOWRITE)
#define weft_field_array_network_nowrite_hex(type, item, src, length) weft_ext_array(type, item, src, length, 1, 16, 0, NOWRITE)
#define weft_field_array_text_nowrite(type, item, src, length) weft_ext_array(type, item, src, length, 0, 10, 1, NOWRITE)

#define weft_field_sequence(type, item, src, length_type, length) weft_ext_sequence(type, item, src, length_type, length, 0, 10, 0, WRITE)
#define weft_field_sequence_hex(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 0, 16, 0, WRITE)
#define weft_field_sequence_network(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 1, 10, 0, WRITE)
#define weft_field_sequence_network_hex(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 1, 16, 0, WRITE)
#define weft_field_sequence_text(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 0, 10, 1, WRITE)
#define weft_field_sequence_nowrite(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 0, 10, 0, NOWRITE)
#define weft_field_sequence_nowrite_hex(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 0, 16, 0, NOWRITE)
#define weft_field_sequence_network_nowrite(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 1, 10, 0, NOWRITE)
#define weft_field_sequence_network_nowrite_hex(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 1, 16, 0, NOWRITE)
#define weft_field_sequence_text_nowrite(type, item, src, length_type, length) \
    weft_ext_sequence(type, item, src, length_type, length, 0, 10, 1, NOWRITE)

#endif
