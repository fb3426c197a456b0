"""Independent renderings of the chat formats, from their description in docs/formats/chat.md.

One function per family: (messages, tools, generate) to text. messages are dictionaries as
transformers takes them; tools a list of dictionaries, or None.
"""

import json

MIMO_SYSTEM = "You are MiMo, an AI assistant developed by Xiaomi."
MINI_REASONING_SYSTEM = "Your name is Phi, an AI math expert developed by Microsoft."
SMOLLM2_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
# Stands for the long text that the templates of Phi-4-reasoning have.
REASONING_SYSTEM = ("You are Phi, a language model trained by Microsoft to help users. Answer as "
                    "<think> {Thought section} </think> {Solution section}. Now, begin:")


def tojson(value):
    """The filter tojson of transformers' apply_chat_template."""
    return json.dumps(value, ensure_ascii=False)


def phi3(messages, tools, generate):
    assert not tools
    text = "".join(f"<|{m['role']}|>\n{m['content']}<|end|>\n" for m in messages
                   if m["role"] != "system" or m["content"])
    return text + ("<|assistant|>\n" if generate else "<|endoftext|>")


def phi4(messages, tools, generate):
    assert not tools
    text = "".join(f"<|im_start|>{m['role']}<|im_sep|>{m['content']}<|im_end|>" for m in messages)
    return text + ("<|im_start|>assistant<|im_sep|>" if generate else "")


def phi4_reasoning(messages, tools, generate):
    system = {"role": "system", "content": REASONING_SYSTEM}
    return phi4([system] + [m for m in messages if m["role"] != "system"], tools, generate)


def mini_calls(message):
    """Calls have no place in the template; they are part of the assistant's content."""
    if not message.get("tool_calls"):
        return message["content"]
    calls = [{"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
             for call in message["tool_calls"]]
    return f"{message['content'] or ''}<|tool_call|>{tojson(calls)}<|/tool_call|>"


def mini_messages(messages, tools):
    """The messages as the template takes them: calls in contents, tools in the system message."""
    messages = [{"role": m["role"], "content": mini_calls(m)} for m in messages]
    if tools:
        if messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": ""})
        messages[0]["tools"] = tojson([tool.get("function", tool) for tool in tools])
    return messages


def phi4_mini(messages, tools, generate):
    text = ""
    for message in mini_messages(messages, tools):
        listed = f"<|tool|>{message['tools']}<|/tool|>" if "tools" in message else ""
        text += f"<|{message['role']}|>{message['content']}{listed}<|end|>"
    return text + ("<|assistant|>" if generate else "<|endoftext|>")


def phi4_mini_reasoning(messages, tools, generate):
    # The template goes over all messages twice: for the system's, then for the others.
    system = MINI_REASONING_SYSTEM
    for message in messages:
        if message["role"] == "system":
            system += " " + message["content"]
    messages = [message for message in messages if message["role"] != "system"]
    return phi4_mini([{"role": "system", "content": system}] + messages, tools, generate)


def mimo(messages, tools, generate):
    messages = list(messages)
    if messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": MIMO_SYSTEM})
    text = ""
    for i, message in enumerate(messages):
        role, content = message["role"], message["content"]
        before = messages[i - 1]["role"] if i else None
        after = messages[i + 1]["role"] if i + 1 < len(messages) else None
        if role == "tool":
            text += "<|im_start|>user" if before != "tool" else ""
            text += f"\n<tool_response>\n{content}\n</tool_response>"
            text += "<|im_end|>\n" if after != "tool" else ""
            continue
        body = f"\n{content}"
        if i == 0 and tools:
            body += (
                "\n\n# Tools\n\nYou may call one or more functions to assist with the user query."
                "\n\nYou are provided with function signatures within <tools></tools> XML tags:"
                "\n<tools>" + "".join("\n" + tojson(tool) for tool in tools) + "\n</tools>\n\nFor "
                "each function call, return a json object with function name and arguments within "
                "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, "
                "\"arguments\": <args-json-object>}\n</tool_call>")
        elif message.get("tool_calls"):
            body = body if content else ""
            for call in message["tool_calls"]:
                call = call["function"]
                body += (f"\n<tool_call>\n{{\"name\": \"{call['name']}\", \"arguments\": "
                         f"{tojson(call['arguments'])}}}\n</tool_call>")
        text += f"<|im_start|>{role}{body}<|im_end|>\n"
    return text + ("<|im_start|>assistant\n" if generate else "")


def smollm2(messages, tools, generate):
    assert not tools
    messages = list(messages)
    if messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": SMOLLM2_SYSTEM})
    text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return text + ("<|im_start|>assistant\n" if generate else "")
