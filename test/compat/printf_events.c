#include "printf_events.inc"
