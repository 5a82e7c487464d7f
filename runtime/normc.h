/* normc: compiled ONNX models.  The public header of libnormc (compiler) and libnormc_rt (runtime).
 *
 *	#include <normc.h>
 *	#include "mnist.h"                  // written by: normc compile mnist.onnx -o mnist.a
 *	int main(void)
 *	{
 *		struct normc_error error;
 *		struct normc_program *program;
 *		struct normc_session *session;
 *		static float image[28 * 28], score[10];
 *		struct normc_tensor in = {image, NORMC_F32, 4, {1, 1, 28, 28}};
 *		struct normc_tensor out = {.data = score};
 *		if (normc_program_from_module(&program, mnist_module, &error)) return 1;
 *		if (normc_session_new(&session, program, NULL, &error)) return 1;
 *		if (normc_session_bind(session, &in, &out, &error)) return 1;
 *		if (normc_run(session, &in, &out, &error)) return 1;
 *		normc_session_free(session);
 *		normc_program_free(program);
 *		return 0;
 *	}
 *
 * Conventions.  Tensors are dense, row-major.  Every call that can fail returns a status and, if
 * it fails, fills the caller's struct normc_error (which may be NULL).  A call that makes an object
 * sets its first argument, to NULL if it fails; each `_free` accepts NULL.  There is no global
 * state.  A program is immutable and may be shared by threads; a session serves one caller at a
 * time.
 */
#ifndef NORMC_H
#define NORMC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NORMC_VERSION_MAJOR 0
#define NORMC_VERSION_MINOR 1
#define NORMC_MAX_RANK 8

/* X(enumerator, exit code, text): the outcome of a call, also the program's exit code. */
#define NORMC_STATUS_LIST(X)                                  \
	X(NORMC_OK, 0, "ok")                                  \
	X(NORMC_DIFFERENT, 1, "results differ")               \
	X(NORMC_USAGE, 2, "wrong arguments")                  \
	X(NORMC_INVALID, 3, "invalid model")                  \
	X(NORMC_UNSUPPORTED, 4, "unsupported")                \
	X(NORMC_IO, 5, "input/output error")                  \
	X(NORMC_LIMIT, 6, "a limit was exceeded")             \
	X(NORMC_BUG, 7, "internal error")

#define NORMC_X(name, code, text) name = code,
enum normc_status { NORMC_STATUS_LIST(NORMC_X) };
#undef NORMC_X

/* X(enumerator, bits, text name): element types, numbered as in ONNX's TensorProto.DataType.
 * In tensors given to normc_run every element takes at least one byte: the types of 2 and 4 bits
 * are stored one element a byte, sign-extended or zero-extended. */
#define NORMC_ELEM_LIST(X)                                    \
	X(NORMC_F32, 1, 32, "f32")                            \
	X(NORMC_U8, 2, 8, "u8")                               \
	X(NORMC_I8, 3, 8, "i8")                               \
	X(NORMC_U16, 4, 16, "u16")                            \
	X(NORMC_I16, 5, 16, "i16")                            \
	X(NORMC_I32, 6, 32, "i32")                            \
	X(NORMC_I64, 7, 64, "i64")                            \
	X(NORMC_BOOL, 9, 8, "bool")                           \
	X(NORMC_F16, 10, 16, "f16")                           \
	X(NORMC_F64, 11, 64, "f64")                           \
	X(NORMC_U32, 12, 32, "u32")                           \
	X(NORMC_U64, 13, 64, "u64")                           \
	X(NORMC_BF16, 16, 16, "bf16")                         \
	X(NORMC_F8E4M3FN, 17, 8, "f8e4m3fn")                  \
	X(NORMC_F8E4M3FNUZ, 18, 8, "f8e4m3fnuz")              \
	X(NORMC_F8E5M2, 19, 8, "f8e5m2")                      \
	X(NORMC_F8E5M2FNUZ, 20, 8, "f8e5m2fnuz")              \
	X(NORMC_U4, 21, 4, "u4")                              \
	X(NORMC_I4, 22, 4, "i4")                              \
	X(NORMC_F4E2M1, 23, 4, "f4e2m1")                      \
	X(NORMC_F8E8M0, 24, 8, "f8e8m0")                      \
	X(NORMC_U2, 25, 2, "u2")                              \
	X(NORMC_I2, 26, 2, "i2")

