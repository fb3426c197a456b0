// Who may ask: the checks that come before a request is looked at.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/http_server.h"
#include "server/openai/fields.h"

namespace midge {

struct AccessOptions {
  bool is_loopback = true;         ///< only this machine can connect
  std::string key;                 ///< empty: none is needed
  std::vector<std::string> names;  ///< host names under which clients know the server
  std::string cors_origin;         ///< pages of this origin may ask too; empty: none
};

/// Whether two texts are equal, in a time that depends on their lengths alone.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// True for IPv4 and IPv6 addresses as they are written.
bool is_ip_address(const std::string& text);

/// True for 127.0.0.0/8 and ::1 as addresses are written.
bool is_loopback_address(std::string_view address);

/// Why a request is not let in: a Host that is not this server's, as after DNS rebinding (403); a
/// page of another origin (403); a key that is missing or wrong (401). is_public: no key is needed.
std::optional<Refusal> check_access(const AccessOptions& options, const HttpRequest& request,
                                    bool is_public);

}  // namespace midge
