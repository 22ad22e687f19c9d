/* How Lua leaves its functions on an error, and when a coroutine yields, on WebAssembly without exceptions: Binaryen's
 * Asyncify pass changes every function so that it returns at once while the state is "unwinding". A throw starts that, and
 * the innermost protected call ends it, as if the functions between had returned. Nothing is ever rewound. */
#ifndef UNWIND_H
#define UNWIND_H

typedef struct lua_State lua_State;

__attribute__((import_module("asyncify"), import_name("stop_unwind"))) void asyncify_stop_unwind(void);
void lua_start_unwind(void);
extern int lua_unwinding;

/* The functions that are left do not reset the stack pointer. */
__asm__(".globaltype __stack_pointer, i32\n");
#define get_stack_pointer(p) __asm__ volatile("global.get __stack_pointer\nlocal.set %0" : "=r"(p))
#define set_stack_pointer(p) __asm__ volatile("local.get %0\nglobal.set __stack_pointer" : : "r"(p) : "memory")

#define luai_jmpbuf int
#define LUAI_THROW(L, c) lua_start_unwind()
#define LUAI_TRY(L, c, a)                  \
    {                                      \
        void *stack_pointer;               \
        get_stack_pointer(stack_pointer);  \
        a                                  \
        if (lua_unwinding) {               \
            lua_unwinding = 0;             \
            asyncify_stop_unwind();        \
            set_stack_pointer(stack_pointer); \
        }                                  \
    }

#endif
