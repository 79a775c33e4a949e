/* A malloc that ends every block of 1 to 12 KiB right before a page nobody may touch, and takes the
 * block's pages away when it is freed: a read past the end, or after the free, is a SIGSEGV at once.
 * For LD_PRELOAD on glibc; smaller and larger blocks, and those beyond SLOTS, stay as they were. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096UL
#define SLOT (4 * PAGE)
#define SLOTS 65536UL
#define SMALLEST 1024UL
#define LARGEST (3 * PAGE)

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

static char *arena;
static unsigned long used;
static size_t sizes[SLOTS];

__attribute__((constructor)) static void reserve(void) {
    void *m = mmap(0, SLOTS * SLOT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    arena = m == MAP_FAILED ? 0 : m;
}

static int guarded(void *p) {
    return arena && (char *)p >= arena && (char *)p < arena + SLOTS * SLOT;
}

void *malloc(size_t size) {
    size_t rounded = (size + 15) & ~15UL;
    if (!arena || rounded < SMALLEST || rounded > LARGEST) return __libc_malloc(size);
    unsigned long slot = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
    if (slot >= SLOTS) return __libc_malloc(size);
    char *start = arena + slot * SLOT;
    if (mprotect(start, LARGEST, PROT_READ | PROT_WRITE)) return __libc_malloc(size);
    sizes[slot] = size;
    return start + LARGEST - rounded;
}

void free(void *p) {
    if (!guarded(p)) { __libc_free(p); return; }
    char *start = arena + ((char *)p - arena) / SLOT * SLOT;
    mprotect(start, LARGEST, PROT_NONE);
    madvise(start, LARGEST, MADV_DONTNEED);
}

void *calloc(size_t n, size_t size) {
    if (size && n > SIZE_MAX / size) return 0;
    void *p = malloc(n * size);
    if (p) memset(p, 0, n * size);
    return p;
}

void *realloc(void *p, size_t size) {
    if (!p) return malloc(size);
    if (!guarded(p)) return __libc_realloc(p, size); /* its size is glibc's secret */
    size_t before = sizes[((char *)p - arena) / SLOT];
    void *q = malloc(size);
    if (!q) return 0;
    memcpy(q, p, before < size ? before : size);
    free(p);
    return q;
}
