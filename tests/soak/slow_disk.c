/* LD_PRELOAD: every fsync and fdatasync first sleeps for the milliseconds in the file SLOW_DISK. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void be_slow(void) {
    const char *path = getenv("SLOW_DISK");
    FILE *file = path ? fopen(path, "r") : NULL;
    unsigned milliseconds = 0;
    if (!file) return;
    if (fscanf(file, "%u", &milliseconds) != 1) milliseconds = 0;
    fclose(file);
    usleep(milliseconds * 1000);
}

int fsync(int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    be_slow();
    return real(descriptor);
}

int fdatasync(int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    be_slow();
    return real(descriptor);
}
