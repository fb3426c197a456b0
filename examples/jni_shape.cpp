// What a Java binding does, without a JVM: the engine's driver is a thread that Java does not know,
// so it attaches itself before its first call into Java and detaches when it ends.
// usage: jni_shape MODEL
#include <atomic>
#include <cstdio>
#include <string>

#include <midge/midge.hpp>

namespace {

// Stands for JavaVM, with the two functions that matter here.
struct Vm {
  std::atomic<int> attached = 0;
  std::atomic<int> detached = 0;
  void AttachCurrentThread() { ++attached; }
  void DetachCurrentThread() { ++detached; }
};
Vm vm;

// One for each thread that calls back; its end is the thread's.
struct Attachment {
  Attachment() { vm.AttachCurrentThread(); }
  ~Attachment() { vm.DetachCurrentThread(); }
};

// Stands for a listener object of Java that gets strings.
struct Listener {
  std::string text;
  void on_text(const char* start, size_t bytes) { text.append(start, bytes); }
};

int32_t call_java(void* user, const midge_event* event) {
  static thread_local Attachment attachment;
  static_cast<Listener*>(user)->on_text(event->text, event->text_bytes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  Listener listener;
  {
    auto model = midge::Model::open(argv[1]);
    if (!model) {
      std::fprintf(stderr, "%s\n", model.error().text.c_str());
      return 1;
    }
    auto engine = midge::Engine::create(*model);
    if (!engine) return 1;
    for (int i = 0; i < 3; ++i) {
      midge::Request request;
      request.text = "Day " + std::to_string(i) + ":";
      request.more.tokens_max = 10;
      request.more.on_event = call_java;
      request.more.user = &listener;
      const auto id = engine->submit(request);
      if (id) (void)engine->wait(*id);
    }
  }
  std::printf("%s\nattached %d, detached %d\n", listener.text.c_str(), vm.attached.load(),
              vm.detached.load());
  return vm.attached == 1 && vm.detached == 1 ? 0 : 1;
}
