// Many requests to two models at once, on one team of threads. usage: pool MODEL MODEL
#include <cstdio>
#include <string>
#include <vector>

#include <midge/midge.hpp>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto first = midge::Model::open(argv[1]);
  auto second = midge::Model::open(argv[2]);
  if (!first || !second) {
    std::fprintf(stderr, "%s\n", (first ? second : first).error().text.c_str());
    return 1;
  }
  auto engine = midge::Engine::create({&*first, &*second});
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().text.c_str());
    return 1;
  }
  constexpr size_t kRequests = 8;
  std::vector<std::string> answers(kRequests);
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < kRequests; ++i) {
    midge::Request request;
    request.text = "Chapter " + std::to_string(i + 1) + ":";
    request.more.model = static_cast<uint32_t>(i % 2);
    request.more.tokens_max = 20;
    request.more.temperature = 0.8f;
    request.more.seed = i;
    request.on_event = [&answers, i](const midge_event& event) {
      answers[i].append(event.text, event.text_bytes);
      return true;
    };
    const auto id = engine->submit(request);
    if (!id) {
      std::fprintf(stderr, "%s\n", id.error().text.c_str());
      return 1;
    }
    ids.push_back(*id);
  }
  for (const uint64_t id : ids) (void)engine->wait(id);
  for (size_t i = 0; i < kRequests; ++i) {
    std::printf("model %zu, request %zu:%s\n", i % 2, i, answers[i].c_str());
  }
  for (size_t model = 0; model < 2; ++model) {
    const auto stats = engine->stats(model);
    if (stats) {
      std::printf("model %zu: %lld answers, %lld passes\n", model,
                  static_cast<long long>(stats->done), static_cast<long long>(stats->passes));
    }
  }
}
