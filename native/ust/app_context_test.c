/* Values that an application gives: registered by name, asked for by place, before and after. */
#define _GNU_SOURCE
#include <errno.h>

#include "ust/app_context.h"
#include "ust/test_seam.h"
#include "weft/context.h"

static void give_number(void *data, struct weft_context_value *value)
{
    value->kind = WEFT_CONTEXT_VALUE_INT64;
    value->as.integer = *(const int64_t *)data;
}

static int64_t number = 42;
static struct weft_app_context user = WEFT_APP_CONTEXT("shop:user", give_number, &number);

static struct weft_app_context_place *place_of(const char *name)
{
    return weft_app_context_place(name, strlen(name));
}

static void before_and_after(void)
{
    struct weft_context_value value = { .kind = WEFT_CONTEXT_VALUE_STRING };
    struct weft_app_context_place *place = place_of("shop:user");
    weft_app_context_get(place, &value);
    CHECK_EQUAL(value.kind, WEFT_CONTEXT_VALUE_NONE);
    CHECK_EQUAL(weft_app_context_add(&user), 0);
    weft_app_context_get(place, &value);
    CHECK(value.kind == WEFT_CONTEXT_VALUE_INT64 && value.as.integer == 42);
    CHECK(place_of("shop:user") == place && place_of("shop:use") != place && place_of("shop:user2") != place);
    CHECK_EQUAL(weft_app_context_remove(&user), 1);
    weft_app_context_get(place, &value);
    CHECK_EQUAL(value.kind, WEFT_CONTEXT_VALUE_NONE);
    CHECK_EQUAL(weft_app_context_remove(&user), 0);
}

static void one_holder(void)
{
    struct weft_app_context rival = WEFT_APP_CONTEXT("shop:user", give_number, NULL);
    CHECK_EQUAL(weft_app_context_add(&user), 0);
    CHECK_EQUAL(weft_app_context_add(&rival), -EEXIST);
    CHECK_EQUAL(weft_app_context_remove(&rival), 0);
    CHECK_EQUAL(weft_app_context_remove(&user), 1);
    CHECK_EQUAL(weft_app_context_add(&rival), 0);
    CHECK_EQUAL(weft_app_context_remove(&rival), 1);
}

static void names(void)
{
    char name[300];
    memset(name, 'n', sizeof(name));
    name[1] = ':';
    CHECK(weft_app_context_place(name, 255) && !weft_app_context_place(name, 256) && errno == EINVAL);
    static const char *const bad[] = { "", ":", "shop", "shop:", ":user" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct weft_app_context c = WEFT_APP_CONTEXT(bad[i], give_number, NULL);
        CHECK_EQUAL(weft_app_context_add(&c), -EINVAL);
    }
    CHECK(!weft_app_context_place("a:\0", 3));
    struct weft_app_context mute = WEFT_APP_CONTEXT("shop:mute", NULL, NULL);
    CHECK_EQUAL(weft_app_context_add(&mute), -EINVAL);
}

int main(void)
{
    seam_case("a place is found by name before its value is registered, and has none after", before_and_after);
    seam_case("a name has one holder at a time", one_holder);
    seam_case("names are PROVIDER:NAME of at most 255 bytes", names);
    return seam_failures ? 1 : 0;
}
