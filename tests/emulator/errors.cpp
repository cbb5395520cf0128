/* The runtime's errors: a thread's last one, their names and texts. */
#include <cstdarg>
#include <cstdio>

#include "tests/emulator/device.h"

static thread_local cudaError_t last_error = cudaSuccess;

cudaError_t emu_error(cudaError_t error)
{
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t emu_refuse(cudaError_t error, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "CUDA emulator: refused: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    return emu_error(error);
}

cudaError_t cudaGetLastError()
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError()
{
    return last_error;
}

struct error_text {
    cudaError_t error;
    const char *name, *text;
};

static const error_text ERRORS[] = {
#define EMU_ERROR(name, number, text) {name, #name, text},
    EMU_ERRORS(EMU_ERROR)
#undef EMU_ERROR
};

const char *cudaGetErrorName(cudaError_t error)
{
    for (const error_text &e : ERRORS)
        if (e.error == error) return e.name;
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (const error_text &e : ERRORS)
        if (e.error == error) return e.text;
    return "unrecognized error code";
}
