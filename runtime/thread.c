/* A pool of threads for independent tasks.
 *
 * A parallel call is cut into chunks of tasks.  One 64-bit word, `state`, holds how many chunks
 * there are and which is next; a thread claims a chunk by compare-and-swap on it.  The fields of
 * the job are only read after a successful claim, and the caller rewrites them only after every
 * claimed chunk is done, so a worker that is late, asleep or preempted between claims never delays
 * the caller.  Idle workers spin for some microseconds, as the next kernel usually comes soon, then
 * sleep on a condition variable. */
#define _GNU_SOURCE /* sched_getaffinity */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "thread.h"

#define CHUNKS_PER_THREAD 8
#define SPIN_SECONDS	  50e-6
#define SPIN_BATCH	  32
#define PATIENCE	  4000

struct worker {
	struct pool *pool;
	pthread_t thread;
	int32_t number;
};

struct pool {
	struct normc_pool base;
	int32_t workers;
	normc_kernel *kernel;
	struct normc_frame *frame;
	int64_t tasks;
	const void *table;
	_Alignas(64) _Atomic uint64_t state; /* chunks in the upper half, next chunk in the lower */
	_Alignas(64) _Atomic uint32_t done;
	_Alignas(64) atomic_int sleepers;
	atomic_bool stop;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct worker worker[];
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool has_work(uint64_t state)
{
	return (uint32_t)state < (uint32_t)(state >> 32);
}

static bool failed(struct normc_frame *frame)
{
	return __atomic_load_n(&frame->status, __ATOMIC_RELAXED) != NORMC_OK;
}

/* Claims and runs chunks until none is left. */
static void work(struct pool *pool, int64_t thread)
{
	uint64_t state = atomic_load(&pool->state);

	while (has_work(state)) {
		int64_t chunks = (int64_t)(state >> 32), chunk = (int64_t)(uint32_t)state;
		int64_t each, rest, first, last;

		if (!atomic_compare_exchange_weak(&pool->state, &state, state + 1))
			continue;
		each = pool->tasks / chunks;
		rest = pool->tasks % chunks;
		first = chunk * each + (chunk < rest ? chunk : rest);
		last = first + each + (chunk < rest);
		for (int64_t task = first; task < last && !failed(pool->frame); task++)
			pool->kernel(pool->frame, task, thread, pool->table);
		atomic_fetch_add(&pool->done, 1);
		state = atomic_load(&pool->state);
	}
}

/* Waits until there is something to do; spins first. */
static void await_work(struct pool *pool)
{
	double start = now();

	while (now() - start < SPIN_SECONDS) {
		for (int i = 0; i < SPIN_BATCH; i++) {
			if (has_work(atomic_load(&pool->state)) || atomic_load(&pool->stop))
				return;
			relax();
		}
	}
	pthread_mutex_lock(&pool->mutex);
	atomic_fetch_add(&pool->sleepers, 1);
	while (!has_work(atomic_load(&pool->state)) && !atomic_load(&pool->stop))
		pthread_cond_wait(&pool->wake, &pool->mutex);
	atomic_fetch_sub(&pool->sleepers, 1);
	pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;

	while (!atomic_load(&worker->pool->stop)) {
		work(worker->pool, worker->number);
		await_work(worker->pool);
	}
	return NULL;
}

static void wake_workers(struct pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->mutex);
}

static void run_alone(struct normc_frame *frame, normc_kernel *kernel, int64_t tasks,
		      const void *table)
{
	for (int64_t task = 0; task < tasks && !failed(frame); task++)
		kernel(frame, task, 0, table);
}

static void pool_parallel(struct normc_frame *frame, normc_kernel *kernel, int64_t tasks,
			  const void *table)
{
	struct pool *pool = (struct pool *)frame->pool;
	int64_t chunks = (int64_t)(pool->workers + 1) * CHUNKS_PER_THREAD;

	chunks = chunks < tasks ? chunks : tasks;
	pool->kernel = kernel;
	pool->frame = frame;
	pool->tasks = tasks;
	pool->table = table;
	atomic_store(&pool->done, 0);
	atomic_store(&pool->state, (uint64_t)chunks << 32);
	/* both sides order "publish, then look": a worker cannot fall asleep over work it did not
	 * see */
	if (atomic_load(&pool->sleepers))
		wake_workers(pool);
	work(pool, 0);
	for (int64_t spins = 0; atomic_load(&pool->done) != (uint32_t)chunks; spins++) {
		if (spins < PATIENCE)
			relax();
		else
			sched_yield();
	}
}

void normc_rt_parallel(struct normc_frame *frame, normc_kernel *kernel, int64_t tasks,
		       const void *table)
{
	if (frame->pool && tasks > 1)
		frame->pool->parallel(frame, kernel, tasks, table);
	else
		run_alone(frame, kernel, tasks, table);
}

void normc_rt_fail(struct normc_frame *frame, int32_t kernel, int32_t status)
{
	int32_t none = NORMC_OK;

	if (status == NORMC_OK)
		return;
	if (__atomic_compare_exchange_n(&frame->status, &none, status, 0, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		frame->failed_kernel = kernel;
}

void normc_rt_mark(struct normc_frame *frame, int32_t kernel)
{
	if (frame->profile)
		frame->profile->mark(frame, kernel);
}

void normc_profile_mark(struct normc_frame *frame, int32_t kernel)
{
	struct normc_profile *profile = frame->profile;
	double time = now();

	if (profile->current >= 0) {
		profile->entries[profile->current].seconds += time - profile->since;
		profile->entries[profile->current].runs++;
	}
	profile->current = kernel >= 0 && kernel < profile->n_kernels ? kernel : -1;
	profile->since = time;
	profile->marks++;
}

int32_t normc_thread_available(void)
{
	cpu_set_t set;
	int count;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	count = CPU_COUNT(&set);
	if (count < 1)
		return 1;
	return count < NORMC_THREAD_LIMIT ? count : NORMC_THREAD_LIMIT;
}

/* Starts the workers with all signals blocked: signals are the application's business. */
static bool start_workers(struct pool *pool, int32_t count)
{
	sigset_t all, old;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &old))
		return false;
	for (int32_t i = 0; i < count; i++) {
		struct worker *worker = &pool->worker[i];

		worker->pool = pool;
		worker->number = i + 1;
		if (pthread_create(&worker->thread, NULL, worker_main, worker))
			break;
		pool->workers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pool->workers == count;
}

struct normc_pool *normc_pool_new(int32_t threads)
{
	size_t bytes = sizeof(struct pool) + (size_t)threads * sizeof(struct worker);
	struct pool *pool = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (!pool)
		return NULL;
	pool->base.parallel = pool_parallel;
	pool->workers = 0;
	pool->tasks = 0;
	atomic_init(&pool->state, 0);
	atomic_init(&pool->done, 0);
	atomic_init(&pool->sleepers, 0);
	atomic_init(&pool->stop, false);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->wake, NULL);
	if (!start_workers(pool, threads - 1)) {
		normc_pool_free(&pool->base);
		return NULL;
	}
	return &pool->base;
}

void normc_pool_free(struct normc_pool *base)
{
	struct pool *pool = (struct pool *)base;

	if (!pool)
		return;
	atomic_store(&pool->stop, true);
	wake_workers(pool);
	for (int32_t i = 0; i < pool->workers; i++)
		pthread_join(pool->worker[i].thread, NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}
