/* Runs the model once, on files or on zeros; or compares its outputs with those of its source. */
#define _POSIX_C_SOURCE 200809L
#include "ew.h"
#include "goldens.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN 10 /* values of an output that are printed */

static const char usage[] =
    "usage: %s [--model FOLDER] [--threads N] [--output FOLDER] [INPUT...]\n"
    "       %s [--model FOLDER] [--threads N] --check\n"
    "  INPUT            file with the bytes of an input, in the order of the header; default: zeros\n"
    "  --model FOLDER   where " EW_FILE " is (default: where this program is)\n"
    "  --threads N      threads of the runtime (default: 1)\n"
    "  --output FOLDER  also write output_0.bin and so on into this folder\n"
    "  --check          compare the outputs for the inputs in goldens/ with the source model's\n";

/* Memory for all inputs and outputs. */
struct buffers {
    void *inputs[EW_INPUTS], *outputs[EW_OUTPUTS];
};

static int fail(const char *what) {
    fprintf(stderr, "error: %s\n", what);
    return -1;
}

static int fail_at(const char *path, const char *what) {
    fprintf(stderr, "error: %s: %s\n", path, what);
    return -1;
}

/* Reads a file that must have this many bytes. */
static int read_file(const char *path, void *to, size_t bytes) {
    char more;
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail_at(path, strerror(errno));
    size_t found = fread(to, 1, bytes, file);
    int whole = found == bytes && fread(&more, 1, 1, file) == 0 && !ferror(file);
    fclose(file);
    if (!whole) {
        fprintf(stderr, "error: wrong size: %s; the tensor has %zu bytes\n", path, bytes);
        return -1;
    }
    return 0;
}

static int write_file(const char *path, const void *from, size_t bytes) {
    FILE *file = fopen(path, "wb");
    if (!file)
        return fail_at(path, strerror(errno));
    int whole = fwrite(from, 1, bytes, file) == bytes;
    return fclose(file) || !whole ? fail_at(path, "cannot write it") : 0;
}

