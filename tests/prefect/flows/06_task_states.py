"""Tasks that return states, and reading the state of a task."""

from facts import fact, outcome
from prefect import flow, task
from prefect.states import Completed, Failed


@task
def judge(score: int):
    """Return a state of one's own."""
    if score < 50:
        return Failed(message=f"{score} is too low")
    return Completed(message="passed", data=score, name="Passed")


@task
def halve(number: int) -> float:
    """Divide by two."""
    return number / 2


@flow
def returned_states():
    """Read the states that tasks return."""
    for score in (20, 80):
        fact(f"direct {score}", outcome(judge, score))
        fact(f"return_state {score}", judge(score, return_state=True))
        future = judge.submit(score)
        future.wait()
        fact(f"submitted {score}", state=future.state, result=outcome(future.result))


@flow
def decides():
    """Both states together are the flow's."""
    return judge(20, return_state=True), judge(80, return_state=True)


@flow
def reads_states():
    """return_state in every place, and what a state says of itself."""
    good, bad = halve(9, return_state=True), halve("nine", return_state=True)
    for name, state in (("good", good), ("bad", bad)):
        says = {question: getattr(state, question)() for question in QUESTIONS}
        fact(f"{name} state", state=state, says=[question for question, yes in says.items() if yes])
        fact(f"{name} result", outcome(state.result))
    fact("without raising", bad.result(raise_on_failure=False))
    fact("submit", halve.submit(3, return_state=True))
    fact("map", halve.map([1, 2], return_state=True))
    return good.result()


QUESTIONS = (
    "is_scheduled", "is_pending", "is_running", "is_completed", "is_failed",
    "is_crashed", "is_cancelled", "is_cancelling", "is_paused", "is_final",
)  # fmt: skip

if __name__ == "__main__":
    returned_states()
    fact("states decide", state=decides(return_state=True), call=outcome(decides))
    fact("flow", reads_states(return_state=True))
