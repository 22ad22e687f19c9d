/* Runs a Lua program from a file, with the standard libraries but those of the operating system's processes.
 *
 *   lua FILE [ARGUMENT...]
 *
 * The arguments are the chunk's. An error that nobody catches goes to stderr; the exit code is then 1. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

#include "unwind.h"

__attribute__((import_module("asyncify"), import_name("start_unwind"))) void asyncify_start_unwind(void *);

/* Where the functions that are left put their locals, which nobody asks for again. */
static char frames[1 << 18];
static struct {
    void *at, *end;
} unwinding;

int lua_unwinding;

/* Not part of what is unwound: begins, and returns. */
__attribute__((noinline)) void lua_start_unwind(void) {
    unwinding.at = frames;
    unwinding.end = frames + sizeof frames;
    lua_unwinding = 1;
    asyncify_start_unwind(&unwinding);
}

static int traceback(lua_State *L) {
    const char *message = lua_tostring(L, 1);
    luaL_traceback(L, L, message ? message : "(error object is not a string)", 1);
    return 1;
}

/* In protected mode: making the libraries may fail too. */
static int run(lua_State *L) {
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    luaL_openlibs(L);
    lua_settop(L, 0);
    lua_pushcfunction(L, traceback);
    int status = luaL_loadfile(L, argv[1]);
    if (status == LUA_OK) {
        for (int i = 2; i < argc; i++) lua_pushstring(L, argv[i]);
        status = lua_pcall(L, argc - 2, 0, 1);
    }
    if (status == LUA_OK) return 0;
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return luaL_error(L, "failed");
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: lua FILE [ARGUMENT...]\n");
        return 2;
    }
    lua_State *L = luaL_newstate();
    if (!L) return 1;
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int status = lua_pcall(L, 2, 0, 0);
    lua_close(L);
    return status == LUA_OK ? 0 : 1;
}