static double half(uint16_t bits) {
    int exponent = bits >> 10 & 31;
    double fraction = bits & 1023, sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction > 0 ? (double)NAN : sign * HUGE_VAL;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

/* The number at an index of a tensor's bytes. */
static double number(const void *bytes, const char *dtype, size_t i) {
    if (!strcmp(dtype, "float32"))
        return ((const float *)bytes)[i];
    if (!strcmp(dtype, "float64"))
        return ((const double *)bytes)[i];
    if (!strcmp(dtype, "float16"))
        return half(((const uint16_t *)bytes)[i]);
    if (!strcmp(dtype, "int64"))
        return (double)((const int64_t *)bytes)[i];
    if (!strcmp(dtype, "uint64"))
        return (double)((const uint64_t *)bytes)[i];
    if (!strcmp(dtype, "int32"))
        return ((const int32_t *)bytes)[i];
    if (!strcmp(dtype, "uint32"))
        return ((const uint32_t *)bytes)[i];
    if (!strcmp(dtype, "int16"))
        return ((const int16_t *)bytes)[i];
    if (!strcmp(dtype, "uint16"))
        return ((const uint16_t *)bytes)[i];
    if (!strcmp(dtype, "int8"))
        return ((const int8_t *)bytes)[i];
    return ((const uint8_t *)bytes)[i]; /* uint8, bool */
}

static size_t count_of(const ew_tensor *about) {
    size_t count = 1;
    for (int axis = 0; axis < about->rank; axis++)
        count *= (size_t)about->shape[axis];
    return count;
}

/* The real value at an index: quantised numbers have a scale. */
static double real(const void *bytes, const char *dtype, const ew_tensor *about, size_t i) {
    double found = number(bytes, dtype, i);
    int quantised = about->scale > 0 && !strcmp(dtype, about->dtype);
    return quantised ? (found - (double)about->zero_point) * about->scale : found;
}

static void show(const ew_tensor *about, const void *bytes) {
    size_t count = count_of(about);
    printf("%s %s [", about->name, about->dtype);
    for (int axis = 0; axis < about->rank; axis++)
        printf("%s%lld", axis ? ", " : "", (long long)about->shape[axis]);
    printf("]:");
    for (size_t i = 0; i < count && i < SHOWN; i++)
        printf(" %.7g", real(bytes, about->dtype, about, i));
    puts(count > SHOWN ? " ..." : "");
}

static int run_once(ew_model *model, struct buffers *room, char **files, int given, const char *folder) {
    char path[4096];
    if (given != 0 && given != EW_INPUTS) {
        fprintf(stderr, "error: %d input files for %d inputs\n", given, EW_INPUTS);
        return -1;
    }
    for (int i = 0; i < given; i++)
        if (read_file(files[i], room->inputs[i], ew_inputs[i].bytes))
            return -1;
    if (ew_run(model, (const void *const *)room->inputs, room->outputs))
        return fail(ew_error());
    for (int i = 0; i < EW_OUTPUTS; i++) {
        show(&ew_outputs[i], room->outputs[i]);
        if (!folder)
            continue;
        if ((size_t)snprintf(path, sizeof path, "%s/output_%d.bin", folder, i) >= sizeof path)
            return fail("the name of the output folder is too long");
        if (write_file(path, room->outputs[i], ew_outputs[i].bytes))
            return -1;
    }
    return 0;
}

/* The difference between an output and its source over all goldens: sum of squares, greatest error, unequal values. */
struct difference {
    double noise, error, unequal;
};

/* Adds one golden of one output. `counts`: NULL, or a byte for each value that says whether it counts. */
static void compare(struct difference *sum, int k, const void *out, const void *wanted, const unsigned char *counts) {
    const ew_tensor *about = &ew_outputs[k];
    const ew_limits *limits = &ew_golden_limits[k];
    size_t values = count_of(about);
    for (size_t i = 0; i < values; i++) {
        if (counts && !counts[i])
            continue;
        double one = real(out, about->dtype, about, i), other = real(wanted, limits->dtype, about, i);
        if (limits->unequal >= 0) {
            sum->unequal += one != other;
        } else if (!(fabs(other) <= limits->apart)) { /* not finite, or a value that stands for infinity: it must be far away too */
            int as_far = fabs(one) >= fmin(fabs(other), 65504.0) / 4 && (one > 0) == (other > 0);
            if (isnan(other) ? !isnan(one) : !as_far)
                sum->error = HUGE_VAL;
        } else {
            double error = isfinite(one) ? fabs(one - other) : HUGE_VAL;
            sum->noise += error * error;
            sum->error = fmax(sum->error, error);
        }
    }
}

/* Reads a golden's file, which must have this many bytes. */
static int read_golden(const char *folder, int at, const char *kind, int tensor, void *to, size_t bytes) {
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/goldens/%d/%s_%d.bin", folder, at, kind, tensor) >= sizeof path)
        return fail("the name of the model's folder is too long");
    return read_file(path, to, bytes);
}

static int check_one(ew_model *model, struct buffers *room, const char *folder, int at, struct difference *sums) {
    for (int i = 0; i < EW_INPUTS; i++)
        if (read_golden(folder, at, "input", i, room->inputs[i], ew_inputs[i].bytes))
            return -1;
    if (ew_run(model, (const void *const *)room->inputs, room->outputs))
        return fail(ew_error());
    int bad = 0;
    for (int k = 0; k < EW_OUTPUTS && !bad; k++) {
        size_t values = count_of(&ew_outputs[k]);
        void *wanted = malloc(ew_golden_limits[k].bytes + 1);
        unsigned char *counts = ew_golden_limits[k].masked ? malloc(values + 1) : NULL;
        if (!wanted || (ew_golden_limits[k].masked && !counts))
            bad = fail("out of memory");
        if (!bad)
            bad = read_golden(folder, at, "output", k, wanted, ew_golden_limits[k].bytes);
        if (!bad && counts)
            bad = read_golden(folder, at, "counts", k, counts, values);
        if (!bad)
            compare(&sums[k], k, room->outputs[k], wanted, counts);
        free(counts);
        free(wanted);
    }
    return bad;
}

static int check(ew_model *model, struct buffers *room, const char *folder) {
    struct difference sums[EW_OUTPUTS] = {{0, 0, 0}};
    int bad = 0;
    if (EW_GOLDENS == 0)
        return fail("this artifact has no limits that a C program can check");
    for (int at = 0; at < EW_GOLDENS; at++)
        if (check_one(model, room, folder, at, sums))
            return -1;
    for (int k = 0; k < EW_OUTPUTS; k++) {
        const ew_limits *limits = &ew_golden_limits[k];
        if (limits->unequal >= 0) {
            int wrong = sums[k].unequal > limits->unequal;
            printf("%s: %.0f values differ, at most %.0f may: %s\n", ew_outputs[k].name, sums[k].unequal, limits->unequal,
                   wrong ? "WRONG" : "right");
            bad |= wrong;
        } else {
            int wrong = !(sums[k].error <= limits->error && sums[k].noise <= limits->noise);
            printf("%s: greatest error %.3g of %.3g, noise %.3g of %.3g: %s\n", ew_outputs[k].name, sums[k].error,
                   limits->error, sums[k].noise, limits->noise, wrong ? "WRONG" : "right");
            bad |= wrong;
        }
    }
    if (bad)
        return fail("the outputs differ from the source model's");
    printf("right for all %d inputs\n", EW_GOLDENS);
    return 0;
}

/* The folder of this program; `.` if the system does not say. */
static const char *own_folder(void) {
    static char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    char *end = size > 0 ? strrchr(path, '/') : NULL;
    if (!end)
        return ".";
    *end = '\0';
    return path;
}

static int allocate(struct buffers *room) {
    int short_of = 0;
    for (int i = 0; i < EW_INPUTS; i++)
        short_of |= !(room->inputs[i] = calloc(ew_inputs[i].bytes + 1, 1));
    for (int i = 0; i < EW_OUTPUTS; i++)
        short_of |= !(room->outputs[i] = calloc(ew_outputs[i].bytes + 1, 1));
    return short_of ? fail("out of memory") : 0;
}

static void release(struct buffers *room) {
    for (int i = 0; i < EW_INPUTS; i++)
        free(room->inputs[i]);
    for (int i = 0; i < EW_OUTPUTS; i++)
        free(room->outputs[i]);
}

int main(int count, char **words) {
    const char *folder = own_folder(), *output = NULL, *number_of_threads = "1";
    int checks = 0, at = 1;
    for (; at < count && !strncmp(words[at], "--", 2); at++) {
        const char **value = !strcmp(words[at], "--model")     ? &folder
                             : !strcmp(words[at], "--output")  ? &output
                             : !strcmp(words[at], "--threads") ? &number_of_threads
                                                               : NULL;
        if (!strcmp(words[at], "--check"))
            checks = 1;
        else if (!strcmp(words[at], "--help"))
            return printf(usage, words[0], words[0]) < 0;
        else if (!value || at + 1 == count)
            return fprintf(stderr, usage, words[0], words[0]), 2;
        else
            *value = words[++at];
    }
    char *end;
    long threads = strtol(number_of_threads, &end, 10);
    if (*end || threads < 1 || threads > 1024 || (checks && (output || at < count)))
        return fprintf(stderr, usage, words[0], words[0]), 2;

    struct buffers room = {{NULL}, {NULL}};
    int bad = allocate(&room);
    ew_model *model = bad ? NULL : ew_open(folder, (int)threads);
    if (!model && !bad)
        bad = fail(ew_error());
    if (!bad)
        bad = checks ? check(model, &room, folder) : run_once(model, &room, words + at, count - at, output);
    ew_close(model);
    release(&room);
    if ((fflush(stdout) || ferror(stdout)) && !bad)
        bad = fail("cannot write to stdout");
    return bad ? 1 : 0;
}
