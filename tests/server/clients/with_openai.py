"""The openai package against the server."""

import importlib.util
import json
from typing import Literal

from clients.harness import MODEL, CheckFailed, Server, expect, expect_equal

QUESTION = "What is 7 + 5?"
MESSAGES = [{"role": "user", "content": QUESTION}]

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99},
                           "b": {"type": "integer", "minimum": 0, "maximum": 99}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}


def missing():
    return None if importlib.util.find_spec("openai") else "no Python package openai"


def client_of(server, key="none"):
    import openai

    # An answer that needs a second try is no answer.
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=120)


def ask(context, **members):
    members = {"model": MODEL, "messages": MESSAGES, "temperature": 0, **members}
    return client_of(context.server).chat.completions.create(**members)


def complete(context, **members):
    members = {"model": MODEL, "temperature": 0, **members}
    return client_of(context.server).completions.create(**members)


def refused_as(kind, call):
    """The exception of class `kind` that the call raises."""
    import openai

    try:
        call()
    except openai.APIError as error:
        expect(type(error) is kind, f"{type(error).__name__}, expected {kind.__name__}: {error}")
        return error
    raise CheckFailed(f"no error, expected {kind.__name__}")


def check_models(context):
    """models.list and models.retrieve"""
    client = client_of(context.server)
    expect_equal([model.id for model in client.models.list()], [MODEL], "models")
    expect_equal(client.models.retrieve(MODEL).object, "model", "object")


def check_whole(context):
    """a chat answers what `midge run` does"""
    for question in QUESTION, "Tell me a story about a cat.":
        answer = ask(context, messages=[{"role": "user", "content": question}])
        expect_equal(answer.choices[0].message.content, context.answer_of_run(question), question)
        expect_equal(answer.choices[0].finish_reason, "stop", "finish_reason")
        usage = answer.usage
        expect(usage.prompt_tokens > 0 and usage.completion_tokens > 0, f"usage: {usage}")
        expect_equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens, "total")


def check_conversation(context):
    """a conversation with a system message and parts of content"""
    answer = ask(context, messages=[
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": [{"type": "text", "text": "What is "},
                                     {"type": "text", "text": "7 + 5?"}]},
        {"role": "assistant", "content": "7 + 5 = 12."},
        {"role": "user", "content": "What is 2 + 9?"},
    ])
    expect(answer.choices[0].message.content != "", "the answer is empty")


def check_stream(context):
    """a streamed chat has the same text, and usage at its end"""
    whole = ask(context)
    chunks = list(ask(context, stream=True, stream_options={"include_usage": True}))
    expect_equal(chunks[-1].choices, [], "choices of the last chunk")
    expect(all(chunk.usage is None for chunk in chunks[:-1]), "usage before the last chunk")
    expect_equal(chunks[-1].usage.completion_tokens, whole.usage.completion_tokens, "tokens")
    expect_equal(chunks[-1].usage.prompt_tokens, whole.usage.prompt_tokens, "prompt tokens")
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    expect_equal(deltas[0].role, "assistant", "role")
    expect_equal("".join(delta.content or "" for delta in deltas),
                 whole.choices[0].message.content, "text")
    reasons = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    expect_equal([r for r in reasons if r], [whole.choices[0].finish_reason], "finish_reason")
    expect_equal(len({chunk.id for chunk in chunks}), 1, "ids of the chunks")


