/* What POSIX promises of files, one promise after the other: links, renaming, positions, appending, cutting, listing. Every
 * line printed names what held; the first promise that does not ends the program with 1. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
      exit(1);                                                        \
    }                                                                 \
  } while (0)
#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

static char buffer[4096];

static void content(const char *path, const char *expected) {
  int fd = open(path, O_RDONLY);
  CHECK(fd >= 0);
  ssize_t size = read(fd, buffer, sizeof buffer);
  CHECK(size == (ssize_t)strlen(expected) && memcmp(buffer, expected, (size_t)size) == 0);
  close(fd);
}

static void create(const char *path, const char *text) {
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  CHECK(fd >= 0);
  CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  CHECK(close(fd) == 0);
}

static void inputs(void) {
  content("/input.txt", "an input\n");
  int fd = open("/input.txt", O_WRONLY);
  CHECK(fd >= 0 && pwrite(fd, "AN", 2, 0) == 2 && close(fd) == 0);
  content("/input.txt", "AN input\n");
  content("/sub/deep.txt", "deep");
  FAILS(open("/input.txt/x", O_RDONLY), ENOTDIR);
  FAILS(open("/input.txt", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
  FAILS(open("/absent", O_RDONLY), ENOENT);
  puts("inputs");
}

static void positions(void) {
  int fd = open("/p", O_CREAT | O_RDWR, 0644);
  CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
  CHECK(lseek(fd, -3, SEEK_END) == 7 && read(fd, buffer, 9) == 3 && memcmp(buffer, "789", 3) == 0);
  CHECK(pread(fd, buffer, 2, 4) == 2 && memcmp(buffer, "45", 2) == 0 && lseek(fd, 0, SEEK_CUR) == 10);
  CHECK(lseek(fd, 20000, SEEK_SET) == 20000 && write(fd, "x", 1) == 1);
  CHECK(pread(fd, buffer, 1, 15000) == 1 && buffer[0] == 0);
  FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
  CHECK(ftruncate(fd, 3) == 0 && ftruncate(fd, 6) == 0 && lseek(fd, 0, SEEK_END) == 6);
  CHECK(pread(fd, buffer, 9, 0) == 6 && memcmp(buffer, "012\0\0\0", 6) == 0);
  /* Some systems do not allocate. */
  int allocated = posix_fallocate(fd, 4, 10);
  CHECK(allocated == ENOTSUP || (allocated == 0 && lseek(fd, 0, SEEK_END) == 14));
  CHECK(close(fd) == 0 && unlink("/p") == 0);
  puts("positions");
}

static void appending(void) {
  create("/log", "one");
  int fd = open("/log", O_WRONLY | O_APPEND);
  CHECK(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 && write(fd, "two", 3) == 3 && lseek(fd, 0, SEEK_CUR) == 6);
  CHECK(close(fd) == 0);
  content("/log", "onetwo");
  FAILS(write(open("/log", O_RDONLY), "x", 1), EBADF);
  puts("appending");
}

static void links(void) {
  struct stat a, b;
  create("/target", "target");
  CHECK(symlink("target", "/soft") == 0 && link("/target", "/hard") == 0);
  CHECK(readlink("/soft", buffer, 3) == 3 && memcmp(buffer, "tar", 3) == 0);
  CHECK(stat("/target", &a) == 0 && stat("/hard", &b) == 0 && a.st_ino == b.st_ino && a.st_nlink == 2);
  CHECK(lstat("/soft", &b) == 0 && S_ISLNK(b.st_mode) && stat("/soft", &b) == 0 && b.st_ino == a.st_ino);
  CHECK(unlink("/target") == 0);
  content("/hard", "target");
  FAILS(open("/soft", O_RDONLY), ENOENT);
  CHECK(symlink("loop", "/loop") == 0);
  FAILS(open("/loop", O_RDONLY), ELOOP);
  CHECK(unlink("/soft") == 0 && unlink("/loop") == 0 && symlink("../../outside", "/sub/out") == 0);
  CHECK(open("/sub/out", O_RDONLY) == -1);
  CHECK(unlink("/sub/out") == 0);
  puts("links");
}

static void directories(void) {
  CHECK(mkdir("/d", 0755) == 0 && mkdir("/d/e", 0755) == 0);
  FAILS(mkdir("/d", 0755), EEXIST);
  FAILS(rmdir("/d"), ENOTEMPTY);
  FAILS(rmdir("/log"), ENOTDIR);
  FAILS(unlink("/d/e"), EISDIR);
  FAILS(rename("/d", "/d/e/f"), EINVAL);
  create("/d/file", "file");
  FAILS(rename("/d/file", "/d/e"), EISDIR);
  FAILS(rename("/d/e", "/d/file"), ENOTDIR);
  CHECK(rename("/d/file", "/log") == 0);
  content("/log", "file");
  CHECK(rename("/d/e", "/moved") == 0 && rmdir("/moved") == 0);
  for (int i = 0; i < 300; i++) {
    snprintf(buffer, sizeof buffer, "/d/%d", i);
    create(buffer, "");
  }
  DIR *dir = opendir("/d");
  CHECK(dir != NULL);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    count += entry->d_name[0] != '.';
  }
  CHECK(closedir(dir) == 0 && count == 300);
  for (int i = 0; i < 300; i++) {
    snprintf(buffer, sizeof buffer, "/d/%d", i);
    CHECK(unlink(buffer) == 0);
  }
  CHECK(rmdir("/d") == 0);
  puts("directories");
}

static void lifetimes(void) {
  create("/gone", "still here");
  int fd = open("/gone", O_RDWR);
  CHECK(fd >= 0 && unlink("/gone") == 0);
  FAILS(open("/gone", O_RDONLY), ENOENT);
  CHECK(read(fd, buffer, 20) == 10 && memcmp(buffer, "still here", 10) == 0);
  CHECK(write(fd, "!", 1) == 1 && lseek(fd, 0, SEEK_END) == 11 && close(fd) == 0);
  FAILS(close(fd), EBADF);
  puts("lifetimes");
}

static void times(void) {
  struct stat before, after;
  create("/t", "t");
  struct timespec set[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000, .tv_nsec = 5}};
  CHECK(stat("/t", &before) == 0 && utimensat(AT_FDCWD, "/t", set, 0) == 0 && stat("/t", &after) == 0);
  CHECK(after.st_mtim.tv_sec == 1000 && after.st_mtim.tv_nsec == 5);
  CHECK(after.st_atim.tv_sec == before.st_atim.tv_sec && after.st_atim.tv_nsec == before.st_atim.tv_nsec);
  CHECK(unlink("/t") == 0);
  puts("times");
}

int main(void) {
  inputs();
  positions();
  appending();
  links();
  directories();
  lifetimes();
  times();
  return 0;
}
