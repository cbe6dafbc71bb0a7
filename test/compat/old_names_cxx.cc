#include "old_names.inc"