def check_choices(context):
    """n = 2: two answers, whole and streamed the same"""
    drawn = {"n": 2, "temperature": 1, "seed": 5, "max_tokens": 30}
    drawn["messages"] = [{"role": "user", "content": "Tell me a story."}]
    whole = ask(context, **drawn)
    expect_equal([choice.index for choice in whole.choices], [0, 1], "indices")
    texts = [choice.message.content for choice in whole.choices]
    expect(texts[0] != texts[1], f"twice the same: {texts[0]!r}")
    streamed = ["", ""]
    for chunk in ask(context, **drawn, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    expect_equal(streamed, texts, "streamed texts")


def check_stop(context):
    """stop ends the answer before the text"""
    whole = ask(context).choices[0].message.content
    stopped = ask(context, stop="=").choices[0]
    expect_equal(stopped.message.content, whole.partition("=")[0], "text")
    expect_equal(stopped.finish_reason, "stop", "finish_reason")
    expect_equal(ask(context, stop=["nowhere", "5 ="]).choices[0].message.content,
                 whole.partition("5 =")[0], "text of two")
    short = ask(context, max_completion_tokens=2)
    expect_equal(short.choices[0].finish_reason, "length", "finish_reason")
    expect_equal(short.usage.completion_tokens, 2, "tokens")


def check_seed(context):
    """a seed decides what is drawn"""
    def story(seed):
        return ask(context, messages=[{"role": "user", "content": "Tell me a story."}],
                   temperature=1, seed=seed, max_tokens=40).choices[0].message.content

    expect_equal(story(7), story(7), "the same seed")
    expect(len({story(seed) for seed in range(4)}) > 1, "four seeds, one text")


def check_logprobs(context):
    """logprobs: the chosen token is the first of the best at temperature 0"""
    for stream in False, True:
        if stream:
            chunks = ask(context, logprobs=True, top_logprobs=4, stream=True)
            choices = [chunk.choices[0] for chunk in chunks]
            text = "".join(choice.delta.content or "" for choice in choices)
            tokens = [t for choice in choices if choice.logprobs for t in choice.logprobs.content]
        else:
            answer = ask(context, logprobs=True, top_logprobs=4)
            text, tokens = answer.choices[0].message.content, answer.choices[0].logprobs.content
            # The stop token is no text, but has a score.
            expect_equal(len(tokens), answer.usage.completion_tokens, "scored tokens")
        for token in tokens:
            expect_equal(len(token.top_logprobs), 4, f"alternatives of {token.token!r}")
            best = token.top_logprobs[0]
            expect_equal((best.token, best.logprob), (token.token, token.logprob), "the first")
            scores = [other.logprob for other in token.top_logprobs]
            expect_equal(scores, sorted(scores, reverse=True), "order of the alternatives")
            expect(token.logprob <= 0, f"log-probability {token.logprob}")
        spelled = b"".join(bytes(token.bytes) for token in tokens).decode()
        expect(spelled.startswith(text), f"tokens spell {spelled!r}, the text is {text!r}")


def check_arguments(call):
    """Arguments of a call are what the schema of its function says."""
    arguments = json.loads(call.function.arguments)
    if call.function.name == "get_weather":
        expect_equal(sorted(arguments), ["city", "unit"], "arguments")
        expect(isinstance(arguments["city"], str) and len(arguments["city"]) <= 20,
               f"city: {arguments}")
        expect(arguments["unit"] in ("C", "F"), f"unit: {arguments}")
    else:
        expect_equal(call.function.name, "add", "name")
        expect_equal(sorted(arguments), ["a", "b"], "arguments")
        expect(all(type(n) is int and 0 <= n <= 99 for n in arguments.values()), f"{arguments}")


def check_tools_required(context):
    """tool_choice required: calls that hold the schemas"""
    names = set()
    for seed in range(5):
        choice = ask(context, tools=[WEATHER, ADD], tool_choice="required", temperature=1,
                     seed=seed).choices[0]
        expect_equal(choice.finish_reason, "tool_calls", f"finish_reason of {choice}")
        expect(choice.message.tool_calls, "no calls")
        for call in choice.message.tool_calls:
            check_arguments(call)
            names.add(call.function.name)
        ids = [call.id for call in choice.message.tool_calls]
        expect_equal(len(set(ids)), len(ids), "different ids")
    return "called " + ", ".join(sorted(names))


def check_tools_named(context):
    """tool_choice names a function: one call of it, whole and streamed the same"""
    for tool in WEATHER, ADD:
        name = tool["function"]["name"]
        named = {"tools": [WEATHER, ADD], "temperature": 1, "seed": 3,
                 "tool_choice": {"type": "function", "function": {"name": name}}}
        calls = ask(context, **named).choices[0].message.tool_calls
        expect_equal([call.function.name for call in calls], [name], "calls")
        check_arguments(calls[0])
        pieces = []
        for chunk in ask(context, **named, stream=True):
            pieces += chunk.choices[0].delta.tool_calls or []
        expect_equal("".join(piece.function.name or "" for piece in pieces), name, "name, streamed")
        expect_equal("".join(piece.function.arguments or "" for piece in pieces),
                     calls[0].function.arguments, "arguments, streamed")


def check_tool_results(context):
    """a call and its result are read again; tool_choice none calls nothing"""
    call = ask(context, tools=[ADD], tool_choice={"type": "function", "function": {"name": "add"}})
    message = call.choices[0].message
    answer = ask(context, tools=[ADD], tool_choice="none", max_tokens=30, messages=[
        *MESSAGES, message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "12"}])
    expect_equal(answer.choices[0].message.tool_calls, None, "calls")


