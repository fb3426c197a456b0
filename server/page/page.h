// The page at "/", as it stands in page/index.html.
#pragma once

#include <string_view>

namespace midge {

/// With "@NONCE@" where the nonce of its script and style belongs.
std::string_view chat_page();

}  // namespace midge
