static _Thread_local char message[512];

const char *ew_error(void) {
    return message;
}

/* Stores one line for ew_error(). Always returns -1. */
static int failed(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    message[strcspn(message, "\n")] = '\0';
    return -1;
}

/* Checks the size and checksum of a file: the runtime may crash on a damaged one. Returns 0 or -1. */
static int check_file(const char *path, size_t size, uint32_t crc) {
    unsigned char block[4096];
    uint32_t table[256], sum = ~0u; /* of a CRC-32 */
    size_t found = 0, count;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = (table[i] >> 1) ^ (0xEDB88320u & (0u - (table[i] & 1u)));
    }
    FILE *file = fopen(path, "rb");
    if (!file)
        return failed("cannot read %s: %s", path, strerror(errno));
    while ((count = fread(block, 1, sizeof block, file)) > 0) {
        for (size_t i = 0; i < count; i++)
            sum = (sum >> 8) ^ table[(sum ^ block[i]) & 255];
        found += count;
    }
    int broken = ferror(file);
    fclose(file);
    if (broken)
        return failed("cannot read %s", path);
    if (found != size || ~sum != crc)
        return failed("damaged, or the file of another model: %s; copy it again", path);
    return 0;
}

/* The path of a file in a folder, which the caller frees; NULL if there is no memory. */
static char *joined(const char *folder, const char *name) {
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    else
        failed("out of memory");
    return path;
}

/* Checks that this CPU has the features that the machine code uses. Returns 0 or -1. */
static int check_cpu(void) {
    for (size_t i = 0; ew_cpu_features[i]; i++) {
        int has = cpu_has(ew_cpu_features[i]);
        if (has < 0)
            return failed("cannot read what this CPU has: /proc/cpuinfo: %s", strerror(errno));
        if (!has)
            return failed("this CPU lacks %s: the model was compiled for %s", ew_cpu_features[i], EW_CPU);
    }
    return 0;
}
