/* Runs JavaScript files, one after the other in one realm, and then everything that they promised.
 *
 *   quickjs FILE...
 *
 * Scripts have print(...), readFile(path) and writeFile(path, text) beside the language's own. An exception that nobody
 * catches goes to stderr; the exit code is then 1. */
#include <quickjs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static JSValue print(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self;
    for (int i = 0; i < argc; i++) {
        const char *text = JS_ToCString(ctx, argv[i]);
        if (!text) return JS_EXCEPTION;
        printf("%s%s", i ? " " : "", text);
        JS_FreeCString(ctx, text);
    }
    putchar('\n');
    return JS_UNDEFINED;
}

/* The whole file with a zero behind it, or NULL. */
static char *contents(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) return NULL;
    *length = (size_t)ftell(file);
    char *text = malloc(*length + 1);
    rewind(file);
    if (!text || fread(text, 1, *length, file) != *length) return NULL;
    text[*length] = 0;
    fclose(file);
    return text;
}

static JSValue read_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    const char *path = JS_ToCString(ctx, argv[0]);
    if (!path) return JS_EXCEPTION;
    size_t length;
    char *text = contents(path, &length);
    JSValue result = text ? JS_NewStringLen(ctx, text, length) : JS_ThrowReferenceError(ctx, "cannot read %s", path);
    free(text);
    JS_FreeCString(ctx, path);
    return result;
}

static JSValue write_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    size_t length;
    const char *path = JS_ToCString(ctx, argv[0]), *text = JS_ToCStringLen(ctx, &length, argv[1]);
    FILE *file = path && text ? fopen(path, "wb") : NULL;
    int good = file && fwrite(text, 1, length, file) == length;
    if (file && fclose(file)) good = 0;
    JSValue result = good ? JS_UNDEFINED : JS_ThrowReferenceError(ctx, "cannot write %s", path ? path : "");
    JS_FreeCString(ctx, text);
    JS_FreeCString(ctx, path);
    return result;
}

/* Prints the pending exception. */
static int report(JSContext *ctx) {
    JSValue error = JS_GetException(ctx), stack = JS_GetPropertyStr(ctx, error, "stack");
    const char *text = JS_ToCString(ctx, error), *where = JS_ToCString(ctx, stack);
    fprintf(stderr, "%s\n%s", text ? text : "exception", where ? where : "");
    JS_FreeCString(ctx, where);
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, stack);
    JS_FreeValue(ctx, error);
    return 1;
}

static void define(JSContext *ctx, const char *name, JSCFunction *function, int length) {
    JSValue global = JS_GetGlobalObject(ctx);
    JS_SetPropertyStr(ctx, global, name, JS_NewCFunction(ctx, function, name, length));
    JS_FreeValue(ctx, global);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: quickjs FILE...\n");
        return 2;
    }
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *ctx = runtime ? JS_NewContext(runtime) : NULL;
    if (!ctx) return 1;
    define(ctx, "print", print, 1);
    define(ctx, "readFile", read_file, 1);
    define(ctx, "writeFile", write_file, 2);
    int failed = 0;
    for (int i = 1; i < argc && !failed; i++) {
        size_t length;
        char *text = contents(argv[i], &length);
        if (!text) {
            perror(argv[i]);
            failed = 1;
            break;
        }
        JSValue value = JS_Eval(ctx, text, length, argv[i], JS_EVAL_TYPE_GLOBAL);
        if (JS_IsException(value)) failed = report(ctx);
        JS_FreeValue(ctx, value);
        free(text);
        int ran = 1;
        while (!failed && ran) {
            JSContext *job;
            ran = JS_ExecutePendingJob(runtime, &job);
            if (ran < 0) failed = report(job);
        }
    }
    JS_FreeContext(ctx);
    JS_FreeRuntime(runtime);
    return failed;
}
