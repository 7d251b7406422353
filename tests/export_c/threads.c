/* Each of several threads opens, runs and closes its own model, many times. */
#define _POSIX_C_SOURCE 200809L
#include "two_ends_model.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static float image[TWO_ENDS_INPUT_1_COUNT], wanted[TWO_ENDS_OUTPUT_0_COUNT];

static int once(float *scores) {
    int64_t best;
    const void *inputs[] = {image, image};
    void *outputs[] = {scores, &best};
    two_ends_model *model = two_ends_open(".", 1);
    int bad = !model || two_ends_run(model, inputs, outputs);
    if (bad)
        fprintf(stderr, "%s\n", two_ends_error());
    two_ends_close(model);
    return bad;
}

static void *work(void *failures) {
    float scores[TWO_ENDS_OUTPUT_0_COUNT];
    for (int i = 0; i < 30; i++)
        *(int *)failures += once(scores) || memcmp(scores, wanted, sizeof scores);
    return NULL;
}

int main(void) {
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    int failures[THREADS] = {0}, all = 0;
    for (int i = 0; i < TWO_ENDS_INPUT_1_COUNT; i++)
        image[i] = (float)(i * 37 % 64) / 16 - 2;
    if (once(wanted))
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &failures[i]))
            return 2;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        all += failures[i];
    }
    return all ? 3 : 0;
}
