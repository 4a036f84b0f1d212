/* Coverage of C that gcc compiled, for libFuzzer, which is made for clang.

gcc's -fsanitize-coverage=trace-pc calls a function on every edge; libFuzzer reads counters, one an
edge. Here the calls become counters. And libasan, which has to be preloaded, carries empty twins of
libFuzzer's functions that would hide them: this library is preloaded before it, and passes on. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNTERS (1u << 15)

static uint8_t counters[COUNTERS];
static uintptr_t places[COUNTERS][2]; /* an address and its flags, which are 0 */

typedef void (*range_function)(void *, void *);
typedef void (*compare_function)(uint64_t, uint64_t);
static range_function counters_init, places_init;
static compare_function compare[8];

static void resolve(void) {
    static const char *names[8] = {
        "__sanitizer_cov_trace_cmp1", "__sanitizer_cov_trace_cmp2",
        "__sanitizer_cov_trace_cmp4", "__sanitizer_cov_trace_cmp8",
        "__sanitizer_cov_trace_const_cmp1", "__sanitizer_cov_trace_const_cmp2",
        "__sanitizer_cov_trace_const_cmp4", "__sanitizer_cov_trace_const_cmp8",
    };
    if (counters_init) return;
    const char *path = getenv("LONGWIRE_LIBFUZZER");
    void *fuzzer = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!fuzzer) {
        fprintf(stderr, "coverage.c: libFuzzer cannot be loaded from LONGWIRE_LIBFUZZER\n");
        abort();
    }
    places_init = (range_function)dlsym(fuzzer, "__sanitizer_cov_pcs_init");
    for (int i = 0; i < 8; i++) compare[i] = (compare_function)dlsym(fuzzer, names[i]);
    counters_init = (range_function)dlsym(fuzzer, "__sanitizer_cov_8bit_counters_init");
}

void __sanitizer_cov_8bit_counters_init(void *start, void *stop) {
    resolve();
    counters_init(start, stop);
}

void __sanitizer_cov_pcs_init(void *start, void *stop) {
    resolve();
    places_init(start, stop);
}

/* Called last, so that it is a jump: libFuzzer tells comparisons apart by their return address. */
#define COMPARE(name, type, index) \
    void __sanitizer_cov_trace_##name(type a, type b) { \
        if (compare[index]) compare[index](a, b); \
    }
COMPARE(cmp1, uint8_t, 0)
COMPARE(cmp2, uint16_t, 1)
COMPARE(cmp4, uint32_t, 2)
COMPARE(cmp8, uint64_t, 3)
COMPARE(const_cmp1, uint8_t, 4)
COMPARE(const_cmp2, uint16_t, 5)
COMPARE(const_cmp4, uint32_t, 6)
COMPARE(const_cmp8, uint64_t, 7)

/* gcc's alone. */
void __sanitizer_cov_trace_cmpf(float a, float b) { (void)a, (void)b; }
void __sanitizer_cov_trace_cmpd(double a, double b) { (void)a, (void)b; }

void __sanitizer_cov_trace_pc(void) {
    uintptr_t address = (uintptr_t)__builtin_return_address(0);
    counters[(address * 0x9E3779B97F4A7C15u) >> 49]++;
}

void longwire_count_edges(void) {
    for (unsigned i = 0; i < COUNTERS; i++) places[i][0] = (uintptr_t)&counters[i];
    __sanitizer_cov_8bit_counters_init(counters, counters + COUNTERS);
    __sanitizer_cov_pcs_init(places, places + COUNTERS);
}
