"""A canary on a manual clock, versions that remember under which assignment they ran, a scripted model, a tracer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from langgraph.checkpoint.memory import MemorySaver
from langgraph.errors import NodeInterrupt
from langgraph.graph import END, START, MessagesState, StateGraph
from typing_extensions import TypedDict

from agent_canary import AgentCanary, Assignment, Rollout, Stage, current_assignment
from agent_canary.testing import ManualClock
from agent_canary_langchain import CanaryRunnable

try:
    from langgraph.types import Command, interrupt
except ImportError:  # the oldest LangGraph
    Command = interrupt = None  # type: ignore[assignment,misc]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the oldest langchain-core use a field that the newest pydantic warns of."""
    item.add_marker(pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute:DeprecationWarning"))


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, the only loop that LangChain knows."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGSMITH_TRACING_V2"):
        monkeypatch.setenv(name, "false")


@pytest.fixture
def alice() -> dict[str, Any]:
    """Return the config of a thread on v2."""
    return {"configurable": {"thread_id": "alice"}}


@pytest.fixture
def bob() -> dict[str, Any]:
    """Return the config of a thread on v1."""
    return {"configurable": {"thread_id": "bob"}}


@pytest.fixture
def clock() -> ManualClock:
    """Return the canary's clock."""
    return ManualClock()


@pytest.fixture
def make_canary(clock: ManualClock) -> Iterator[Callable[..., AgentCanary]]:
    """Return a maker of canaries: alice is on v2, bob on v1, everybody else as hashed."""
    made: list[AgentCanary] = []

    def make(stable: str = "v1", canary: str = "v2", **options: Any) -> AgentCanary:
        options = {"clock": clock, "autopilot": False, "overrides": {"alice": canary, "bob": stable}, **options}
        made.append(AgentCanary(stable, canary, Rollout([Stage(0.5)]), **options))
        return made[-1]

    yield make
    for canary in made:
        canary.close()


@pytest.fixture
def canary(make_canary: Callable[..., AgentCanary]) -> AgentCanary:
    """Return the canary of most tests."""
    return make_canary(name="agent")


class Probe:
    """Versions that remember the assignments they ran under.

    Attributes:
        seen: The current assignment at each step of a version's code, in order.
    """

    def __init__(self) -> None:
        self.seen: list[Assignment | None] = []

    def note(self) -> None:
        """Remember the current assignment."""
        self.seen.append(current_assignment())

    @property
    def assignment(self) -> Assignment:
        """The one assignment that was seen."""
        (found,) = {id(assignment): assignment for assignment in self.seen}.values()
        assert isinstance(found, Assignment)
        return found

    def answering(self, answer: Any) -> Runnable[Any, Any]:
        """Return a version that gives *answer*, or raises it, or calls it with its input."""

        def step(value: Any) -> Any:
            self.note()
            if isinstance(answer, BaseException):
                raise answer
            return answer(value) if callable(answer) else answer

        async def astep(value: Any) -> Any:
            return step(value)

        return RunnableLambda(step, astep)

    def streaming(self, *parts: Any) -> Runnable[Any, Any]:
        """Return a version that gives *parts* one by one: raises exceptions, calls callables for the part."""

        def steps(values: Iterator[Any]) -> Iterator[Any]:
            del values
            try:
                for part in parts:
                    self.note()
                    if isinstance(part, BaseException):
                        raise part
                    yield part() if callable(part) else part
            finally:
                self.note()

        async def asteps(values: AsyncIterator[Any]) -> AsyncIterator[Any]:
            for part in steps(iter(())):
                yield part

        return RunnableGenerator(steps, asteps)


@pytest.fixture
def probe() -> Probe:
    """Return a maker of versions that remember."""
    return Probe()


@pytest.fixture
def wrap(canary: AgentCanary) -> Callable[..., CanaryRunnable[Any, Any]]:
    """Wrap a canary version, beside a stable one that answers "stable"."""

    def make(version: Any, stable: Any = None, **options: Any) -> CanaryRunnable[Any, Any]:
        versions = {"v1": (lambda value: "stable") if stable is None else stable, "v2": version}
        return CanaryRunnable(canary, versions, **options)

    return make


