// JSON of conversations: tools and messages from files, tool calls in answers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/chat.h"
#include "engine/core/status.h"

namespace midge {

/// Longest file of tools or messages.
inline constexpr size_t kChatJsonBytesMax = size_t{16} << 20;

/// Most that the tools of a file, or the arguments of all calls in one, may take as a template
/// writes them: numbers grow (1e15 becomes 1000000000000000.0). No context holds as much.
inline constexpr size_t kChatJsonWrittenMax = size_t{2} << 20;

/// Most messages of a file, and tool calls of all of them. A template writes some ten parts for
/// each, and a context of a million tokens is full of as many of twenty words.
inline constexpr size_t kChatMessagesMax = size_t{1} << 15;
inline constexpr size_t kChatToolCallsMax = size_t{1} << 14;

/// Tools from a JSON array of {"name": ...} or {"type": "function", "function": {"name": ...}}.
/// `name` stands in messages. Errors: invalid_file (not such an array, or an integer of more than
/// 64 bits), naming the entry.
Result<std::vector<ChatTool>> parse_chat_tools(const std::string& name, std::string_view text);

/// Messages from a JSON array of {"role": ..., "content": ..., "tool_calls": [...]}. Roles are
/// those of chat_role_name. The content may be absent or null beside tool calls, each of which is
/// {"name": ..., "arguments": ...} or {"function": {...}} with these. Errors: invalid_file, naming
/// the message.
Result<std::vector<ChatMessage>> parse_chat_messages(const std::string& name,
                                                     std::string_view text);

/// An answer taken apart.
struct ParsedAnswer {
  std::string content;  ///< what precedes the calls, without white space at its end
  std::vector<ToolCall> tool_calls;
};

/// Finds the tool calls of an answer, which is text with the added tokens spelled out: in kChatMl
/// <tool_call>{...}</tool_call>, one or more; in kPhi4Mini <|tool_call|>[...]<|/tool_call|> or
/// functools[...]. The last end tag may be missing. An answer with anything else after the first
/// call, or with a malformed one, has no calls: it is all content.
ParsedAnswer parse_tool_calls(ChatFamily family, std::string_view answer);

}  // namespace midge