#define NORMC_X(name, code, bits, text) name = code,
enum normc_elem { NORMC_ELEM_NONE = 0, NORMC_ELEM_LIST(NORMC_X) };
#undef NORMC_X

struct normc_error {
	enum normc_status status;
	char text[500];
};

/* A dense row-major tensor; `data` belongs to the caller. */
struct normc_tensor {
	void *data;
	enum normc_elem elem;
	int32_t rank;
	int64_t dim[NORMC_MAX_RANK];
};

/* One input or output of a program.  dim[i] >= 0 is a fixed extent; -1 is unknown until the inputs
 * are bound, and then symbol[i] names it if it has a name ("" otherwise).  Strings live as long as
 * the program. */
struct normc_port {
	const char *name;
	enum normc_elem elem;
	int32_t rank;
	int64_t dim[NORMC_MAX_RANK];
	const char *symbol[NORMC_MAX_RANK];
};

struct normc_program; /* compiled code and memory plan; immutable; may be shared by threads */
struct normc_session; /* buffers for one caller at a time */
struct normc_module;  /* what a generated `NAME_module` function fills in; see module.h */

/* ---- libnormc_rt: all that a compiled model needs ---- */

/* The text of a status, never NULL. */
const char *normc_status_text(enum normc_status status);
/* The name of an element type ("f32"), or "none". */
const char *normc_elem_name(enum normc_elem elem);
/* Bytes that one element takes in a tensor (at least 1; 0 for an unknown type). */
size_t normc_elem_size(enum normc_elem elem);

/* Makes a program of a model that is linked into the application: `module` is the function
 * NAME_module of the generated header.  Where weights lie beside the code, `NORMC_WEIGHTS` or the
 * path given at compile time is mapped.  Free with normc_program_free, after its sessions. */
enum normc_status normc_program_from_module(struct normc_program **program,
		void (*module)(struct normc_module *), struct normc_error *error);

/* Opens a shared library that normc wrote.  A weights file is looked for beside it.  The file is
 * code and runs with the caller's rights: open only what you trust. */
enum normc_status normc_program_open(struct normc_program **program, const char *path,
		struct normc_error *error);
void normc_program_free(struct normc_program *program);

/* The ports of a program; `count` gets their number.  The array belongs to the program. */
const struct normc_port *normc_program_inputs(const struct normc_program *program, size_t *count);
const struct normc_port *normc_program_outputs(const struct normc_program *program, size_t *count);

struct normc_session_options {
	size_t size;     /* sizeof(struct normc_session_options) */
	int32_t threads; /* 0: one per available core; 1: the calling thread alone */
	int32_t profile; /* not 0: keep times (needs code compiled with `profile`) */
};

/* Makes a session on a program, which must outlive it; `options` may be NULL.  Starts the worker
 * threads, one less than `threads`. */
enum normc_status normc_session_new(struct normc_session **session,
		const struct normc_program *program, const struct normc_session_options *options,
		struct normc_error *error);
void normc_session_free(struct normc_session *session);

/* Takes the unknown dimensions from in[0..inputs), checks types and shapes, makes the workspace
 * large enough, and fills elem, rank and dim of out[0..outputs) (not data).  Reads the data of an
 * input only if its elements decide about shapes; other data may still be NULL.  After a failure
 * the session has to be bound again before it runs. */
enum normc_status normc_session_bind(struct normc_session *session, const struct normc_tensor *in,
		struct normc_tensor *out, struct normc_error *error);

