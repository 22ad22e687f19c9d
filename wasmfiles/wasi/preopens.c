/* Preopened directories have their names, and nothing leads out of one into another. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int first = open(argv[1], O_RDONLY | O_DIRECTORY);
  int second = open(argv[2], O_RDONLY | O_DIRECTORY);
  if (first < 0 || second < 0) return 3;
  int fd = openat(first, "made", O_CREAT | O_WRONLY, 0644);
  if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0) return 4;
  if (faccessat(second, "made", F_OK, 0) == 0) return 5;
  if (renameat(first, "made", second, "moved") != 0) return 6;
  if (openat(second, "../posix.dir/input.txt", O_RDONLY) != -1) return 7;
  struct stat moved;
  if (fstatat(second, "moved", &moved, 0) != 0 || moved.st_size != 1) return 8;
  printf("%s and %s\n", argv[1], argv[2]);
  return 42;
}
