/* Records 100 orders, half of them with a value of the program's own, and one event of another kind. */
#include <weft/context.h>

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "orders.h"

static void give_text(void *data, struct weft_context_value *value)
{
    value->kind = WEFT_CONTEXT_VALUE_STRING;
    value->as.text = data;
}

static void give_number(void *data, struct weft_context_value *value)
{
    (void)data;
    value->kind = WEFT_CONTEXT_VALUE_INT32;
    value->as.integer = -7;
}

static struct weft_app_context user = WEFT_APP_CONTEXT("shop:user", give_text, "alice");
static struct weft_app_context number = WEFT_APP_CONTEXT("shop:user", give_number, NULL);

int main(void)
{
    static const char names[][8] = { "adam", "berta", "a*b", "_" };
    weft_app_context_register(&user);
    for (int i = -50; i < 50; i++) {
        const int16_t row[] = { (int16_t)i, (int16_t)-i, 3 };
        if (i == 0) {
            weft_app_context_unregister(&user);
            weft_app_context_register(&number);
        }
        lttng_ust_tracepoint(shop, order, i, i / 4.0, names[i & 3], row, (i & 3) == 3 ? 0 : (i & 3) + 1);
    }
    lttng_ust_tracepoint(shop, closed, 1);
    weft_app_context_unregister(&number);
    return 0;
}
