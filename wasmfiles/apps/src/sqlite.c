/* Runs a script of SQL statements on a database file and prints what they return.
 *
 *   sqlite DATABASE SCRIPT
 *
 * Each row is a line, its columns separated by |. A statement that fails prints its error and the script goes on; the exit
 * code is then 1. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) return NULL;
    long length = ftell(file);
    char *text = malloc((size_t)length + 1);
    rewind(file);
    if (!text || fread(text, 1, (size_t)length, file) != (size_t)length) return NULL;
    text[length] = 0;
    fclose(file);
    return text;
}

static void print_row(sqlite3_stmt *statement) {
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const unsigned char *text = sqlite3_column_text(statement, i);
        printf("%s%s", i ? "|" : "", text ? (const char *)text : "NULL");
    }
    putchar('\n');
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: sqlite DATABASE SCRIPT\n");
        return 2;
    }
    sqlite3 *db;
    if (sqlite3_open(argv[1], &db) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], sqlite3_errmsg(db));
        return 1;
    }
    char *script = read_file(argv[2]);
    if (!script) {
        perror(argv[2]);
        return 1;
    }
    int failed = 0;
    for (const char *rest = script; *rest;) {
        sqlite3_stmt *statement;
        int code = sqlite3_prepare_v2(db, rest, -1, &statement, &rest);
        if (code != SQLITE_OK) {
            printf("error: %s\n", sqlite3_errmsg(db));
            failed = 1;
            continue;
        }
        if (!statement) continue; /* white space or a comment */
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) print_row(statement);
        if (code != SQLITE_DONE) {
            printf("error: %s\n", sqlite3_errmsg(db));
            failed = 1;
        }
        sqlite3_finalize(statement);
    }
    free(script);
    if (sqlite3_close(db) != SQLITE_OK) failed = 1;
    return failed;
}
