"""LangChain's ChatOpenAI against the server."""

import importlib.util

from clients.harness import MODEL, expect, expect_equal
from clients.with_openai import QUESTION


def missing():
    found = importlib.util.find_spec("langchain_openai")
    return None if found else "no Python package langchain-openai"


def model_of(context, **members):
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=MODEL, base_url=context.server.base_url, api_key="none", max_retries=0,
                      temperature=0, **members)


def check_invoke(context):
    """invoke answers what `midge run` does"""
    answer = model_of(context).invoke(QUESTION)
    expect_equal(answer.content, context.answer_of_run(QUESTION), "text")
    expect(answer.usage_metadata["output_tokens"] > 0, f"usage: {answer.usage_metadata}")


def check_stream(context):
    """stream gives the same text in pieces"""
    pieces = [piece.content for piece in model_of(context).stream(QUESTION)]
    expect_equal("".join(pieces), context.answer_of_run(QUESTION), "text")
    expect(sum(1 for piece in pieces if piece) > 1, f"pieces: {pieces}")


def check_tools(context):
    """bind_tools with a tool that must be called"""
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    answer = model_of(context).bind_tools([add], tool_choice="add").invoke(QUESTION)
    expect_equal([call["name"] for call in answer.tool_calls], ["add"], "calls")
    # Their schema allows other arguments beside.
    arguments = answer.tool_calls[0]["args"]
    expect(all(type(arguments.get(name)) is int for name in ("a", "b")), f"arguments: {arguments}")


def check_structured(context):
    """with_structured_output gives a pydantic object"""
    import pydantic

    class Answer(pydantic.BaseModel):
        """An answer."""
        number: int = pydantic.Field(ge=0, le=99)
        is_sure: bool

    found = model_of(context).with_structured_output(Answer).invoke(QUESTION)
    expect(isinstance(found, Answer), f"not parsed: {found!r}")


CHECKS = [check_invoke, check_stream, check_tools, check_structured]
NEED_GRAMMARS = [check_tools, check_structured]
