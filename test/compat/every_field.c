#include "every_field.inc"
