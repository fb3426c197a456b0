#include "server/page/page.h"

extern "C" {
extern const char midge_chat_page[];
extern const char midge_chat_page_end[];
}

namespace midge {

std::string_view chat_page() {
  return {midge_chat_page, static_cast<size_t>(midge_chat_page_end - midge_chat_page)};
}

}  // namespace midge
