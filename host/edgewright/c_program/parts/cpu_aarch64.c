#include <sys/auxv.h>

/* Whether this CPU has a feature, by the name that /proc/cpuinfo has for it. */
static int cpu_has(const char *feature) {
    static const struct {
        const char *name;
        int bit; /* of AT_HWCAP; part of the kernel's ABI */
    } known[] = {
        {"fp", 0},        {"asimd", 1},     {"aes", 3},     {"sha2", 6},  {"crc32", 7},    {"atomics", 8},
        {"fphp", 9},      {"asimdhp", 10},  {"asimdrdm", 12}, {"lrcpc", 15}, {"asimddp", 20},
    };
    unsigned long has = getauxval(AT_HWCAP);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, feature))
            return (int)(has >> known[i].bit & 1);
    return 0;
}
