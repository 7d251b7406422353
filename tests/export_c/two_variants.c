/* One application with two models of the same source. */
#include "left_model.h"
#include "Right_2_model.h"

#include <string.h>

int main(void) {
    static float image[LEFT_INPUT_1_COUNT], scores[2][LEFT_OUTPUT_0_COUNT];
    int64_t best;
    const void *inputs[] = {image, image};
    void *first[] = {scores[0], &best}, *second[] = {scores[1], &best};
    image[5] = 1;
    left_model *left = left_open("left", 1);
    Right_2_model *right = Right_2_open("right", 1);
    if (!left || !right || left_run(left, inputs, first) || Right_2_run(right, inputs, second))
        return 1;
    left_close(left);
    Right_2_close(right);
    return scores[0][0] == 0 || memcmp(scores[0], scores[1], sizeof scores[0]) || RIGHT_2_INPUTS != 2;
}
