// A conversation that streams its answers. Each turn goes on where the last one ended, so nothing
// is read twice. usage: chat MODEL, then one message a line
#include <cstdio>
#include <iostream>
#include <string>

#include <midge/midge.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto model = midge::Model::open(argv[1]);
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().text.c_str());
    return 1;
  }
  auto engine = midge::Engine::create(*model);
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().text.c_str());
    return 1;
  }
  uint64_t last = 0;
  for (std::string line; std::getline(std::cin, line);) {
    midge::Request request;
    request.messages = {{"user", line}};
    request.more.tokens_max = 60;
    request.more.keep = 1;
    request.more.continues = last;
    request.on_event = [](const midge_event& event) {
      std::fwrite(event.text, 1, event.text_bytes, stdout);
      std::fflush(stdout);
      return true;
    };
    const auto id = engine->submit(request);
    if (!id) {
      std::fprintf(stderr, "%s\n", id.error().text.c_str());
      return 1;
    }
    (void)engine->wait(*id);
    std::puts("");
    last = *id;
  }
}
