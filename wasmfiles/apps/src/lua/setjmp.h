/* The C library has no setjmp. unwind.h says what Lua does instead; ldo.c includes this file all the same. */