def check_json_object(context):
    """response_format json_object"""
    for seed in range(5):
        choice = ask(context, response_format={"type": "json_object"}, temperature=1, seed=seed,
                     max_tokens=400).choices[0]
        # Nothing forces the model to end such an object.
        if choice.finish_reason == "stop":
            expect(isinstance(json.loads(choice.message.content), dict), choice.message.content)
            continue
        expect_equal(choice.finish_reason, "length", "finish_reason")
        expect(choice.message.content.lstrip().startswith("{"), choice.message.content)


def check_json_schema(context):
    """chat.completions.parse with a pydantic model, 5 seeds"""
    import pydantic

    class Pet(pydantic.BaseModel):
        kind: Literal["cat", "dog", "bird"]
        legs: int
        is_kind: bool

    class Person(pydantic.BaseModel):
        name: Literal["Anna", "Ben"]
        age: Literal[3, 4, 5]
        pet: Pet
        colours: list[Literal["red", "blue"]] = pydantic.Field(max_length=3)

    client = client_of(context.server)
    for seed in range(5):
        answer = client.chat.completions.parse(
            model=MODEL, temperature=1, seed=seed, response_format=Person, max_tokens=300,
            messages=[{"role": "user", "content": "Who is there?"}])
        parsed = answer.choices[0].message.parsed
        expect(isinstance(parsed, Person), f"not parsed: {answer.choices[0]}")


def check_completions(context):
    """completions of a text, of texts, and of token ids"""
    one = complete(context, prompt="Once upon a time", max_tokens=12)
    expect_equal(one.choices[0].finish_reason, "length", "finish_reason")
    run = context.answer_of_run("Once upon a time", "--raw", "-n", 12)
    expect(one.choices[0].text in (run, run.removeprefix("Once upon a time")),
           f"{one.choices[0].text!r}, midge run: {run!r}")
    ids = context.server.post("/tokenize", {"prompt": "Once upon a time"})["tokens"]
    expect_equal(complete(context, prompt=ids, max_tokens=12).choices[0].text,
                 one.choices[0].text, "by ids")
    several = complete(context, prompt=["One", "Once upon a time", "The"], max_tokens=12)
    expect_equal([choice.index for choice in several.choices], [0, 1, 2], "indices")
    expect_equal(several.choices[1].text, one.choices[0].text, "the second of three")
    pieces = [chunk.choices[0].text
              for chunk in complete(context, prompt="Once upon a time", max_tokens=12, stream=True)]
    expect_equal("".join(pieces), one.choices[0].text, "streamed")