class ScriptedModel(BaseChatModel):
    """A chat model that gives prepared messages in turn; as a stream, word by word, with the usage at the end."""

    replies: list[AIMessage]
    given: int = 0
    candidates: int = 1

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Return the model: its calls of tools are prepared."""
        del tools, kwargs
        return self

    def _next(self) -> AIMessage:
        self.given += 1
        return self.replies[(self.given - 1) % len(self.replies)]

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del messages, stop, run_manager, kwargs
        reply = self._next()
        return ChatResult(generations=[ChatGeneration(message=reply.model_copy()) for _ in range(self.candidates)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        del messages, stop, kwargs
        reply = self._next()
        for word in str(reply.content).split(" "):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager is not None:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=reply.usage_metadata))


def reply(text: str = "well hello", input_tokens: int = 10, output_tokens: int = 2, **fields: Any) -> AIMessage:
    """Return a message of a model, with its usage."""
    usage = {"input_tokens": input_tokens, "output_tokens": output_tokens, "total_tokens": input_tokens + output_tokens}
    return AIMessage(content=text, usage_metadata=usage, **fields)


@pytest.fixture
def scripted() -> Callable[..., ScriptedModel]:
    """Return a maker of scripted models: of messages, or of one reply with the given usage."""

    def make(*replies: AIMessage, candidates: int = 1, **fields: Any) -> ScriptedModel:
        return ScriptedModel(replies=list(replies) or [reply(**fields)], candidates=candidates)

    return make


@pytest.fixture
def say() -> Callable[..., AIMessage]:
    """Return the maker of messages with a usage."""
    return reply


class Recorder(BaseTracer):
    """Keeps the finished trees of runs."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.roots.append(run)

    @property
    def root(self) -> Run:
        """The one tree that was recorded."""
        (root,) = self.roots
        return root

    @property
    def all_ended(self) -> bool:
        """Whether no run is left open."""
        return not self.run_map


@pytest.fixture
def recorder() -> Recorder:
    """Return a tracer that records."""
    return Recorder()


class Work(TypedDict, total=False):
    """The state of a small graph."""

    value: Any
    answer: Any
    approved: str


class Graphs:
    """Makes LangGraph graphs, in the words of the installed version."""

    State = Work
    Command = Command

    @staticmethod
    def single(node: Any, state: Any = Work, name: str = "work", **options: Any) -> Any:
        """Return a graph of one node, with a memory."""
        builder = StateGraph(state)
        builder.add_node(name, node)
        builder.add_edge(START, name)
        builder.add_edge(name, END)
        return builder.compile(checkpointer=MemorySaver(), **options)

    @staticmethod
    def chat(model: Any, note: Callable[[], None]) -> Any:
        """Return a graph that talks, with a memory."""

        def talk(state: Any) -> Any:
            note()
            return {"messages": [model.invoke(state["messages"])]}

        return Graphs.single(talk, MessagesState, "talk")

    @staticmethod
    def approval(state: Any) -> Any:
        """Stop the graph, inside of a node, until a person has approved; return the person's answer."""
        if interrupt is not None:
            return interrupt("approve?")
        if "approved" not in state:
            raise NodeInterrupt("approve?")
        return state["approved"]

    @staticmethod
    def resumption(graph: Any, config: Any, answer: str) -> Any:
        """Return the input by which *graph* goes on with a person's answer."""
        if interrupt is not None:
            return Command(resume=answer)
        graph.update_state(config, {"approved": answer})
        return None


@pytest.fixture
def graphs() -> Graphs:
    """Return a maker of graphs."""
    return Graphs()


@pytest.fixture
def newer_langgraph() -> None:
    """Skip a test of what the oldest LangGraph cannot do: hand-offs, resuming with an answer, streaming messages."""
    if Command is None:
        pytest.skip("this LangGraph is too old")
