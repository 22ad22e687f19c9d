/* Compresses and decompresses through files with Zstandard, in streams, with and without a dictionary of earlier data.
 *
 *   zstd BYTES FILE...
 *
 * The data are the files' text, put together from pseudo-random pieces until there are BYTES of it. For each level the
 * compressed stream is written to packed.zst, read back in small pieces, and compared. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define CHUNK 8192

static const int levels[] = {-3, 1, 3, 7, 12};

static uint32_t state = 2463534242u;

static uint32_t next(void) {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static void fail(const char *what) {
    fprintf(stderr, "zstd: %s\n", what);
    exit(1);
}

static void check(size_t code) {
    if (ZSTD_isError(code)) fail(ZSTD_getErrorName(code));
}

static uint64_t fnv(const uint8_t *bytes, size_t length) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

static uint8_t *make(size_t length, int files, char **names) {
    static uint8_t text[1 << 16];
    size_t known = 0;
    for (int i = 0; i < files; i++) {
        FILE *file = fopen(names[i], "rb");
        if (!file) fail(names[i]);
        known += fread(text + known, 1, sizeof text - known, file);
        fclose(file);
    }
    if (known < 256) fail("the files have less than 256 bytes of text");
    uint8_t *data = malloc(length);
    if (!data) fail("out of memory");
    for (size_t at = 0; at < length;) {
        size_t from = next() % known, piece = 16 + next() % 200;
        if (piece > known - from) piece = known - from;
        if (piece > length - at) piece = length - at;
        memcpy(data + at, text + from, piece);
        at += piece;
        if (at < length && next() % 4 == 0) data[at++] = (uint8_t)next();
    }
    return data;
}

static size_t pack(const uint8_t *data, size_t length, int level) {
    static uint8_t out[CHUNK];
    FILE *file = fopen("packed.zst", "wb");
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!file || !context) fail("cannot begin to pack");
    check(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level));
    check(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1));
    size_t total = 0;
    for (size_t at = 0, left = 1; at < length || left;) {
        size_t piece = length - at < CHUNK ? length - at : CHUNK;
        ZSTD_inBuffer in = {data + at, piece, 0};
        ZSTD_EndDirective mode = at + piece == length ? ZSTD_e_end : ZSTD_e_continue;
        ZSTD_outBuffer to = {out, CHUNK, 0};
        left = ZSTD_compressStream2(context, &to, &in, mode);
        check(left);
        if (mode != ZSTD_e_end) left = 1;
        at += in.pos;
        total += to.pos;
        if (fwrite(out, 1, to.pos, file) != to.pos) fail("cannot write packed.zst");
    }
    ZSTD_freeCCtx(context);
    if (fclose(file)) fail("cannot write packed.zst");
    return total;
}

static void unpack(const uint8_t *data, size_t length) {
    static uint8_t in[1000], out[CHUNK];
    FILE *file = fopen("packed.zst", "rb");
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!file || !context) fail("cannot begin to unpack");
    size_t at = 0, left = 1, have;
    while ((have = fread(in, 1, sizeof in, file)) > 0) {
        ZSTD_inBuffer from = {in, have, 0};
        while (from.pos < from.size) {
            ZSTD_outBuffer to = {out, CHUNK, 0};
            left = ZSTD_decompressStream(context, &to, &from);
            check(left);
            if (to.pos > length - at || memcmp(out, data + at, to.pos)) fail("unpacked something else");
            at += to.pos;
        }
    }
    if (at != length || left) fail("unpacked less");
    ZSTD_freeDCtx(context);
    fclose(file);
}

int main(int argc, char **argv) {
    size_t length = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (!length) {
        fprintf(stderr, "usage: zstd BYTES FILE...\n");
        return 2;
    }
    uint8_t *data = make(length, argc - 2, argv + 2);
    printf("zstd %s, %zu bytes, hash %016llx\n", ZSTD_versionString(), length, (unsigned long long)fnv(data, length));
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        size_t packed = pack(data, length, levels[i]);
        unpack(data, length);
        printf("level %d: %zu bytes\n", levels[i], packed);
        fflush(stdout);
    }
    free(data);
    return 0;
}
