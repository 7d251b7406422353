/* @TITLE@
 *
 * Made by `edgewright export` from the artifact @ARTIFACT@.
 *
 *     const void *inputs[EW_INPUTS] = {pixels};
 *     void *outputs[EW_OUTPUTS] = {scores};
 *     ew_model *model = ew_open(folder, 1);
 *     if (!model || ew_run(model, inputs, outputs))
 *         fprintf(stderr, "%s\n", ew_error());
 *     ew_close(model);
 */
#ifndef EW_MODEL_H
#define EW_MODEL_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__@ARCH@__)
#error "the model was compiled for @ARCH@: build this with a compiler for it"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define EW_ARTIFACT "@ARTIFACT@"

@TENSORS@

/* A tensor's bytes are its numbers in C order (the last dimension runs fastest), in this machine's byte order. */
typedef struct {
    const char *name;
    const char *dtype; /* numpy's name for the type of its numbers, such as "float32" */
    int rank;          /* number of dimensions */
    int64_t shape[EW_RANK];
    size_t bytes;
    double scale; /* of quantised numbers: real value = (number - zero_point) * scale; else 0 */
    int64_t zero_point;
} ew_tensor;

extern const ew_tensor ew_inputs[EW_INPUTS];
extern const ew_tensor ew_outputs[EW_OUTPUTS];

/* An open model. Run and close it in the thread that opened it. */
typedef struct ew_model ew_model;

/* Opens the model.
 *
 * folder: the folder of the model's file, such as "." or "/opt/app".
 * threads: the number of threads that run it, at least 1 and the caller's included. All models that one thread opens share them,
 *     and each thread that opens models has its own: open all models of a process with the same number.
 *
 * Open a first model before you start other threads: it sets environment variables, from which the runtime takes its settings, and
 * no thread may read the environment meanwhile. Later calls with the same number set none.
 *
 * Returns NULL if it cannot be opened; ew_error() says why.
 */
ew_model *ew_open(const char *folder, int threads);

/* Runs the model once.
 *
 * inputs: the bytes of each input, in the order of ew_inputs, with any alignment; they are not changed.
 * outputs: room for the bytes of each output, in the order of ew_outputs.
 *
 * Returns 0, or -1 if it failed; ew_error() says why.
 */
int ew_run(ew_model *model, const void *const *inputs, void *const *outputs);

/* Closes the model; NULL is allowed. */
void ew_close(ew_model *model);

/* What went wrong in this thread's last call of ew_open or ew_run, as one line; empty if nothing did. Valid until the next call. */
const char *ew_error(void);

#ifdef __cplusplus
}
#endif

#endif
