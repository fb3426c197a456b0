// Fixed texts of chat templates: what rendering writes is what recognition looks for.
#pragma once

#include <string_view>

namespace midge {

inline constexpr std::string_view kPhi4MiniReasoningSystem =
    "Your name is Phi, an AI math expert developed by Microsoft.";

// Tools in ChatML, as Qwen2.5 and MiMo write them: the end of the system turn around the list,
// calls and results.
inline constexpr std::string_view kToolsHead =
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are "
    "provided with function signatures within <tools></tools> XML tags:\n<tools>";
inline constexpr std::string_view kToolsTail =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, "
    "\"arguments\": <args-json-object>}\n</tool_call>";
inline constexpr std::string_view kToolCallHead = "\n<tool_call>\n{\"name\": \"";
inline constexpr std::string_view kToolCallMiddle = "\", \"arguments\": ";
inline constexpr std::string_view kToolCallTail = "}\n</tool_call>";
inline constexpr std::string_view kToolResponseHead = "\n<tool_response>\n";
inline constexpr std::string_view kToolResponseTail = "\n</tool_response>";

}  // namespace midge