def check_echo(context):
    """echo with logprobs: offsets are those of the text"""
    for prompt in "Once upon a time", "Der Bär schläft. 🐾 Zoë":
        choice = complete(context, prompt=prompt, max_tokens=8, echo=True, logprobs=3).choices[0]
        expect(choice.text.startswith(prompt), f"{choice.text!r} does not begin with the prompt")
        scores = choice.logprobs
        counts = {len(column) for column in (scores.tokens, scores.token_logprobs,
                                             scores.top_logprobs, scores.text_offset)}
        expect_equal(counts, {len(scores.tokens)}, "lengths of the columns")
        expect_equal(scores.text_offset, sorted(scores.text_offset), "order of the offsets")
        expect_equal(scores.token_logprobs[0], None, "score of the first token")
        for i, (token, offset) in enumerate(zip(scores.tokens, scores.text_offset)):
            is_stop = choice.finish_reason == "stop" and i == len(scores.tokens) - 1
            if is_stop:  # scored, and no text
                expect_equal(offset, len(choice.text), "offset of the stop token")
            elif not token.startswith("bytes:"):
                expect_equal(choice.text[offset:offset + len(token)], token, f"text at {offset}")
            if i == 0:
                continue
            best = max(scores.top_logprobs[i].values())
            expect(3 <= len(scores.top_logprobs[i]) <= 4, f"alternatives of token {i}")
            expect(scores.token_logprobs[i] <= best <= 0, f"scores of token {i}")


def check_scored_alone(context):
    """a prompt's scores are the same alone and among others"""
    def scores(prompts):
        answer = complete(context, prompt=prompts, max_tokens=1, echo=True, logprobs=1)
        return [choice.logprobs.token_logprobs for choice in answer.choices]

    prompts = ["Once upon a time there was a cat.", "The sky is blue.", "7 + 5 = 12"]
    expect_equal(scores(prompts), [scores(prompt)[0] for prompt in prompts], "scores")


def check_bad_request(context):
    """BadRequestError with the parameter that is wrong"""
    import openai

    for members, param in (
        ({"temperature": -1}, "temperature"),
        ({"messages": []}, "messages"),
        ({"n": 1000}, "n"),
        ({"logit_bias": {"cat": 1}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"extra_body": {"no_such": 1}}, "no_such"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
    ):
        error = refused_as(openai.BadRequestError, lambda m=members: ask(context, **m))
        expect_equal(error.param, param, f"param of {error}")
        expect_equal(error.type, "invalid_request_error", "type")
    long = [{"role": "user", "content": "cat " * 5000}]
    error = refused_as(openai.BadRequestError, lambda: ask(context, messages=long))
    expect_equal(error.code, "context_length_exceeded", "code")


def check_not_found(context):
    """NotFoundError of a model that is not there"""
    import openai

    error = refused_as(openai.NotFoundError, lambda: ask(context, model="gpt-4"))
    expect_equal((error.param, error.code), ("model", "model_not_found"), "param and code")
    refused_as(openai.NotFoundError, lambda: client_of(context.server).models.retrieve("gpt-4"))


def check_key(context):
    """AuthenticationError without the key of --key-file"""
    import openai

    key = "a-key-of-the-test"
    file = context.folder / "key.txt"
    file.write_text(key + "\n")
    server = Server(context.program, "--key-file", file)
    try:
        refused_as(openai.AuthenticationError, lambda: client_of(server, "wrong").models.list())
        expect_equal([m.id for m in client_of(server, key).models.list()], [MODEL], "models")
    finally:
        server.stop()


CHECKS = [check_models, check_whole, check_conversation, check_stream, check_choices, check_stop,
          check_seed, check_logprobs, check_tools_required, check_tools_named, check_tool_results,
          check_json_object, check_json_schema, check_completions, check_echo, check_scored_alone,
          check_bad_request, check_not_found, check_key]
NEED_GRAMMARS = [check_tools_required, check_tools_named, check_tool_results, check_json_object,
                 check_json_schema]