/* Runs the program on tensors of the shapes bound last; elements that decided about shapes must be
 * what they were then.  out[i].data must hold the bound shape and must not overlap any other
 * tensor.  Allocates nothing.  After a failure the contents of the outputs are undefined. */
enum normc_status normc_run(struct normc_session *session, const struct normc_tensor *in,
		const struct normc_tensor *out, struct normc_error *error);

/* Bytes of the session's workspace as bound last, 0 before; scratch of the threads not counted. */
size_t normc_session_workspace(const struct normc_session *session);

struct normc_profile_entry {
	const char *name; /* kernel: position and operator of the ONNX node it comes from */
	double seconds;   /* summed over all runs since the session began */
	double flops;     /* floating-point operations of one run, as bound last */
	uint64_t runs;
};
/* Times per kernel in execution order; NULL and `count` 0 without profile, or before the first run.
 * The array belongs to the session. */
const struct normc_profile_entry *normc_session_profile(struct normc_session *session,
		size_t *count);

/* ---- libnormc: the compiler ---- */

struct normc_model; /* a checked ONNX model; calls on one model wait for each other */

/* How f32 products of matrices and convolutions are computed, where a machine multiplies bf16
 * matrices faster than it multiplies and adds f32 numbers.  Elsewhere all are
 * NORMC_PRECISION_STRICT. */
enum normc_precision {
	NORMC_PRECISION_F32,    /* bf16 numbers, three for each f32: errors as those of f32 */
	NORMC_PRECISION_STRICT, /* f32 multiply-adds only */
	NORMC_PRECISION_BF16X3, /* two bf16 numbers for each f32, three products: 16 bits */
	NORMC_PRECISION_BF16    /* rounded to one bf16 number: 8 bits */
};

struct normc_options {
	size_t size;              /* sizeof(struct normc_options) */
	const char *cpu;          /* "native", "x86-64-v3", ... ; NULL: native */
	const char *target;       /* LLVM triple; NULL: this machine's */
	const char *weights_file; /* not NULL: weights go into this file instead of the code */
	const char *symbol;       /* prefix of generated names; NULL: from the output's file name */
	const char *const *dims;  /* "N=1" ... for unknown dimensions, ended by NULL; may be NULL */
	/* NULL: default pipeline; "-NAME,+NAME,...": left out, added.  Passes that replace norms
	 * need measurements, which only the command line makes (--calibrate): NORMC_USAGE. */
	const char *passes;
	int32_t profile;          /* not 0: code that keeps times per kernel */
	size_t memory_limit;      /* bytes beyond the mapped file, without LLVM's; 0: 8 GiB */
	int32_t precision;        /* enum normc_precision */
};

/* Reads and checks a model.  External data is opened only beneath the model's folder.  Of `options`
 * (may be NULL) memory_limit counts, for this call and for all that compile the model. */
enum normc_status normc_model_load(struct normc_model **model, const char *path,
		const struct normc_options *options, struct normc_error *error);
void normc_model_free(struct normc_model *model);

/* Compiles for this process (just in time); `target`, `symbol` and `weights_file` do not count.
 * The program does not need the model any more.  `options` may be NULL.  LLVM may end the process
 * on its own fatal errors, so a server that must not die compiles in a child process, as the
 * command line does. */
enum normc_status normc_compile(struct normc_program **program, const struct normc_model *model,
		const struct normc_options *options, struct normc_error *error);

/* Compiles to a file: .o .a .so .ll .s by suffix, and a header beside it; with .ll and .s weights
 * are always in a file of their own.  Files appear whole or not at all.  A .so takes the program
 * `cc`, a .a the program `ar`. */
enum normc_status normc_compile_file(const struct normc_model *model, const char *path,
		const struct normc_options *options, struct normc_error *error);

#ifdef __cplusplus
}
#endif
#endif
