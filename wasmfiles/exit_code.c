// exit_code N: writes "bye" to stderr, then calls proc_exit with N (0 without N).
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

int main(int argc, char **argv) {
  static const char bye[] = "bye\n";
  write(STDERR_FILENO, bye, strlen(bye));
  __wasi_proc_exit(argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0);
}
