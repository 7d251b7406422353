/* The part of TVM's C interface that this file uses, as in tvm/ffi/c_api.h and dlpack/dlpack.h. */

enum { kTVMFFINone = 0, kTVMFFIInt = 1, kTVMFFIBool = 2, kTVMFFIDLTensorPtr = 7, kTVMFFIRawStr = 8, kTVMFFIStaticObjectBegin = 64 };
enum { kDLCPU = 1 };
enum { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBool = 6 };

typedef void *TVMFFIObjectHandle;

typedef struct {
    uint64_t combined_ref_count;
    int32_t type_index;
    uint32_t padding;
    void (*deleter)(void *self, int flags);
} TVMFFIObject;

typedef struct {
    int32_t type_index;
    uint32_t zero_padding;
    union {
        int64_t v_int64;
        void *v_ptr;
        const char *v_c_str;
        TVMFFIObject *v_obj;
    };
} TVMFFIAny;

typedef struct {
    const char *data;
    size_t size;
} TVMFFIByteArray;

typedef struct { /* follows the header of an error; only its beginning */
    TVMFFIByteArray kind, message;
} TVMFFIErrorCell;

typedef struct {
    uint8_t code, bits;
    uint16_t lanes;
} DLDataType;

typedef struct { /* follows the header of a tensor */
    void *data;
    struct {
        int32_t device_type, device_id;
    } device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

int TVMFFIObjectDecRef(TVMFFIObjectHandle object);
int TVMFFIFunctionGetGlobal(const TVMFFIByteArray *name, TVMFFIObjectHandle *out);
int TVMFFIFunctionCall(TVMFFIObjectHandle function, TVMFFIAny *args, int32_t num_args, TVMFFIAny *result);
void TVMFFIErrorMoveFromRaised(TVMFFIObjectHandle *result);

struct ew_model {
    TVMFFIObjectHandle library, machine;              /* the model's file, and the virtual machine that runs it */
    TVMFFIObjectHandle set_input, invoke, get_arity, get_output; /* functions of the machine */
    DLTensor inputs[EW_INPUTS];
};

/* Stores an error with the runtime's message. Always returns -1. */
static int refused(const char *what) {
    TVMFFIObjectHandle error = NULL;
    TVMFFIErrorMoveFromRaised(&error);
    if (!error)
        return failed("%s", what);
    const TVMFFIErrorCell *cell = (const TVMFFIErrorCell *)((const char *)error + sizeof(TVMFFIObject));
    failed("%s: %.*s", what, (int)cell->message.size, cell->message.data);
    TVMFFIObjectDecRef(error);
    return -1;
}

static void released(TVMFFIObjectHandle object) {
    if (object)
        TVMFFIObjectDecRef(object);
}

static TVMFFIAny text(const char *value) {
    TVMFFIAny made = {.type_index = kTVMFFIRawStr};
    made.v_c_str = value;
    return made;
}

static TVMFFIAny integer(int64_t value) {
    TVMFFIAny made = {.type_index = kTVMFFIInt};
    made.v_int64 = value;
    return made;
}

static TVMFFIAny object(TVMFFIObjectHandle value) {
    TVMFFIAny made = {.type_index = ((TVMFFIObject *)value)->type_index};
    made.v_obj = value;
    return made;
}

/* Calls a function whose result is an object, which the caller owns; if `result` is NULL, the result is released. */
static int call(TVMFFIObjectHandle function, TVMFFIAny *arguments, int count, TVMFFIObjectHandle *result) {
    TVMFFIAny made = {.type_index = kTVMFFINone};
    if (TVMFFIFunctionCall(function, arguments, count, &made))
        return -1;
    int is_object = made.type_index >= kTVMFFIStaticObjectBegin;
    if (!result) {
        if (is_object)
            TVMFFIObjectDecRef(made.v_obj);
        return 0;
    }
    *result = is_object ? made.v_obj : NULL;
    return is_object ? 0 : -1;
}

/* A function of the runtime. */
static TVMFFIObjectHandle global(const char *name) {
    TVMFFIByteArray key = {name, strlen(name)};
    TVMFFIObjectHandle found = NULL;
    return TVMFFIFunctionGetGlobal(&key, &found) ? NULL : found;
}

/* A function of a module; NULL if it has none of that name. */
static TVMFFIObjectHandle function_of(TVMFFIObjectHandle module, const char *name) {
    TVMFFIObjectHandle found = NULL, get = global("ffi.ModuleGetFunction");
    TVMFFIAny arguments[] = {object(module), text(name), {.type_index = kTVMFFIBool}};
    arguments[2].v_int64 = 1; /* look into imported modules too */
    if (get)
        call(get, arguments, 3, &found);
    released(get);
    return found;
}

/* Loads the model's file and starts the virtual machine that calls its functions. */
static int load(ew_model *model, const char *path) {
    TVMFFIAny file[] = {text(path)};
    TVMFFIAny memory[] = {integer(kDLCPU), integer(0), integer(2)}; /* device, its number, pooled memory */
    TVMFFIObjectHandle open = global("ffi.ModuleLoadFromFile");
    int bad = !open || call(open, file, 1, &model->library);
    released(open);
    if (bad)
        return refused("the runtime cannot load the model");
    TVMFFIObjectHandle executable = function_of(model->library, "vm_load_executable");
    bad = !executable || call(executable, NULL, 0, &model->machine);
    released(executable);
    if (bad)
        return refused("the runtime cannot start the model");
    TVMFFIObjectHandle start = function_of(model->machine, "vm_initialization");
    bad = !start || call(start, memory, 3, NULL);
    released(start);
    model->set_input = function_of(model->machine, "set_input");
    model->invoke = function_of(model->machine, "invoke_stateful");
    model->get_arity = function_of(model->machine, "get_output_arity");
    model->get_output = function_of(model->machine, "get_output");
    if (bad || !model->set_input || !model->invoke || !model->get_arity || !model->get_output)
        return refused("the runtime cannot start the model");
    return 0;
}

/* Sets an environment variable unless it has this value: to set one races with threads that read any. `own`: not the user's choice. */
static void set(const char *name, const char *value, int own) {
    const char *found = getenv(name);
    if (!found || (own && strcmp(found, value)))
        setenv(name, value, 1);
}

ew_model *ew_open(const char *folder, int threads) {
    static const DLDataType types[EW_INPUTS] = EW_INPUT_TYPES;
    message[0] = '\0';
    ew_model *model = NULL;
    char *path = joined(folder, EW_FILE);
    if (!path || check_cpu() || check_file(path, EW_FILE_BYTES, EW_FILE_CRC32))
        goto end;
    char number[16];
    snprintf(number, sizeof number, "%d", threads > 0 ? threads : 1);
    set("TVM_NUM_THREADS", number, 1);
    set("TVM_BIND_THREADS", "0", 0);           /* otherwise it binds the caller's thread to CPUs */
    set("TVM_THREAD_POOL_SPIN_COUNT", "0", 0); /* otherwise idle threads yield in a loop and lose their turn on a busy board */
    model = calloc(1, sizeof *model);
    if (!model) {
        failed("out of memory");
        goto end;
    }
    for (size_t i = 0; i < EW_INPUTS; i++) {
        const ew_tensor *about = &ew_inputs[i];
        model->inputs[i].device.device_type = kDLCPU;
        model->inputs[i].ndim = about->rank;
        model->inputs[i].dtype = types[i];
        model->inputs[i].shape = (int64_t *)about->shape; /* only read */
    }
    if (load(model, path)) {
        ew_close(model);
        model = NULL;
    }
end:
    free(path);
    return model;
}

/* Copies output `i` of the last run. `parts`: how many outputs the result has; negative if it is not a tuple. */
static int copied(const ew_model *model, size_t i, int64_t parts, void *to) {
    static const int places[EW_OUTPUTS] = EW_OUTPUT_PLACES;
    TVMFFIAny arguments[] = {text(EW_FUNCTION), integer(places[i])};
    TVMFFIObjectHandle found = NULL;
    if (call(model->get_output, arguments, parts < 0 ? 1 : 2, &found))
        return refused("the runtime lacks an output");
    const DLTensor *tensor = (const DLTensor *)((const char *)found + sizeof(TVMFFIObject));
    size_t bytes = (size_t)(tensor->dtype.bits + 7) / 8;
    for (int axis = 0; axis < tensor->ndim; axis++)
        bytes *= (size_t)tensor->shape[axis];
    int same = bytes == ew_outputs[i].bytes;
    if (same)
        memcpy(to, (const char *)tensor->data + tensor->byte_offset, bytes);
    released(found);
    return same ? 0 : failed("output %s has another size", ew_outputs[i].name);
}

int ew_run(ew_model *model, const void *const *inputs, void *const *outputs) {
    static const int places[EW_INPUTS] = EW_INPUT_PLACES;
    TVMFFIAny arguments[1 + EW_INPUTS] = {text(EW_FUNCTION)};
    message[0] = '\0';
    for (size_t i = 0; i < EW_INPUTS; i++) { /* the runtime copies them, so they may have any alignment */
        model->inputs[i].data = (void *)inputs[i];
        arguments[1 + places[i]].type_index = kTVMFFIDLTensorPtr;
        arguments[1 + places[i]].v_ptr = &model->inputs[i];
    }
    if (call(model->set_input, arguments, 1 + EW_INPUTS, NULL) || call(model->invoke, arguments, 1, NULL))
        return refused("the model does not run");
    TVMFFIAny parts = {.type_index = kTVMFFINone};
    if (TVMFFIFunctionCall(model->get_arity, arguments, 1, &parts))
        return refused("the model does not run");
    for (size_t i = 0; i < EW_OUTPUTS; i++)
        if (copied(model, i, parts.v_int64, outputs[i]))
            return -1;
    return 0;
}

void ew_close(ew_model *model) {
    if (!model)
        return;
    released(model->get_output);
    released(model->get_arity);
    released(model->invoke);
    released(model->set_input);
    released(model->machine);
    released(model->library);
    free(model);
}
