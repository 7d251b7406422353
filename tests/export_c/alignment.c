/* Runs one model on the same values at 64 places in memory: the outputs are those of the first place. */
#include "two_ends_model.h"

#include <string.h>

static char more[TWO_ENDS_INPUT_0_BYTES + 64], image[TWO_ENDS_INPUT_1_BYTES + 64], out[TWO_ENDS_OUTPUT_0_BYTES + 64];

int main(void) {
    float values[TWO_ENDS_INPUT_1_COUNT], first[TWO_ENDS_OUTPUT_0_COUNT];
    int64_t first_best = -1;
    two_ends_model *model = two_ends_open(".", 1);
    if (!model)
        return 1;
    for (int i = 0; i < TWO_ENDS_INPUT_1_COUNT; i++)
        values[i] = (float)(i * 37 % 64) / 16 - 2;
    for (int shift = 0; shift < 64; shift++) {
        int64_t best;
        memcpy(more + shift, values, TWO_ENDS_INPUT_0_BYTES);
        memcpy(image + shift, values, TWO_ENDS_INPUT_1_BYTES);
        const void *inputs[] = {more + shift, image + shift};
        void *outputs[] = {out + shift, &best};
        if (two_ends_run(model, inputs, outputs))
            return 2;
        if (shift == 0) {
            memcpy(first, out, sizeof first);
            first_best = best;
        }
        if (memcmp(first, out + shift, sizeof first) || best != first_best)
            return 3;
    }
    for (int i = 1; i < TWO_ENDS_OUTPUT_0_COUNT; i++)
        if (first[i] == first[0])
            return 4; /* the values tell nothing */
    if (two_ends_open("nowhere", 1) || !strstr(two_ends_error(), "nowhere/model.so"))
        return 5;
    const void *inputs[] = {more, image};
    void *outputs[] = {out, &first_best};
    if (two_ends_run(model, inputs, outputs) || *two_ends_error())
        return 6; /* the message of an earlier call is left */
    two_ends_close(model);
    two_ends_close(NULL);
    return 0;
}
