// Files that get their names when they are whole: where the system helps, and where it does not.
#include "engine/core/temporary_file.h"

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "engine/core/whole_file.h"
#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

namespace fs = std::filesystem;
using Readers = TemporaryFile::Readers;
using test::TempDir;

// From now on a system call of this process fails. Whether that could be had.
bool refuse(long number, uint32_t error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(filter), filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
         // The emulator says yes, and does nothing.
         ::linkat(AT_FDCWD, "/proc/self/exe", AT_FDCWD, "/proc/none", 0) != 0 &&
         errno == static_cast<int>(error);
}

constexpr int kSkipped = 77;

// What body() returns in a process of its own.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int state = 0;
  EXPECT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFEXITED(state)) << state;
  return WEXITSTATUS(state);
}

std::string text_of(const std::string& path) {
  std::string text(64, '\0');
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t bytes = ::read(fd, text.data(), text.size());
  ::close(fd);
  text.resize(bytes < 0 ? 0 : static_cast<size_t>(bytes));
  return text;
}

int mode_of(const std::string& path) {
  struct stat now = {};
  return ::stat(path.c_str(), &now) == 0 ? static_cast<int>(now.st_mode & 0777) : -1;
}

int count_files(const std::string& folder) {
  const fs::directory_iterator files(folder);
  return static_cast<int>(std::distance(begin(files), end(files)));
}

// As SELinux does to apps of Android.
TEST(TemporaryFile, IsPublishedWhereLinksAreRefused) {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  for (const std::string text : {"first", "second"}) {
    const int result = in_child([&] {
      if (!refuse(SYS_linkat, EACCES)) return kSkipped;
      return write_whole_file(path, text).ok() ? 0 : 1;
    });
    if (result == kSkipped) GTEST_SKIP() << "no system calls can be refused here";
    EXPECT_EQ(result, 0);
    EXPECT_EQ(text_of(path), text);
    EXPECT_EQ(mode_of(path), 0600);
    EXPECT_EQ(count_files(dir.path()), 1);
  }
}

TEST(TemporaryFile, KeepsToTheUmaskWhereLinksAreRefused) {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  const int result = in_child([&] {
    if (!refuse(SYS_linkat, EACCES)) return kSkipped;
    ::umask(027);
    auto file = TemporaryFile::create(path, Readers::kByUmask);
    return file.ok() && file->publish(true).ok() ? 0 : 1;
  });
  if (result == kSkipped) GTEST_SKIP() << "no system calls can be refused here";
  EXPECT_EQ(result, 0);
  EXPECT_EQ(mode_of(path), 0640);
}

TEST(TemporaryFile, ReplacesNothingButFiles) {
  const TempDir dir;
  const std::string pipe = dir.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_directory(dir.path() + "/folder");
  fs::create_symlink("pipe", dir.path() + "/link");
  for (const char* name : {"pipe", "folder", "link"}) {
    const Status refused =
        TemporaryFile::create(dir.path() + "/" + name, Readers::kByUmask).status();
    EXPECT_EQ(refused.code(), StatusCode::kIoError) << name;
    EXPECT_NE(refused.message().find("not a regular file"), std::string::npos);
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST(WholeFile, WritesIntoDevicesAndPipes) {
  const TempDir dir;
  const std::string pipe = dir.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  MIDGE_ASSERT_OK(write_users_file(pipe, "text"));
  char text[8] = "";
  EXPECT_EQ(::read(reader, text, sizeof(text)), 4);
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(pipe));
  if (::access("/dev/full", W_OK) == 0) {
    EXPECT_EQ(write_users_file("/dev/full", "text").code(), StatusCode::kIoError);
    EXPECT_FALSE(fs::is_regular_file("/dev/full"));
  }
}

TEST(WholeFile, LinksThatAPersonNamesStay) {
  const TempDir dir;
  fs::create_symlink("target", dir.path() + "/link");
  MIDGE_ASSERT_OK(write_users_file(dir.path() + "/link", "text"));
  EXPECT_TRUE(fs::is_symlink(dir.path() + "/link"));
  EXPECT_EQ(text_of(dir.path() + "/target"), "text");
  // In a folder of a cache they could lead anywhere.
  MIDGE_ASSERT_OK(write_whole_file(dir.path() + "/link", "other"));
  EXPECT_FALSE(fs::is_symlink(dir.path() + "/link"));
  EXPECT_EQ(text_of(dir.path() + "/target"), "text");
}

TEST(WholeFile, FoldersInAFolderThatCannotBeSeen) {
  const TempDir dir;
  const std::string folder = dir.path() + "/closed";
  fs::create_directory(folder);
  const int result = in_child([&] {
    if (::chdir(folder.c_str()) != 0 || ::chmod(folder.c_str(), 0) != 0) return kSkipped;
    if (::geteuid() == 0 && ::setuid(65534) != 0) return kSkipped;
    make_private_folders("a/b");
    return 0;
  });
  ::chmod(folder.c_str(), 0700);
  if (result == kSkipped) GTEST_SKIP() << "cannot make such a folder";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace midge
